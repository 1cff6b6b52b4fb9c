//! Why a selector object does not take a function: exclusions first, then selectors in the order of
//! spec/device-plugin.md §1.5.

use crate::{
    config::{DeviceType, Functions, Object, Pool},
    node::Function,
};

/// The first reason found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The pool's `deviceType` is another.
    #[error("it is {}, the pool takes {}", found.words(), wanted.key())]
    OtherKind {
        /// What it is.
        found: DeviceType,
        /// What the pool takes.
        wanted: DeviceType,
    },
    /// A function without a driver may get one at any moment; it is offered then.
    #[error("it has no driver")]
    NoDriver,
    /// A PF is not given away under its VFs.
    #[error("it is a PF with {0} VFs")]
    HasVfs(u32),
    /// The node would lose its network.
    #[error("the node's default route goes through its interface {0} (allowHostNics overrides)")]
    HostNic(String),
    /// A selector wants something else.
    #[error("{selector} does not match {found}")]
    Selector {
        /// Key of the configuration.
        selector: &'static str,
        /// What the function has.
        found: String,
    },
}

impl Refusal {
    /// The reason as one word: a selector's key, or a rule.
    pub fn word(&self) -> &'static str {
        match self {
            Self::OtherKind { .. } => "deviceType",
            Self::NoDriver => "no-driver",
            Self::HasVfs(_) => "has-vfs",
            Self::HostNic(_) => "host-nic",
            Self::Selector { selector, .. } => selector,
        }
    }
}

/// Why `object` does not take `function`; `None` if it does.
pub(super) fn refusal(pool: &Pool, object: &Object, function: &Function) -> Option<Refusal> {
    let Some(driver) = &function.driver else {
        return Some(Refusal::NoDriver);
    };
    // An accelerator is given away beside its VFs, and a sub-function is not its PF.
    let is_net = function.kind == DeviceType::NetDevice;
    if is_net && function.vfs > 0 {
        return Some(Refusal::HasVfs(function.vfs));
    }
    if let Some(interface) = &function.host_nic
        && is_net
        && !allowed(pool, function)
    {
        return Some(Refusal::HostNic(interface.clone()));
    }
    let unmatched = unmatched(object, function, driver);
    unmatched.map(|(selector, found)| Refusal::Selector { selector, found })
}

fn allowed(pool: &Pool, function: &Function) -> bool {
    pool.allow_host_nics
        .iter()
        .any(|name| function.interfaces.contains(name) || *name == function.address.to_string())
}

/// Key of the first selector that does not hold, and what the function has instead.
fn unmatched(object: &Object, function: &Function, driver: &str) -> Option<(&'static str, String)> {
    let or_none = |text: Option<&String>| text.map_or("none", String::as_str).to_owned();
    let itself = object
        .include_pfs
        .then_some(function.own.as_ref())
        .flatten();
    let pf = function.parent.as_ref().map(|parent| &parent.pf).or(itself);
    let index = function.parent.as_ref().and_then(|parent| parent.index);
    let place = |name: String| index.map_or(name.clone(), |index| format!("{name}#{index}"));
    if !one_of(&object.vendors, &function.vendor) {
        return Some(("vendors", format!("{:04x}", function.vendor)));
    }
    if !one_of(&object.devices, &function.device) {
        return Some(("devices", format!("{:04x}", function.device)));
    }
    if !object.drivers.is_empty() && !object.drivers.iter().any(|wanted| wanted == driver) {
        return Some(("drivers", driver.to_owned()));
    }
    if !one_of(&object.addresses, &function.address) {
        return Some(("pciAddresses", function.address.to_string()));
    }
    let acpi_index = function.acpi_index.clone().unwrap_or_default();
    if !one_of(&object.acpi_indexes, &acpi_index) {
        return Some(("acpiIndexes", format!("{acpi_index:?}")));
    }
    let names = pf.map_or(&[][..], |pf| &pf.names);
    let is_parent = |wanted: &String| names.iter().any(|name| same_name(name, wanted));
    if !within(&object.pf_names, index, is_parent) {
        return Some(("pfNames", place(or_none(names.first()))));
    }
    let root = pf.map(|pf| pf.address);
    if !within(&object.root_devices, index, |wanted| Some(*wanted) == root) {
        return Some((
            "rootDevices",
            place(or_none(root.map(|pf| pf.to_string()).as_ref())),
        ));
    }
    let link_type = function.link_type.clone().unwrap_or_default();
    if !one_of(&object.link_types, &link_type) {
        return Some(("linkTypes", or_none(function.link_type.as_ref())));
    }
    if !object.ddp_profiles.is_empty()
        && !function
            .ddp_profile
            .as_ref()
            .is_some_and(|profile| object.ddp_profiles.contains(profile))
    {
        return Some(("ddpProfiles", or_none(function.ddp_profile.as_ref())));
    }
    if !object.p_keys.is_empty()
        && !function
            .p_key
            .is_some_and(|key| object.p_keys.contains(&key))
    {
        let found = function.p_key.map(|key| format!("{key:#06x}"));
        return Some(("pKeys", or_none(found.as_ref())));
    }
    if object.rdma && !function.can_rdma {
        return Some(("isRdma", "a function without an RDMA device".to_owned()));
    }
    if let Some(wanted) = object.vdpa {
        let found = match &function.vdpa {
            None => "a function without a vDPA device".to_owned(),
            Some(device) if device.driver.as_deref() == Some(wanted.driver()) => return None,
            Some(device) => format!("{} on {}", or_none(device.driver.as_ref()), device.name),
        };
        return Some(("vdpaType", found));
    }
    None
}

fn one_of<T: PartialEq>(wanted: &[T], found: &T) -> bool {
    wanted.is_empty() || wanted.contains(found)
}

/// Entries of one parent add up.
fn within<T>(wanted: &[Functions<T>], index: Option<u32>, is_parent: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty()
        || wanted
            .iter()
            .any(|entry| is_parent(&entry.parent) && entry.contains(index))
}

/// Interfaces are told apart without regard to case, as in the program that this one replaces.
fn same_name(name: &str, wanted: &str) -> bool {
    name.to_lowercase() == wanted.to_lowercase()
}
