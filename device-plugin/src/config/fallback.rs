//! The key `fallback` of a pool: slots on nodes without NIC (design §5).

use super::{
    DeviceType, Object,
    document::{Members, Node, Problem},
};

/// More slots than any node has pods.
const MOST: u32 = 1024;

/// Number of slots; `None` if the pool asks for none.
pub(super) fn slots(
    members: &Members<'_>,
    device_type: DeviceType,
    objects: &[Object],
) -> Result<Option<u32>, Problem> {
    let Some(node) = members.get("fallback") else {
        return Ok(None);
    };
    if let Some(why) = impossible(device_type, objects) {
        return Err(node.problem(format!(
            "fallback cannot stand in for {why}: software slots are network interfaces only"
        )));
    }
    let inner = node.members()?;
    for (name, value) in inner.iter() {
        if !name.eq_ignore_ascii_case("slots") {
            return Err(value.problem(format!("key {name:?} is unknown here: known is slots")));
        }
    }
    let Some(slots) = inner.get("slots") else {
        return Err(
            node.problem("slots is missing: write how many pods may share the software network")
        );
    };
    match Node::number(slots)? {
        count @ 1..=MOST => Ok(Some(count)),
        count => Err(slots.problem(format!("{count} slots are not possible: 1 to {MOST}"))),
    }
}

fn impossible(device_type: DeviceType, objects: &[Object]) -> Option<String> {
    match device_type {
        DeviceType::NetDevice => {}
        DeviceType::Accelerator => return Some("accelerators".to_owned()),
        DeviceType::AuxNetDevice => return Some("sub-functions".to_owned()),
    }
    for object in objects {
        let userspace = object.drivers.iter().find(|driver| is_userspace(driver));
        if let Some(driver) = userspace {
            return Some(format!("devices of driver {driver}"));
        }
        if object.rdma {
            return Some("RDMA".to_owned());
        }
        if object.vdpa.is_some() {
            return Some("vDPA".to_owned());
        }
    }
    None
}

/// Whether a driver serves programs in user space.
pub(crate) fn is_userspace(driver: &str) -> bool {
    // vfio-pci and its variants: mlx5_vfio_pci, ice_vfio_pci, hisi_acc_vfio_pci, ...
    driver.contains("vfio") || ["uio", "igb_uio", "uio_pci_generic"].contains(&driver)
}
