//! Signs of a device's health that come and go: whether its VFIO group can be opened, whether its PF has a carrier.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use host::{driver, pci::PciAddress, sysfs::Sysfs, vfio};

use crate::{
    failure,
    node::{DeviceId, Function, Network, Node},
};

/// What was seen in one scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Devices on VFIO whose group no container could open, and why.
    pub vfio: BTreeMap<DeviceId, String>,
    /// Interfaces of PFs, and whether each can send.
    pub carriers: BTreeMap<String, bool>,
}

/// Looks at all devices of the node.
pub fn observe(sysfs: &Sysfs, network: &Network, node: &Node) -> Signs {
    let mut signs = Signs::default();
    let mut groups = BTreeMap::new();
    for function in &node.functions {
        if let (DeviceId::Pci(address), true) = (&function.id, on_vfio(function))
            && let Some(trouble) = group_trouble(sysfs, *address, &mut groups)
        {
            signs.vfio.insert(function.id.clone(), trouble);
        }
        if let Some(name) = uplink(function)
            && let Some(carrier) = network.carrier(name)
        {
            signs.carriers.insert(name.to_owned(), carrier);
        }
    }
    signs
}

impl Signs {
    /// The interface of the device's PF, if that has no carrier.
    pub fn without_carrier<'a>(&self, function: &'a Function) -> Option<&'a str> {
        let name = uplink(function)?;
        (self.carriers.get(name) == Some(&false)).then_some(name)
    }
}

/// The interface whose carrier counts: the PF's, or a function's own.
fn uplink(function: &Function) -> Option<&str> {
    let names = match &function.parent {
        Some(parent) => &parent.pf.names,
        None => &function.interfaces,
    };
    names.first().map(String::as_str)
}

fn on_vfio(function: &Function) -> bool {
    let driver = function.driver.as_deref();
    driver.is_some_and(|driver| driver.contains("vfio"))
}

/// Why the function's group cannot be opened. `groups` keeps the answer for the others in it.
fn group_trouble(
    sysfs: &Sysfs,
    address: PciAddress,
    groups: &mut BTreeMap<u32, Option<String>>,
) -> Option<String> {
    let group = match vfio::group(sysfs, address) {
        Ok(group) => group,
        Err(error) => return Some(failure::chain(&error)),
    };
    if group.noiommu {
        return None;
    }
    let known = groups.entry(group.number);
    known
        .or_insert_with(|| foreigner(sysfs, group.number))
        .clone()
}

/// VFIO opens a group only if no device in it belongs to another driver (kernel: `vfio_dev_viable`).
fn foreigner(sysfs: &Sysfs, group: u32) -> Option<String> {
    let allowed = BTreeSet::from(["pci-stub", "pcieport"]);
    let members = sysfs.entry(format!("kernel/iommu_groups/{group}/devices"));
    for name in members.list().ok()?.unwrap_or_default() {
        let Ok(address) = name.parse::<PciAddress>() else {
            continue;
        };
        let driver = driver::current(sysfs, address).ok().flatten();
        if let Some(driver) = driver
            && !driver.contains("vfio")
            && !allowed.contains(driver.as_str())
        {
            return Some(format!(
                "{address} in its IOMMU group {group} belongs to driver {driver}"
            ));
        }
    }
    None
}
