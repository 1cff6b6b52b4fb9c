//! The kubelet's side: where its sockets are, how it is told of a pool, what it gave to pods.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use proto::{
    deviceplugin::{
        DevicePluginOptions, RegisterRequest, VERSION, registration_client::RegistrationClient,
    },
    podresources::{
        ListPodResourcesRequest, pod_resources_lister_client::PodResourcesListerClient,
    },
    uds,
};
use tonic::{Request, Status};

use crate::{
    config::ResourceName,
    holder::{self, Holder, Holding},
    inventory::Allocated,
};

/// How long the kubelet may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The kubelet finds the socket in `plugins_registry` and asks what it is.
    Watcher,
    /// The plugin registers with the kubelet's socket in `device-plugins`.
    Legacy,
}

/// A kubelet by its root directory, usually `/var/lib/kubelet`.
#[derive(Debug, Clone)]
pub struct Kubelet {
    root: PathBuf,
}

/// Which socket the kubelet has now; differs after it was restarted.
pub type Identity = (u64, u64, i64, i64);

/// A call that the kubelet did not answer well.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It does not listen.
    #[error("reach the kubelet")]
    Reach(#[from] uds::Error),
    /// It refused.
    #[error("{call}: the kubelet answers {}: {}", status.code(), status.message())]
    Refused {
        /// What was asked.
        call: &'static str,
        /// Its answer.
        status: Box<Status>,
    },
}

impl Kubelet {
    /// The kubelet whose root is `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Directories to watch.
    pub fn directories(&self) -> [PathBuf; 3] {
        [
            self.directory(Mode::Watcher),
            self.directory(Mode::Legacy),
            self.root.join("pod-resources"),
        ]
    }

    /// Watcher mode if the kubelet has a directory for it.
    pub fn mode(&self) -> Mode {
        if self.directory(Mode::Watcher).is_dir() {
            Mode::Watcher
        } else {
            Mode::Legacy
        }
    }

    /// Where a pool's socket belongs.
    pub fn socket(&self, mode: Mode, resource: &ResourceName) -> PathBuf {
        self.directory(mode).join(resource.socket_name())
    }

    fn directory(&self, mode: Mode) -> PathBuf {
        self.root.join(match mode {
            Mode::Watcher => "plugins_registry",
            Mode::Legacy => "device-plugins",
        })
    }

    fn registration_socket(&self) -> PathBuf {
        self.directory(Mode::Legacy).join("kubelet.sock")
    }

    /// The kubelet's registration socket; `None` while there is none.
    pub fn identity(&self) -> Option<Identity> {
        let found = std::fs::metadata(self.registration_socket()).ok()?;
        Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
    }

    /// How long ago the kubelet made its registration socket, which is when it started; `None` if nobody can
    /// tell.
    pub fn age(&self) -> Option<Duration> {
        let found = std::fs::metadata(self.registration_socket()).ok()?;
        found.modified().ok()?.elapsed().ok()
    }

    /// Registers a pool whose socket is in the directory of the kubelet's own.
    pub async fn register(
        &self,
        resource: &ResourceName,
        options: DevicePluginOptions,
    ) -> Result<(), CallError> {
        let channel = uds::dial(&self.registration_socket(), LIMIT).await?;
        let mut request = Request::new(RegisterRequest {
            version: VERSION.to_owned(),
            endpoint: resource.socket_name(),
            resource_name: resource.to_string(),
            options: Some(options),
        });
        request.set_timeout(LIMIT);
        let answer = RegistrationClient::new(channel).register(request).await;
        answer
            .map(|_| ())
            .map_err(|status| refused("register", status))
    }

    /// Which devices pods hold, of all resources whose ids can be ours.
    pub async fn allocated(&self) -> Result<Allocated, CallError> {
        Ok(holder::allocated(&self.holdings().await?))
    }

    /// Which container holds which device, of all resources whose ids can be ours, ordered by resource.
    pub async fn holdings(&self) -> Result<Vec<Holding>, CallError> {
        let channel = uds::dial(&self.pod_resources(), LIMIT).await?;
        let mut client =
            PodResourcesListerClient::new(channel).max_decoding_message_size(uds::MAX_ANSWER);
        let mut request = Request::new(ListPodResourcesRequest {});
        request.set_timeout(LIMIT);
        let answer = client.list(request).await;
        let answer = answer
            .map_err(|status| refused("list pod resources", status))?
            .into_inner();
        let mut holdings = Vec::new();
        for pod in answer.pod_resources {
            for container in pod.containers {
                let holder = Holder {
                    namespace: pod.namespace.clone(),
                    pod: pod.name.clone(),
                    container: container.name,
                };
                let devices = container.devices.iter().flat_map(|devices| {
                    let ids = devices.device_ids.iter().filter_map(|id| id.parse().ok());
                    ids.map(|id| Holding {
                        resource: devices.resource_name.clone(),
                        id,
                        holder: holder.clone(),
                    })
                });
                holdings.extend(devices);
            }
        }
        holdings.sort_unstable();
        Ok(holdings)
    }

    fn pod_resources(&self) -> PathBuf {
        self.root.join("pod-resources/kubelet.sock")
    }

    /// The longer of the two directories of sockets; it limits the length of names.
    pub fn longest_directory(root: &Path) -> PathBuf {
        root.join("plugins_registry")
    }
}

fn refused(call: &'static str, status: Status) -> CallError {
    CallError::Refused {
        call,
        status: Box::new(status),
    }
}
