//! DeviceInfo files (device information specification 1.1.0): written by the device plugin, copied
//! for the CNI plugin, shown in network-status.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads and writes DeviceInfo files"
)]

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::name;
use crate::raw::raw;

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

/// `<dir>/<attachment>-<container id>_<ifname>`, with `-` for every `/`; `attachment` is
/// `namespace/name`.
pub fn cni_path(dir: &Path, attachment: &str, container_id: &str, ifname: &str) -> PathBuf {
    let tail = format!("-{container_id}_{ifname}").replace('/', "-");
    dir.join(name::file_name(&attachment.replace('/', "-"), &tail))
}

/// Reads a file; None if there is none.
pub fn read(path: &Path) -> Result<Option<DeviceInfo>, DeviceInfoError> {
    let Some(bytes) = bytes(path)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| DeviceInfoError::Invalid {
            path: path.to_owned(),
            source,
        })
}

/// Writes a file: compact JSON, mode 0444, atomic; replaces an older one. The folder is made if
/// missing.
pub fn write(path: &Path, info: &DeviceInfo) -> Result<(), DeviceInfoError> {
    place("write", path, raw(info).get().as_bytes())
}

/// Copies a file byte for byte, mode 0444, atomic; replaces an older one. False if there is no
/// source.
pub fn copy(source: &Path, target: &Path) -> Result<bool, DeviceInfoError> {
    let Some(bytes) = bytes(source)? else {
        return Ok(false);
    };
    place("copy", target, &bytes)?;
    Ok(true)
}

/// Removes a file; it may be absent.
pub fn remove(path: &Path) -> Result<(), DeviceInfoError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(DeviceInfoError::Io {
            verb: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, DeviceInfoError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DeviceInfoError::Io {
            verb: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

fn place(verb: &'static str, path: &Path, bytes: &[u8]) -> Result<(), DeviceInfoError> {
    let io = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| DeviceInfoError::Io { verb, path, source }
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    // Unlike our state these files are for others to read, so is their folder.
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .map_err(io("create", dir))?;
    // Made short: the name itself may leave no room.
    let unfinished = dir.join(format!(
        ".{:016x}.{}",
        name::hash(&path.to_string_lossy()),
        std::process::id()
    ));
    // A process of the same id may have died over its own attempt.
    let _litter = fs::remove_file(&unfinished);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o444)))
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(io(verb, path))
        .inspect_err(|_| {
            let _litter = fs::remove_file(&unfinished);
        })
}

#[cfg(test)]
mod tests;
