//! Where the kubelet finds and leaves things.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::content::Supply;
use super::rate::Rate;
use crate::standin::api::{ApiServer, Service, Store};

/// Configuration of the stand-in kubelet.
#[derive(Debug, Clone)]
pub struct KubeletConfig {
    /// Name of the node; pods with this `spec.nodeName` are run.
    pub node: String,
    /// Address of the node, reported as `hostIP`.
    pub node_ip: IpAddr,
    /// The cluster's state.
    pub store: Store,
    /// The API server as pods reach it; without, no pod can have a service account's token.
    pub service: Option<Service>,
    /// Folder of the sockets and volumes.
    pub root: PathBuf,
    /// The container runtime's socket.
    pub runtime: PathBuf,
    /// Folder of the containers' logs.
    pub logs: PathBuf,
    /// How often PodResources may be asked.
    pub pod_resources_rate: Rate,
}

impl KubeletConfig {
    /// The usual places: `/var/lib/kubelet`, containerd's socket, `/var/log/pods`; the kubelet's limit of 100 calls/s.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a handle; its store is all that is kept"
    )]
    pub fn new(node: &str, api: ApiServer) -> KubeletConfig {
        KubeletConfig {
            node: node.to_owned(),
            node_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            store: api.store().clone(),
            service: None,
            root: PathBuf::from("/var/lib/kubelet"),
            runtime: PathBuf::from("/run/containerd/containerd.sock"),
            logs: PathBuf::from("/var/log/pods"),
            pod_resources_rate: Rate {
                per_second: 100,
                burst: 10,
            },
        }
    }

    /// Folder of the legacy registration socket and its plugins' sockets.
    pub fn device_plugins(&self) -> PathBuf {
        self.root.join("device-plugins")
    }

    /// Folder that is watched for plugins' sockets.
    pub fn plugins_registry(&self) -> PathBuf {
        self.root.join("plugins_registry")
    }

    /// Socket of PodResources.
    pub fn pod_resources(&self) -> PathBuf {
        self.root.join("pod-resources/kubelet.sock")
    }

    /// Where the content of volumes comes from.
    pub(crate) fn supply(&self) -> Supply<'_> {
        Supply {
            store: &self.store,
            service: self.service.as_ref(),
        }
    }

    pub(crate) fn pod_folder(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid)
    }

    pub(crate) fn log_folder(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.logs.join(format!("{namespace}_{name}_{uid}"))
    }

    pub(crate) fn folders(&self) -> [PathBuf; 4] {
        let pods = self.root.join("pods");
        let resources = self
            .pod_resources()
            .parent()
            .map_or_else(|| self.root.clone(), Path::to_owned);
        [
            self.device_plugins(),
            self.plugins_registry(),
            resources,
            pods,
        ]
    }
}
