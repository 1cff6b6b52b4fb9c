//! RDMA devices of a function and their character devices (spec/device-plugin.md §2.6), from sysfs alone.

use std::path::{Path, PathBuf};

use host::{auxiliary, error::Result, sysfs::Sysfs};

use crate::node::DeviceId;

/// A character device and what programs know it as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharacterDevice {
    /// `ucm`, `issm`, `umad`, `uverbs` or `rdma_cm`.
    pub kind: &'static str,
    /// Path on the host and in the container.
    pub path: PathBuf,
}

/// Classes in which the kernel lists character devices, and how their names begin.
const CLASSES: [(&str, &str); 4] = [
    ("infiniband_cm", "ucm"),
    ("infiniband_mad", "issm"),
    ("infiniband_mad", "umad"),
    ("infiniband_verbs", "uverbs"),
];

/// RDMA devices of a function or sub-function that are visible here.
pub fn devices(sysfs: &Sysfs, id: &DeviceId) -> Result<Vec<String>> {
    let entry = match id {
        DeviceId::Pci(address) => sysfs.function(*address),
        DeviceId::Auxiliary { .. } => auxiliary::device(sysfs, &id.to_string()),
        DeviceId::Software(_) => return Ok(Vec::new()),
    };
    Ok(entry.child("infiniband").list()?.unwrap_or_default())
}

/// Character devices of one RDMA device, then the connection manager's if `dev` (`/dev`) has it.
pub fn character_devices(sysfs: &Sysfs, dev: &Path, device: &str) -> Result<Vec<CharacterDevice>> {
    let mut found = Vec::new();
    for (class, kind) in CLASSES {
        let class = sysfs.entry("class").child(class);
        for name in class.list()?.unwrap_or_default() {
            let ours = name.starts_with(kind)
                && class.child(&name).read_optional("ibdev")?.as_deref() == Some(device);
            if ours {
                found.push(CharacterDevice {
                    kind,
                    path: Path::new("/dev/infiniband").join(name),
                });
                break;
            }
        }
    }
    if dev.join("infiniband/rdma_cm").exists() {
        found.push(CharacterDevice {
            kind: "rdma_cm",
            path: "/dev/infiniband/rdma_cm".into(),
        });
    }
    Ok(found)
}
