//! What provisioning needs to know of the node beyond the scan: possible VFs, overrides, MTU, link.

use std::collections::{BTreeMap, BTreeSet};

use host::{driver, error::Result, netdev, pci::PciAddress, sriov, sysfs::Sysfs};

use crate::{
    config::{DeviceType, is_userspace},
    node::{self, Network, Node},
};

/// A network function that is no VF of this node: a PF, a plain NIC, or a VF that a VM was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// What it has in common with its VFs.
    pub bound: Bound,
    /// PCI vendor id.
    pub vendor: u16,
    /// PCI device id.
    pub device: u16,
    /// Firmware's index.
    pub acpi_index: Option<String>,
    /// Its interface and what else that is called.
    pub names: Vec<String>,
    /// Type of its interface.
    pub link_type: Option<String>,
    /// It is a network controller, not an accelerator.
    pub is_network: bool,
    /// VFs; `None` if it can have none.
    pub sriov: Option<Sriov>,
    /// Drivers that are loaded.
    pub drivers: BTreeSet<String>,
}

/// A function and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// PCI address.
    pub address: PciAddress,
    /// Driver that owns it.
    pub driver: Option<String>,
    /// `driver_override`, if set.
    pub overridden: Option<String>,
    /// Its interface in the host's namespace.
    pub interface: Option<Interface>,
    /// Its interface that carries a default route of the node.
    pub host_nic: Option<String>,
    /// The kernel knows how to reset it.
    pub resettable: bool,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// MTU in bytes; `None` if sysfs does not tell.
    pub mtu: Option<u32>,
    /// Administratively up.
    pub up: bool,
}

/// The SR-IOV side of a PF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sriov {
    /// VFs that it allows.
    pub total: u32,
    /// VFs that it has.
    pub count: u32,
    /// Whether the kernel gives new VFs a driver.
    pub autoprobe: bool,
    /// Distance from the PF to VF 0 and between VFs, in routing ids; `None` if unknown.
    pub routing: Option<(u32, u32)>,
    /// The embedded switch is in switchdev mode.
    pub switchdev: bool,
    /// The VFs by index.
    pub vfs: BTreeMap<u32, Bound>,
}

/// A VF by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vf {
    /// The PF.
    pub pf: PciAddress,
    /// Index on the PF.
    pub index: u32,
    /// Its address; `None` if it does not exist yet and cannot be foretold.
    pub address: Option<PciAddress>,
}

/// Looks at all functions of `node` that are no VFs, with their VFs.
pub fn observe(sysfs: &Sysfs, network: &Network, node: &Node) -> Result<Vec<Function>> {
    let drivers: BTreeSet<String> = sysfs
        .entry("bus/pci/drivers")
        .list()?
        .unwrap_or_default()
        .into_iter()
        .collect();
    let mut vfs: BTreeMap<PciAddress, BTreeMap<u32, Bound>> = BTreeMap::new();
    // Sub-functions are nobody's VFs.
    let pci = || node.functions.iter().filter(|one| one.id().pci().is_some());
    for function in pci() {
        let Some((parent, index)) = function
            .parent
            .as_ref()
            .and_then(|parent| Some((parent.pf.address, parent.index?)))
        else {
            continue;
        };
        let bound = bound(sysfs, function, function.interfaces.first());
        vfs.entry(parent).or_default().insert(index, bound);
    }
    Ok(pci()
        .filter(|one| one.parent.is_none())
        .map(|function| {
            let vfs = vfs.remove(&function.address).unwrap_or_default();
            one(sysfs, network, function, vfs, &drivers)
        })
        .collect())
}

fn one(
    sysfs: &Sysfs,
    network: &Network,
    function: &node::Function,
    vfs: BTreeMap<u32, Bound>,
    drivers: &BTreeSet<String>,
) -> Function {
    let address = function.address;
    let uplink = netdev::uplink(sysfs, address).ok().flatten();
    let mut names: Vec<String> = uplink.iter().cloned().collect();
    if let Some(name) = &uplink {
        names.extend_from_slice(network.alt_names(name));
    }
    let sriov = sriov::total_vfs(sysfs, address).ok().map(|total| {
        let entry = sysfs.function(address);
        let number = |name: &str| entry.parse::<u32>(name, "a number").ok();
        Sriov {
            total,
            count: function.vfs,
            // The switch is always there (kernel 4.12); on is its default.
            autoprobe: number("sriov_drivers_autoprobe") != Some(0),
            routing: number("sriov_offset").zip(number("sriov_stride")),
            switchdev: netdev::is_switchdev(sysfs, address).unwrap_or(false),
            vfs,
        }
    });
    Function {
        bound: bound(sysfs, function, uplink.as_ref()),
        vendor: function.vendor,
        device: function.device,
        acpi_index: function.acpi_index.clone(),
        names,
        link_type: function.link_type.clone(),
        is_network: function.kind == DeviceType::NetDevice,
        sriov,
        drivers: drivers.clone(),
    }
}

fn bound(sysfs: &Sysfs, function: &node::Function, name: Option<&String>) -> Bound {
    let address = function.address;
    let interface = name.map(|name| {
        let entry = sysfs.function(address).child("net").child(name);
        Interface {
            name: name.clone(),
            mtu: entry.parse("mtu", "a number of bytes").ok(),
            // IFF_UP is the lowest bit.
            up: entry
                .parse_hex("flags", "flags")
                .is_ok_and(|flags| flags & 1 == 1),
        }
    });
    Bound {
        address,
        driver: function.driver.clone(),
        overridden: driver::overridden(sysfs, address).ok().flatten(),
        interface,
        host_nic: function.host_nic.clone(),
        resettable: sysfs.function(address).has("reset"),
    }
}

impl Bound {
    /// Whether a program in user space drives it.
    pub fn is_userspace(&self) -> bool {
        self.driver.as_deref().is_some_and(is_userspace)
    }
}

impl Function {
    /// What people call it.
    pub fn label(&self) -> String {
        match self.names.first() {
            Some(name) => format!("{} ({name})", self.bound.address),
            None => self.bound.address.to_string(),
        }
    }
}

impl Sriov {
    /// VF `index` of `pf`, which may not exist yet.
    pub fn vf(&self, pf: PciAddress, index: u32) -> Vf {
        let known = self.vfs.get(&index).map(|vf| vf.address);
        Vf {
            pf,
            index,
            address: known.or_else(|| self.foretell(pf, index)),
        }
    }

    /// PCI Express SR-IOV §3.3.9: the PF's routing id, plus the offset, plus a stride for each VF.
    fn foretell(&self, pf: PciAddress, index: u32) -> Option<PciAddress> {
        let (offset, stride) = self.routing?;
        let pf_id = u32::from(pf.bus) << 8 | u32::from(pf.device) << 3 | u32::from(pf.function);
        let id = pf_id
            .checked_add(offset)?
            .checked_add(stride.checked_mul(index)?)?;
        let byte = |value: u32| u8::try_from(value & 0xff).ok();
        Some(PciAddress {
            domain: pf.domain,
            bus: u8::try_from(id >> 8).ok()?,
            device: byte((id & 0xff) >> 3)?,
            function: byte(id & 7)?,
        })
    }
}
