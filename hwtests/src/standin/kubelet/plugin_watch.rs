//! The other way in: sockets that appear in the plugin registry folder are asked who they are.
#![expect(clippy::disallowed_methods, reason = "boundary: watches a folder")]

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::deviceplugin::VERSION;
use proto::pluginregistration::registration_client::RegistrationClient;
use proto::pluginregistration::{DEVICE_PLUGIN, InfoRequest, PluginInfo, RegistrationStatus};
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;

use super::endpoint::{chain, within};
use super::registry::Registry;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Time for each call.
const CALL: Duration = Duration::from_secs(10);
/// First and longest pause before a plugin that failed is asked again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(2));

/// A socket as it was found: a new one at the same path is another plugin.
type Identity = (u64, u64, i64);

struct Known {
    identity: Identity,
    state: State,
}

enum State {
    Registered(String),
    Failed { again: Instant, pause: Duration },
}

/// Watches the folder for ever.
pub(crate) async fn run(folder: PathBuf, registry: Registry) {
    let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
    loop {
        let present = sockets(&folder);
        let gone: Vec<PathBuf> = known
            .iter()
            .filter(|(path, old)| present.get(*path) != Some(&old.identity))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            if let Some(Known {
                state: State::Registered(resource),
                ..
            }) = known.remove(&path)
            {
                tracing::info!(resource, socket = %path.display(), "plugin socket is gone");
                registry.disconnect(&resource);
            }
        }
        for (path, identity) in present {
            let pause = match known.get(&path).map(|old| &old.state) {
                None => RETRY.0,
                Some(State::Failed { again, pause }) if Instant::now() >= *again => {
                    (*pause * 2).min(RETRY.1)
                }
                Some(_) => continue,
            };
            let state = match register(&path, &registry).await {
                Ok(resource) => State::Registered(resource),
                Err(why) => {
                    tracing::warn!(socket = %path.display(), why, "plugin not registered");
                    State::Failed {
                        again: Instant::now() + pause,
                        pause,
                    }
                }
            };
            known.insert(path, Known { identity, state });
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn sockets(folder: &Path) -> BTreeMap<PathBuf, Identity> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sockets = entries.filter_map(|entry| {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let found = entry
            .metadata()
            .ok()
            .filter(|found| found.file_type().is_socket() && !hidden)?;
        Some((entry.path(), (found.dev(), found.ino(), found.ctime_nsec())))
    });
    sockets.collect()
}

/// Asks, connects, and tells the plugin how that went. Gives the resource.
async fn register(socket: &Path, registry: &Registry) -> Result<String, String> {
    let channel = proto::uds::dial(socket, CALL)
        .await
        .map_err(|error| chain(&error))?;
    let mut client = RegistrationClient::new(channel);
    let info = within(CALL, client.get_info(InfoRequest {}))
        .await
        .map_err(|status| status.to_string())?;
    let outcome = take(&info, socket, registry).await;
    let status = RegistrationStatus {
        plugin_registered: outcome.is_ok(),
        error: outcome.as_ref().err().cloned().unwrap_or_default(),
    };
    let told = notify(&mut client, status).await;
    outcome?;
    told.map_err(|status| format!("NotifyRegistrationStatus: {status}"))?;
    Ok(info.name)
}

async fn notify(
    client: &mut RegistrationClient<Channel>,
    status: RegistrationStatus,
) -> Result<(), Status> {
    within(CALL, client.notify_registration_status(status))
        .await
        .map(|_| ())
}

async fn take(info: &PluginInfo, socket: &Path, registry: &Registry) -> Result<(), String> {
    if info.r#type != DEVICE_PLUGIN {
        return Err(format!(
            "no handler registered for plugin type: {}",
            info.r#type
        ));
    }
    if !info
        .supported_versions
        .iter()
        .any(|version| version == VERSION)
    {
        let found = info.supported_versions.join(",");
        return Err(format!(
            "device plugin {} supports [{found}], kubelet supports [{VERSION}]",
            info.name
        ));
    }
    let endpoint = if info.endpoint.is_empty() {
        socket
    } else {
        Path::new(&info.endpoint)
    };
    registry
        .connect(&info.name, endpoint)
        .await
        .map_err(|status| status.to_string())
}
