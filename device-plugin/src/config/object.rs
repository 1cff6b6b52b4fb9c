//! One selector object: all its selectors must hold, any value of a selector will do.

use host::pci::PciAddress;

use super::{
    DeviceType, VdpaType,
    document::{Members, Node, Problem},
    range::{self, Functions},
};

/// Selectors of spec/device-plugin.md §1.5; those that a pool's kind of device has nothing for are empty. An empty list does not constrain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// PCI vendor ids.
    pub vendors: Vec<u16>,
    /// PCI device ids.
    pub devices: Vec<u16>,
    /// Names of drivers.
    pub drivers: Vec<String>,
    /// Addresses of the functions themselves.
    pub addresses: Vec<PciAddress>,
    /// Firmware's indexes, as text.
    pub acpi_indexes: Vec<String>,
    /// Virtual functions by interface of their PF.
    pub pf_names: Vec<Functions<String>>,
    /// Virtual functions by address of their PF.
    pub root_devices: Vec<Functions<PciAddress>>,
    /// Link types: `ether`, `infiniband`.
    pub link_types: Vec<String>,
    /// DDP profiles, as firmware tells them.
    pub ddp_profiles: Vec<String>,
    /// InfiniBand partition keys without the membership bit.
    pub p_keys: Vec<u16>,
    /// Only RDMA-capable functions; containers get the RDMA devices, too.
    pub rdma: bool,
    /// Only functions with a vDPA device of that driver.
    pub vdpa: Option<VdpaType>,
    /// `pfNames` and `rootDevices` mean the PF itself, too; one that has VFs is never given away.
    pub include_pfs: bool,
    /// No selector: containers get vhost-net and tun, too.
    pub vhost_net: bool,
}

/// Bit 15 of a P_Key tells full from limited membership (InfiniBand Architecture §10.9.1.2).
pub const P_KEY: u16 = 0x7fff;

/// Reads an object.
pub(super) fn read(
    node: &Node<'_>,
    device_type: DeviceType,
    warnings: &mut Vec<Problem>,
) -> Result<Object, Problem> {
    if node.is_null() {
        return Err(node.problem("a selector object is null: write {} if every function is meant"));
    }
    let members = node.members()?;
    let flag = |key| {
        Ok(members
            .get(key)
            .map(Node::boolean)
            .transpose()?
            .unwrap_or(false))
    };
    let mut object = Object {
        vendors: list(&members, "vendors", |text| hex(text, "a PCI id like 8086"))?,
        devices: list(&members, "devices", |text| hex(text, "a PCI id like 154c"))?,
        drivers: strings(&members, "drivers")?,
        addresses: list(&members, "pciAddresses", address)?,
        acpi_indexes: strings(&members, "acpiIndexes")?,
        pf_names: list(&members, "pfNames", range::parse)?,
        root_devices: list(&members, "rootDevices", |text| {
            range::parse(text)?.try_map(|parent| address(&parent))
        })?,
        link_types: strings(&members, "linkTypes")?,
        p_keys: list(&members, "pKeys", |text| {
            Ok(hex(text, "a P_Key like 0x8001")? & P_KEY)
        })?,
        ddp_profiles: strings(&members, "ddpProfiles")?,
        rdma: flag("isRdma")?,
        vdpa: vdpa(&members)?,
        include_pfs: flag("includePfs")?,
        vhost_net: flag("needVhostNet")?,
    };
    if object.rdma && object.vdpa.is_some() {
        return Err(members.get("vdpaType").unwrap_or(node).problem(
            "vdpaType and isRdma exclude each other: put them into two selector objects",
        ));
    }
    if device_type == DeviceType::AuxNetDevice {
        aux_types(node, &members)?;
    }
    for key in device_type.without() {
        if let Some(node) = members.get(key).filter(|_| object.clear(key)) {
            warnings.push(node.problem(format!(
                "{key} has no meaning for {}: it is ignored",
                device_type.key()
            )));
        }
    }
    warn_of_repeated_parents(&members, &object, warnings);
    Ok(object)
}

/// A list of strings; absent counts as empty.
pub(super) fn strings(members: &Members<'_>, key: &str) -> Result<Vec<String>, Problem> {
    list(members, key, |text| Ok(text.to_owned()))
}

