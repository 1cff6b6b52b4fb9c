//! The block `provision`: how many VFs a PF is to have, and which driver each (spec/ecosystem.md §1.4).
//!
//! What is wrong here costs pods their devices, so unlike in `resourceList` an unknown key is an
//! error, a selector that selects everything is none, and nothing is guessed.

#[cfg(test)]
mod tests;

use std::{fmt, ops::RangeInclusive};

use host::pci::PciAddress;

use super::{
    Pool,
    document::{Members, Node, Problem},
    fallback::is_userspace,
    object::{address, hex, list, strings},
    range,
};

/// One entry of the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// Position in the file, from 0.
    pub index: usize,
    /// Which functions are meant.
    pub selector: Selector,
    /// What they are to have.
    pub target: Target,
    /// MTU of the functions' interfaces and of those of their VFs, in bytes; `None` leaves it alone.
    pub mtu: Option<u32>,
    /// What to do if a change would disturb a VF in use.
    pub on_mismatch: OnMismatch,
    /// Names or addresses of the node's own interfaces that the entry may change all the same.
    pub allow_host_nics: Vec<String>,
}

/// Which functions: all selectors must hold, any value of one will do, as in pools. Never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// PCI vendor ids.
    pub vendors: Vec<u16>,
    /// PCI device ids.
    pub devices: Vec<u16>,
    /// Names of drivers.
    pub drivers: Vec<String>,
    /// Addresses; `rootDevices` says the same.
    pub addresses: Vec<PciAddress>,
    /// Firmware's indexes.
    pub acpi_indexes: Vec<String>,
    /// Names of interfaces, alternative ones included.
    pub names: Vec<String>,
    /// Link types.
    pub link_types: Vec<String>,
}

/// What selected functions are to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// PFs with VFs.
    Pf {
        /// How many; `None` if somebody else decides (rule g).
        count: Option<Count>,
        /// Drivers by index of the VF. They do not overlap.
        groups: Vec<Group>,
    },
    /// The functions themselves, as a VM sees VFs that were passed to it (rule h).
    Itself(Driver),
}

/// How many VFs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As many as the PF allows.
    Max,
    /// This many.
    Exactly(u32),
}

/// VFs that get one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Indexes of the VFs.
    pub vfs: Vec<RangeInclusive<u32>>,
    /// Their driver.
    pub driver: Driver,
    /// The resource that they are meant for, as the file spells it.
    pub pool: Option<String>,
}

/// Which driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// The kernel's choice.
    Default,
    /// This one.
    Named(String),
}

/// What to do if a change would disturb a VF in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMismatch {
    /// Fail.
    Refuse,
    /// Leave it for a later run.
    WhenIdle,
    /// Do it.
    Force,
}

