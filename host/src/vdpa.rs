//! The vdpa bus: accelerated virtio devices below PCI functions and sub-functions. Read from sysfs alone, without the
//! kernel's netlink family of that name.

use std::path::PathBuf;

use crate::auxiliary::pci_ancestor;
use crate::error::Result;
use crate::pci::PciAddress;
use crate::sysfs::Sysfs;

/// A vDPA device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name on the bus: `vdpa0`.
    pub name: String,
    /// The PCI function that it belongs to; if the part of one, [`Device::auxiliary`] tells which.
    pub parent: PciAddress,
    /// The auxiliary device between it and the PCI function.
    pub auxiliary: Option<String>,
    /// Driver of the bus that owns it: `vhost_vdpa`, `virtio_vdpa`.
    pub driver: Option<String>,
    /// Device node of one that `vhost_vdpa` owns: `/dev/vhost-vdpa-0`.
    pub node: Option<PathBuf>,
}

/// All vDPA devices that sit below a PCI function, ordered by name.
pub fn devices(sysfs: &Sysfs) -> Result<Vec<Device>> {
    let names = sysfs.entry("bus/vdpa/devices").list()?.unwrap_or_default();
    let mut found = Vec::new();
    for name in names {
        found.extend(device(sysfs, name)?);
    }
    Ok(found)
}

/// The device of that name as it is now; `None` if there is none, or none below a PCI function.
pub fn device(sysfs: &Sysfs, name: String) -> Result<Option<Device>> {
    let entry = sysfs.entry("bus/vdpa/devices").child(&name);
    let Some(path) = entry.resolve()? else {
        return Ok(None);
    };
    let Some(parent) = pci_ancestor(&path) else {
        return Ok(None);
    };
    let above = path.parent().and_then(|above| above.file_name()?.to_str());
    let auxiliary = above.filter(|above| above.parse::<PciAddress>().is_err());
    let children = entry.list()?.unwrap_or_default();
    let node = children
        .iter()
        .find(|child| child.starts_with("vhost-vdpa"));
    Ok(Some(Device {
        parent,
        auxiliary: auxiliary.map(str::to_owned),
        driver: entry.link("driver")?,
        node: node.map(|node| PathBuf::from("/dev").join(node)),
        name,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sysfs::FakeSysfs;

    #[test]
    fn vdpa_devices_know_their_function_their_driver_and_their_node() {
        let fake = FakeSysfs::parse(
            "pci 0000:65:00.3{15b3:101e, 0200, drv=mlx5_core}
             pci 0000:65:00.0{15b3:101d, 0200, drv=mlx5_core}
             aux mlx5_core.sf.4{on=0000:65:00.0, sfnum=1}
             vdpa vdpa0{on=0000:65:00.3, drv=vhost_vdpa, node=vhost-vdpa-2}
             vdpa vdpa1{on=0000:65:00.0/mlx5_core.sf.4, drv=virtio_vdpa}
             vdpa vdpa2{on=0000:65:00.3}",
        );
        // The simulator has no PCI function.
        fake.directory("devices/vdpasim/vdpa9");
        let simulated = fake.root().join("devices/vdpasim/vdpa9");
        fake.link("bus/vdpa/devices/vdpa9", simulated);
        let found = devices(&fake.sysfs()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|device| {
                (
                    device.name.as_str(),
                    device.auxiliary.as_deref(),
                    device.driver.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("vdpa0", None, Some("vhost_vdpa")),
                ("vdpa1", Some("mlx5_core.sf.4"), Some("virtio_vdpa")),
                ("vdpa2", None, None),
            ]
        );
        assert_eq!(found[0].node, Some("/dev/vhost-vdpa-2".into()));
        assert_eq!(found[0].parent.to_string(), "0000:65:00.3");
        assert_eq!(
            (found[1].parent.to_string().as_str(), &found[1].node),
            ("0000:65:00.0", &None)
        );
    }

    #[test]
    fn a_node_without_a_vdpa_bus_has_none() {
        assert!(devices(&FakeSysfs::new().sysfs()).unwrap().is_empty());
    }
}
