//! What must not be left on a node when its pods are gone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Folders that hold something per pod, with what a name in them means. Lock files and `last_reserved_ip` of
/// host-local are no leases.
const FOLDERS: [(&str, &str); 10] = [
    (RECORDS, "record of multus"),
    (
        "/var/lib/cni/multus/kept",
        "attachment that multus could not delete",
    ),
    ("/var/lib/cni/multus/damaged", "damaged record of multus"),
    ("/var/lib/cni/multus", "record of multus"),
    ("/var/lib/cni/multus/results", "cached result"),
    ("/var/lib/cni/sriov", "record of sriov"),
    ("/var/lib/cni/sriov/ledger", "record of sriov"),
    ("/var/lib/cni/sriov/pci", "VF allocation"),
    ("/var/lib/cni/results", "cached result of the runtime"),
    ("/var/run/k8s.cni.cncf.io/devinfo/cni", "device information"),
];

/// Records of sandboxes with networks.
const RECORDS: &str = "/var/lib/cni/multus/journal";

/// Where host-local keeps its leases: a folder per network, a file per address.
const LEASES: &str = "/var/lib/cni/networks";

/// A line per file that belongs to a pod. With no pod on the node the list must be empty.
///
/// # Errors
/// When a folder that exists cannot be read.
pub fn of_pods() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (folder, what) in FOLDERS {
        for name in files(Path::new(folder))? {
            if name.rsplit('.').next() != Some("lock") {
                found.push(format!("{what}: {folder}/{name}"));
            }
        }
    }
    for network in folders(Path::new(LEASES))? {
        for name in files(&Path::new(LEASES).join(&network))? {
            if name.parse::<std::net::IpAddr>().is_ok() {
                found.push(format!("lease: {LEASES}/{network}/{name}"));
            }
        }
    }
    Ok(found)
}

/// Sandboxes that multus has a record of.
///
/// # Errors
/// When the folder cannot be read.
pub fn records() -> Result<Vec<String>> {
    files(Path::new(RECORDS))
}

/// Every file in this folder and below it; none where there is no folder.
///
/// # Errors
/// When a folder that exists cannot be read.
pub fn tree(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = files(folder)?
        .iter()
        .map(|name| folder.join(name))
        .collect();
    for name in folders(folder)? {
        found.extend(tree(&folder.join(name))?);
    }
    Ok(found)
}

fn files(folder: &Path) -> Result<Vec<String>> {
    list(folder, false)
}

fn folders(folder: &Path) -> Result<Vec<String>> {
    list(folder, true)
}

fn list(folder: &Path, directories: bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let is_dir = entry
            .file_type()
            .with_context(|| format!("look at {}", entry.path().display()))?
            .is_dir();
        if is_dir == directories {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
