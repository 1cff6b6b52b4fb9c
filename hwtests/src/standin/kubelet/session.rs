//! The sockets of one life of the kubelet: made at its start, gone with it.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: makes and wipes the folders of the sockets"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proto::deviceplugin::registration_server::RegistrationServer;
use proto::podresources::pod_resources_lister_server::PodResourcesListerServer;
use proto::uds::{self, Socket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::agent::Agent;
use super::plugin_watch;
use super::pod_resources::PodResourcesService;
use super::registry::RegistrationService;

/// The kubelet's sockets cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// A folder cannot be made or emptied.
    #[error("{verb} {path}")]
    Folder {
        /// What was tried.
        verb: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A socket cannot be listened on.
    #[error("serve the kubelet's sockets")]
    Socket(#[from] uds::Error),
}

/// Serves until it is ended or dropped.
#[derive(Debug)]
pub(crate) struct Session {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Session {
    /// Wipes the sockets of the life before, with those of the plugins that registered then, and serves.
    pub(crate) fn start(agent: &Agent) -> Result<Session, SessionError> {
        for folder in agent.config.folders() {
            let failed = |source| SessionError::Folder {
                verb: "create",
                path: folder.clone(),
                source,
            };
            fs::create_dir_all(&folder).map_err(failed)?;
        }
        wipe(&agent.config.device_plugins())?;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let registration = RegistrationService {
            registry: agent.registry.clone(),
            folder: agent.config.device_plugins(),
        };
        let socket = Socket::bind(&agent.config.device_plugins().join("kubelet.sock"))?;
        let serving = uds::serve(socket, RegistrationServer::new(registration), stop.clone());
        tasks.spawn(report("registration", serving));
        let resources =
            PodResourcesService::new(agent.table.clone(), agent.config.pod_resources_rate);
        let socket = Socket::bind(&agent.config.pod_resources())?;
        let serving = uds::serve(
            socket,
            PodResourcesListerServer::new(resources),
            stop.clone(),
        );
        tasks.spawn(report("pod resources", serving));
        let watching = plugin_watch::run(agent.config.plugins_registry(), agent.registry.clone());
        let until = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = watching => {}
                () = until.cancelled() => {}
            }
        });
        Ok(Session { stop, tasks })
    }

    /// Closes the sockets.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn report(what: &'static str, serving: impl Future<Output = Result<(), uds::Error>>) {
    if let Err(error) = serving.await {
        tracing::error!(
            what,
            error = super::endpoint::chain(&error),
            "socket of the kubelet is lost"
        );
    }
}

/// As the kubelet does: all files but its checkpoint go.
fn wipe(folder: &Path) -> Result<(), SessionError> {
    let failed = |verb, path: &Path, source| SessionError::Folder {
        verb,
        path: path.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(|source| failed("list", folder, source))?;
    for entry in entries {
        let path = entry
            .map_err(|source| failed("list", folder, source))?
            .path();
        if path.is_dir() || path.ends_with("kubelet_internal_checkpoint") {
            continue;
        }
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, source));
            }
            _ => {}
        }
    }
    Ok(())
}
