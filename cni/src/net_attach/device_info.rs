//! DeviceInfo files (device information specification 1.1.0): written by the device plugin, copied for the CNI
//! plugin, shown in network-status.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads and writes DeviceInfo files"
)]

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The version written.
pub const VERSION: &str = "1.1.0";
/// Folder of files that device plugins write.
pub const DP_DIR: &str = "/var/run/k8s.cni.cncf.io/devinfo/dp";
/// Folder of files for CNI plugins.
pub const CNI_DIR: &str = "/var/run/k8s.cni.cncf.io/devinfo/cni";

/// What a device is. Keys in the order of the specification; absent ones are omitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceInfo {
    /// `pci`, `vdpa`, `vhost-user` or `memif`.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Version of the format.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// For type `pci`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<Pci>,
    /// For type `vdpa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vdpa: Option<Vdpa>,
    /// For type `vhost-user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost_user: Option<VhostUser>,
    /// For type `memif`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memif: Option<Memif>,
}

/// A PCI function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Pci {
    /// The function's address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pci_address: String,
    /// Path of vhost-net.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vhost_net: String,
    /// RDMA devices, joined by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rdma_device: String,
    /// The PF's address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pf_pci_address: String,
    /// The representor's interface.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub representor_device: String,
}

/// A vDPA device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Vdpa {
    /// The vDPA device's own name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent_device: String,
    /// `vhost` or `virtio`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Device node, for `vhost`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The function's address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pci_address: String,
    /// The PF's address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pf_pci_address: String,
    /// The representor's interface.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub representor_device: String,
}

/// A vhost-user socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VhostUser {
    /// `client` or `server`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// The socket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// A shared-memory interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memif {
    /// `master` or `slave`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The socket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// `ethernet`, `ip` or `punt`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
}

/// Why a DeviceInfo file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceInfoError {
    /// The file system refused.
    #[error("{verb} device info {}", path.display())]
    Io {
        /// `read`, `write`, `copy`, `remove`, `create`.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The file is no DeviceInfo.
    #[error("device info {}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// `<dir>/<resource>-<device id>-device.json`, with `-` for every `/`.
pub fn dp_path(dir: &Path, resource: &str, device_id: &str) -> PathBuf {
    dir.join(format!("{resource}-{device_id}-device.json").replace('/', "-"))
}

/// `<dir>/<attachment>-<container id>_<ifname>`, with `-` for every `/`; `attachment` is `namespace/name`.
pub fn cni_path(dir: &Path, attachment: &str, container_id: &str, ifname: &str) -> PathBuf {
    dir.join(format!("{attachment}-{container_id}_{ifname}").replace('/', "-"))
}

/// Reads a file; None if there is none.
pub fn read(path: &Path) -> Result<Option<DeviceInfo>, DeviceInfoError> {
    let _ = std::fs::read(path);
    unimplemented!()
}

/// Writes a file: compact JSON, mode 0444, atomic; replaces an older one. The folder is made if missing.
pub fn write(_path: &Path, _info: &DeviceInfo) -> Result<(), DeviceInfoError> {
    unimplemented!()
}

/// Copies a file byte for byte, mode 0444, atomic; replaces an older one. False if there is no source.
pub fn copy(_source: &Path, _target: &Path) -> Result<bool, DeviceInfoError> {
    unimplemented!()
}

/// Removes a file; it may be absent.
pub fn remove(_path: &Path) -> Result<(), DeviceInfoError> {
    unimplemented!()
}
