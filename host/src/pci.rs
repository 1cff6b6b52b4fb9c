//! PCI functions: addresses and the facts that sysfs tells about each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sysfs::Sysfs;

/// Address of a PCI function, `dddd:bb:dd.f`. The domain has four digits or more (Intel VMD uses 10000 and up).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress {
    /// PCI domain (segment).
    pub domain: u32,
    /// Bus number.
    pub bus: u8,
    /// Device on the bus, at most 0x1f.
    pub device: u8,
    /// Function of the device, at most 7.
    pub function: u8,
}

/// What sysfs tells about one PCI function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its address.
    pub address: PciAddress,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class code, 24 bits: base class, subclass, programming interface.
    pub class: u32,
    /// NUMA node, if the platform tells one.
    pub numa: Option<u32>,
    /// Firmware's index of an on-board device.
    pub acpi_index: Option<String>,
}

/// All readable functions, ordered by address, and what had to be left out and why.
#[derive(Debug, Default)]
pub struct Scan {
    /// Functions that could be read.
    pub functions: Vec<Function>,
    /// One error per entry that could not; the others are not affected.
    pub skipped: Vec<Error>,
}

impl Function {
    /// Base class: 0x02 network, 0x12 processing accelerator.
    pub fn base_class(&self) -> u8 {
        self.class.to_be_bytes()[1]
    }
}

impl PciAddress {
    /// Bus, device and function as one number, as they are on the bus.
    pub fn routing_id(self) -> u32 {
        u32::from(self.bus) << 8 | u32::from(self.device) << 3 | u32::from(self.function)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.device, self.function
        )
    }
}

impl FromStr for PciAddress {
    type Err = Error;

    /// Accepts upper case and surplus zeros of the domain, so that one function has one value.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::Text {
            value: text.to_owned(),
            expected: "a PCI address like 0000:3b:02.1",
        })
    }
}

impl TryFrom<String> for PciAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PciAddress> for String {
    fn from(address: PciAddress) -> Self {
        address.to_string()
    }
}

/// All PCI functions of the node. One unreadable entry does not hide the others.
pub fn scan(sysfs: &Sysfs) -> Result<Scan> {
    let mut scan = Scan::default();
    for name in sysfs.entry("bus/pci/devices").list()?.unwrap_or_default() {
        match name.parse().and_then(|address| function(sysfs, address)) {
            Ok(function) => scan.functions.push(function),
            Err(error) => scan.skipped.push(error),
        }
    }
    scan.functions
        .sort_unstable_by_key(|function| function.address);
    Ok(scan)
}

/// Facts of one function, from its files `vendor`, `device` and `class`.
pub fn function(sysfs: &Sysfs, address: PciAddress) -> Result<Function> {
    let entry = sysfs.function(address);
    let id = |name| {
        let value = entry.parse_hex(name, "a PCI id like 0x8086")?;
        u16::try_from(value).map_err(|_| Error::Value {
            path: entry.path().join(name),
            value: format!("{value:#x}"),
            expected: "a PCI id of 16 bits",
        })
    };
    Ok(Function {
        address,
        vendor: id("vendor")?,
        device: id("device")?,
        class: entry.parse_hex("class", "a PCI class like 0x020000")?,
        numa: numa(sysfs, address),
        acpi_index: entry.read_optional("acpi_index")?,
    })
}

/// NUMA node of a function; `None` where the platform tells none (-1, no file, no number).
pub fn numa(sysfs: &Sysfs, address: PciAddress) -> Option<u32> {
    sysfs.function(address).read("numa_node").ok()?.parse().ok()
}

/// Resets the function (FLR or what the kernel chose), which clears what its last user left in it.
pub fn reset(sysfs: &Sysfs, address: PciAddress) -> Result<()> {
    sysfs.function(address).write("reset", "1")
}

fn parse(text: &str) -> Option<PciAddress> {
    let hex = |part: &str, shortest: usize, longest: usize| {
        // from_str_radix would accept a sign.
        let fits = (shortest..=longest).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_hexdigit());
        if fits {
            u32::from_str_radix(part, 16).ok()
        } else {
            None
        }
    };
    let mut parts = text.splitn(3, ':');
    let domain = hex(parts.next()?, 4, 8)?;
    let bus = hex(parts.next()?, 2, 2)?;
    let (device, function) = parts.next()?.split_once('.')?;
    Some(PciAddress {
        domain,
        bus: bus.try_into().ok()?,
        device: hex(device, 2, 2)?
            .try_into()
            .ok()
            .filter(|device| *device < 32)?,
        function: hex(function, 1, 1)?
            .try_into()
            .ok()
            .filter(|function| *function < 8)?,
    })
}

#[cfg(test)]
mod tests;