/// A PCI address in any spelling: upper case, or without the domain.
pub(super) fn address(text: &str) -> Result<PciAddress, String> {
    let short = text.len() == "3b:02.1".len();
    let parsed = if short {
        format!("0000:{text}").parse()
    } else {
        text.parse()
    };
    parsed.map_err(|_| format!("{text:?} is no PCI address like 0000:3b:02.1"))
}

pub(super) fn list<T>(
    members: &Members<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let Some(node) = members.get(key) else {
        return Ok(Vec::new());
    };
    let read = |item: &Node<'_>| parse(&item.string()?).map_err(|text| item.problem(text));
    node.items()?.iter().map(read).collect()
}

/// A number of up to four hexadecimal digits, in any case, with or without `0x`.
pub(super) fn hex(text: &str, expected: &str) -> Result<u16, String> {
    let digits = text
        .strip_prefix("0x")
        .or(text.strip_prefix("0X"))
        .unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = if plain {
        u16::from_str_radix(digits, 16).ok()
    } else {
        None
    };
    number.ok_or_else(|| format!("{text:?} is not {expected}"))
}

impl Object {
    /// Empties the selector of that key; whether it was in use. A switch that is off is not.
    fn clear(&mut self, key: &str) -> bool {
        fn taken<T: Default + PartialEq>(value: &mut T) -> bool {
            std::mem::take(value) != T::default()
        }
        match key {
            "pciAddresses" => taken(&mut self.addresses),
            "acpiIndexes" => taken(&mut self.acpi_indexes),
            "pfNames" => taken(&mut self.pf_names),
            "rootDevices" => taken(&mut self.root_devices),
            "linkTypes" => taken(&mut self.link_types),
            "ddpProfiles" => taken(&mut self.ddp_profiles),
            "pKeys" => taken(&mut self.p_keys),
            "isRdma" => taken(&mut self.rdma),
            "vdpaType" => taken(&mut self.vdpa),
            "includePfs" => taken(&mut self.include_pfs),
            "needVhostNet" => taken(&mut self.vhost_net),
            _ => true,
        }
    }
}

/// Only sub-functions are for containers; the key is demanded all the same, as by the Go plugin.
fn aux_types(object: &Node<'_>, members: &Members<'_>) -> Result<(), Problem> {
    let node = members.get("auxTypes").unwrap_or(object);
    let types = strings(members, "auxTypes")?;
    if types.is_empty() {
        return Err(node.problem("auxTypes is missing or empty: write [\"sf\"]"));
    }
    match types.iter().find(|kind| *kind != "sf") {
        Some(kind) => Err(node.problem(format!("auxTypes {kind:?} is not served: write [\"sf\"]"))),
        None => Ok(()),
    }
}

fn vdpa(members: &Members<'_>) -> Result<Option<VdpaType>, Problem> {
    let Some(node) = members.get("vdpaType") else {
        return Ok(None);
    };
    match node.string()?.as_str() {
        "" => Ok(None),
        "vhost" => Ok(Some(VdpaType::Vhost)),
        "virtio" => Ok(Some(VdpaType::Virtio)),
        kind => Err(node.problem(format!(
            "vdpaType {kind:?} is unknown: write vhost or virtio"
        ))),
    }
}

/// The program that this one replaces used only the first entry of a PF; here they add up.
fn warn_of_repeated_parents(members: &Members<'_>, object: &Object, warnings: &mut Vec<Problem>) {
    let names = object
        .pf_names
        .iter()
        .map(|entry| entry.parent.to_lowercase())
        .collect();
    let addresses = object
        .root_devices
        .iter()
        .map(|entry| entry.parent.to_string())
        .collect();
    let lists: [(&str, Vec<String>); 2] = [("pfNames", names), ("rootDevices", addresses)];
    for (key, parents) in lists {
        for (place, parent) in parents.iter().enumerate() {
            let seen = parents[..place]
                .iter()
                .filter(|other| *other == parent)
                .count();
            if seen == 1
                && let Some(node) = members.get(key)
            {
                warnings.push(node.problem(format!(
                    "{key} names {parent} more than once: the entries add up (the Go plugin used the first only)"
                )));
            }
        }
    }
}
