//! Device nodes of functions that a userspace driver owns: VFIO groups, VFIO devices (iommufd) and UIO.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::pci::PciAddress;
use crate::sysfs::Sysfs;

/// The IOMMU group of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Number of the group.
    pub number: u32,
    /// The group is the kernel's stand-in for a missing IOMMU.
    pub noiommu: bool,
}

impl Group {
    /// Group node on the node.
    pub fn host_path(self) -> PathBuf {
        let infix = if self.noiommu { "noiommu-" } else { "" };
        PathBuf::from(format!("/dev/vfio/{infix}{}", self.number))
    }

    /// Group node as programs in a container look for it.
    pub fn container_path(self) -> PathBuf {
        PathBuf::from(format!("/dev/vfio/{}", self.number))
    }
}

/// The IOMMU group of a function. No group, or no function, is an error that says what is missing.
pub fn group(sysfs: &Sysfs, function: PciAddress) -> Result<Group> {
    let entry = sysfs.function(function);
    if !entry.exists() {
        return Err(Error::state(
            Kind::NotFound,
            function,
            "no such PCI function on this node",
        ));
    }
    let Some(name) = entry.link("iommu_group")? else {
        return Err(Error::state(
            Kind::NotFound,
            function,
            "in no IOMMU group: switch the IOMMU on in firmware and kernel command line",
        ));
    };
    let number = name.parse().map_err(|_| Error::Value {
        path: entry.path().join("iommu_group"),
        value: name,
        expected: "a link to a numbered group",
    })?;
    let label = entry.child("iommu_group").read_optional("name")?;
    Ok(Group {
        number,
        noiommu: label.as_deref() == Some("vfio-noiommu"),
    })
}

/// Whether no process has the group at `node` open: the kernel lets one at a time (EBUSY). An error says why nobody can
/// tell, for example that the node cannot be opened here. Nothing is done to the group's devices.
pub fn is_free(node: &Path) -> Result<bool> {
    match OpenOptions::new().read(true).write(true).open(node) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => Ok(false),
        Err(error) => Err(Error::file("open", node, error)),
    }
}

/// Node of the VFIO device itself (`/dev/vfio/devices/vfioN`, kernel 6.6 with the option), if there is one.
pub fn device_node(sysfs: &Sysfs, function: PciAddress) -> Result<Option<PathBuf>> {
    let names = sysfs
        .function(function)
        .child("vfio-dev")
        .list()?
        .unwrap_or_default();
    Ok(names
        .first()
        .map(|name| PathBuf::from(format!("/dev/vfio/devices/{name}"))))
}

/// Node of a function that a UIO driver owns.
pub fn uio_node(sysfs: &Sysfs, function: PciAddress) -> Result<PathBuf> {
    let names = sysfs
        .function(function)
        .child("uio")
        .list()?
        .unwrap_or_default();
    match names.first() {
        Some(name) => Ok(PathBuf::from(format!("/dev/{name}"))),
        None => Err(Error::state(
            Kind::NotFound,
            function,
            "has no UIO device: is a UIO driver bound?",
        )),
    }
}

#[cfg(test)]
mod tests;