/// An entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionRejected {
    /// Position in the file, from 0.
    pub index: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ProvisionRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "provision entry {} rejected: {}",
            self.index + 1,
            self.problem
        )
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("its default driver"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl Selector {
    /// Whether functions are named one by one, and not by kind.
    pub fn names_functions(&self) -> bool {
        !(self.names.is_empty() && self.addresses.is_empty() && self.acpi_indexes.is_empty())
    }
}

impl Provision {
    /// The driver that VF `index` is to have; `None` if no group has it.
    pub fn driver(&self, index: u32) -> Option<&Driver> {
        let Target::Pf { groups, .. } = &self.target else {
            return None;
        };
        let group = groups
            .iter()
            .find(|group| group.vfs.iter().any(|range| range.contains(&index)));
        group.map(|group| &group.driver)
    }
}

const ENTRY: [&str; 8] = [
    "pf",
    "functions",
    "numVfs",
    "mtu",
    "groups",
    "driver",
    "onMismatch",
    "allowHostNics",
];
const SELECTOR: [&str; 8] = [
    "vendors",
    "devices",
    "drivers",
    "pciAddresses",
    "rootDevices",
    "acpiIndexes",
    "pfNames",
    "linkTypes",
];
const GROUP: [&str; 3] = ["vfs", "driver", "pool"];

/// Refuses a pool with software slots that an entry gives devices for programs in user space.
pub(super) fn agrees(node: &Node<'_>, pool: Pool, entries: &[Provision]) -> Result<Pool, Problem> {
    if pool.fallback.is_none() {
        return Ok(pool);
    }
    let groups = entries.iter().flat_map(|entry| match &entry.target {
        Target::Pf { groups, .. } => groups.as_slice(),
        Target::Itself(_) => &[],
    });
    let name = pool.name.to_string();
    let wrong = groups
        .filter(|group| group.pool.as_ref() == Some(&name))
        .find_map(|group| match &group.driver {
            Driver::Named(driver) if is_userspace(driver) => Some(driver),
            _ => None,
        });
    match wrong {
        Some(driver) => Err(node.problem(format!(
            "fallback cannot stand in for devices of driver {driver}, which provision gives this pool"
        ))),
        None => Ok(pool),
    }
}

/// Reads an entry.
pub(super) fn read(index: usize, node: &Node<'_>) -> Result<Provision, Problem> {
    let members = node.members()?;
    known(&members, &ENTRY)?;
    let (selector, target) = match (members.get("pf"), members.get("functions")) {
        (Some(pf), None) => (selector(pf)?, pf_target(&members)?),
        (None, Some(functions)) => (selector(functions)?, itself(&members)?),
        _ => {
            return Err(node.problem(
                "write either pf, whose VFs are meant, or functions, which are meant themselves",
            ));
        }
    };
    Ok(Provision {
        index,
        selector,
        target,
        mtu: members.get("mtu").map(mtu).transpose()?,
        on_mismatch: on_mismatch(&members)?,
        allow_host_nics: strings(&members, "allowHostNics")?,
    })
}

fn known(members: &Members<'_>, keys: &[&str]) -> Result<(), Problem> {
    for (name, node) in members.iter() {
        if !keys.iter().any(|key| key.eq_ignore_ascii_case(name)) {
            return Err(node.problem(format!(
                "key {name:?} is unknown here: known are {}",
                keys.join(", ")
            )));
        }
    }
    Ok(())
}

fn selector(node: &Node<'_>) -> Result<Selector, Problem> {
    let members = node.members()?;
    known(&members, &SELECTOR)?;
    let name = |text: &str| {
        if text.is_empty() || text.contains('#') {
            return Err(format!(
                "{text:?} is no name of an interface: VFs are told apart in groups"
            ));
        }
        Ok(text.to_owned())
    };
    let mut addresses = list(&members, "pciAddresses", address)?;
    addresses.extend(list(&members, "rootDevices", address)?);
    let selector = Selector {
        vendors: list(&members, "vendors", |text| hex(text, "a PCI id like 8086"))?,
        devices: list(&members, "devices", |text| hex(text, "a PCI id like 1572"))?,
        drivers: strings(&members, "drivers")?,
        addresses,
        acpi_indexes: strings(&members, "acpiIndexes")?,
        names: list(&members, "pfNames", name)?,
        link_types: strings(&members, "linkTypes")?,
    };
    if selector == Selector::default() {
        return Err(node.problem(
            "selects every function of the node: name them, or a vendor or driver of theirs",
        ));
    }
    Ok(selector)
}

fn pf_target(members: &Members<'_>) -> Result<Target, Problem> {
    if let Some(node) = members.get("driver") {
        return Err(node.problem("the driver of VFs belongs into groups"));
    }
    let count = members.get("numVfs").map(count).transpose()?;
    let mut groups: Vec<Group> = Vec::new();
    for node in members.get("groups").map_or(Ok(&[][..]), Node::items)? {
        let group = group(node)?;
        let ranges = || groups.iter().flat_map(|group| &group.vfs);
        for range in &group.vfs {
            let both = |other: &&RangeInclusive<u32>| {
                other.start() <= range.end() && range.start() <= other.end()
            };
            if let Some(other) = ranges().find(both) {
                return Err(node.problem(format!(
                    "vfs {} are in an earlier group already",
                    text(&(*other.start().max(range.start())..=*other.end().min(range.end())))
                )));
            }
            if let Some(Count::Exactly(count)) = count
                && *range.end() >= count
            {
                return Err(node.problem(format!(
                    "vfs {} reach beyond numVfs: the last of {count} VFs has index {}",
                    text(range),
                    i64::from(count) - 1
                )));
            }
        }
        groups.push(group);
    }
    Ok(Target::Pf { count, groups })
}

fn itself(members: &Members<'_>) -> Result<Target, Problem> {
    for key in ["numVfs", "groups"] {
        if let Some(node) = members.get(key) {
            return Err(node.problem(format!("{key} goes with pf, not with functions")));
        }
    }
    let driver = members.get("driver").map(driver).transpose()?;
    Ok(Target::Itself(driver.unwrap_or(Driver::Default)))
}

fn count(node: &Node<'_>) -> Result<Count, Problem> {
    if node.string().is_ok_and(|text| text == "max") {
        return Ok(Count::Max);
    }
    let number = node.number();
    number
        .map(Count::Exactly)
        .map_err(|_| node.problem("expected a number of VFs or \"max\""))
}

fn mtu(node: &Node<'_>) -> Result<u32, Problem> {
    match node.number()? {
        // RFC 791 and the width of IPv4's length.
        mtu @ 68..=65535 => Ok(mtu),
        mtu => Err(node.problem(format!("no interface has an MTU of {mtu}: 68 to 65535"))),
    }
}

fn group(node: &Node<'_>) -> Result<Group, Problem> {
    let members = node.members()?;
    known(&members, &GROUP)?;
    let Some(vfs) = members.get("vfs") else {
        return Err(node.problem("vfs is missing: write the indexes of VFs, like \"0-3\""));
    };
    let driver = members.get("driver").map(driver).transpose()?;
    Ok(Group {
        vfs: range::indexes(&vfs.string()?).map_err(|text| vfs.problem(text))?,
        driver: driver.unwrap_or(Driver::Default),
        pool: members.get("pool").map(Node::string).transpose()?,
    })
}

fn driver(node: &Node<'_>) -> Result<Driver, Problem> {
    let name = node.string()?;
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match name.as_str() {
        "default" => Ok(Driver::Default),
        "" => Err(node.problem("a driver without a name: write \"default\" or one like vfio-pci")),
        // It becomes part of a path.
        name if name.bytes().all(is_inner) => Ok(Driver::Named(name.to_owned())),
        name => Err(node.problem(format!("{name:?} is no name of a driver, like vfio-pci"))),
    }
}

fn on_mismatch(members: &Members<'_>) -> Result<OnMismatch, Problem> {
    let Some(node) = members.get("onMismatch") else {
        return Ok(OnMismatch::Refuse);
    };
    match node.string()?.as_str() {
        "refuse" => Ok(OnMismatch::Refuse),
        "whenIdle" => Ok(OnMismatch::WhenIdle),
        "force" => Ok(OnMismatch::Force),
        other => Err(node.problem(format!(
            "onMismatch {other:?} is unknown: write refuse, whenIdle or force"
        ))),
    }
}

fn text(range: &RangeInclusive<u32>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}
