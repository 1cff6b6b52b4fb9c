//! DeviceInfo files: what a device is, for CNI plugins and for network-status (spec/device-plugin.md §4).

use std::path::PathBuf;

use cni::net_attach::device_info::{self, DeviceInfo, DeviceInfoError, Pci, VERSION, Vdpa};

use super::held::HeldFiles;
use crate::{
    access::Access,
    config::{DeviceType, ResourceName},
    node::DeviceId,
    plan::Device,
};

/// The files of one directory.
#[derive(Debug)]
pub struct DeviceInfoFiles {
    /// Their lives.
    pub files: HeldFiles,
}

impl DeviceInfoFiles {
    /// Files in `directory`, which is made when it is needed and shared with other plugins.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            files: HeldFiles::new(directory, ("", "-device.json"), false),
        }
    }

    /// Writes the file of a device, in place of an older one.
    pub fn write(
        &self,
        resource: &ResourceName,
        id: &DeviceId,
        info: &DeviceInfo,
    ) -> Result<(), DeviceInfoError> {
        let put = |path: &std::path::Path| device_info::write(path, info);
        self.files.write(resource, id, put)
    }
}

/// What is told of a device; nothing of an accelerator, which no CNI plugin handles.
///
/// A sub-function has no PCI address of its own: what is told is its PF, its RDMA devices and its
/// representor, where there is one.
pub fn describe(device: &Device, access: &Access) -> Option<DeviceInfo> {
    let function = &device.function;
    let address = match function.id {
        DeviceId::Pci(address) => address,
        DeviceId::Auxiliary { .. } => return Some(sub_function(device, access)),
        // A type of our own, so that network-status shows that no hardware is behind it (design §5).
        DeviceId::Software(_) => return Some(empty("software")),
    };
    if function.kind != DeviceType::NetDevice {
        return None;
    }
    let mut info = empty("pci");
    if let (Some(vdpa), Some(kind)) = (&access.vdpa, device.vdpa) {
        info = empty("vdpa");
        let path = vdpa.node.as_ref().map(|node| node.display().to_string());
        info.vdpa = Some(Vdpa {
            parent_device: vdpa.name.clone(),
            driver: kind.key().to_owned(),
            path: path.unwrap_or_default(),
            pci_address: address.to_string(),
            ..Vdpa::default()
        });
    } else {
        info.pci = Some(Pci {
            pci_address: address.to_string(),
            rdma_device: access.rdma.join(","),
            ..Pci::default()
        });
    }
    Some(info)
}

fn sub_function(device: &Device, access: &Access) -> DeviceInfo {
    let mut info = empty("pci");
    info.pci = Some(Pci {
        rdma_device: access.rdma.join(","),
        pf_pci_address: device.function.address.to_string(),
        representor_device: access.representor.clone().unwrap_or_default(),
        ..Pci::default()
    });
    info
}

fn empty(kind: &str) -> DeviceInfo {
    DeviceInfo {
        kind: kind.to_owned(),
        version: VERSION.to_owned(),
        ..DeviceInfo::default()
    }
}
