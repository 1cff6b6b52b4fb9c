//! One step of provisioning: exactly one write to sysfs, or one change of an interface.

use std::fmt;

use host::pci::PciAddress;

use super::observe::Vf;

/// A step. Its Display is the command of a shell that does the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a value to an attribute.
    Write(Attribute, Value),
    /// Change an interface.
    Link(Owner, LinkChange),
}

/// A file of sysfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// Of a function.
    Of(Owner, &'static str),
    /// `drivers_probe` of the bus.
    Probe,
}

/// A function, which may not exist yet if it is a VF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A function that exists, and the name of its interface, if it shows one.
    Function(PciAddress, Option<String>),
    /// A VF, reached through its PF.
    Vf(Vf),
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This text.
    Text(String),
    /// The address of a function.
    AddressOf(Owner),
}

/// A change of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkChange {
    /// MTU in bytes.
    Mtu(u32),
    /// Administratively up.
    Up,
}

impl Owner {
    /// Its directory below the root of sysfs.
    pub fn path(&self) -> String {
        match self {
            Self::Function(address, _) => format!("bus/pci/devices/{address}"),
            Self::Vf(vf) => format!("bus/pci/devices/{}/virtfn{}", vf.pf, vf.index),
        }
    }
}

impl Attribute {
    /// Its path below the root of sysfs.
    pub fn path(&self) -> String {
        match self {
            Self::Of(owner, name) => format!("{}/{name}", owner.path()),
            Self::Probe => "bus/pci/drivers_probe".to_owned(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::AddressOf(
                Owner::Function(address, _)
                | Owner::Vf(Vf {
                    address: Some(address),
                    ..
                }),
            ) => address.fmt(f),
            Self::AddressOf(Owner::Vf(vf)) => {
                write!(
                    f,
                    "$(basename $(readlink /sys/bus/pci/devices/{}/virtfn{}))",
                    vf.pf, vf.index
                )
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(to, Value::Text(text)) if text == "\n" => {
                write!(f, "echo > /sys/{}", to.path())
            }
            Self::Write(to, value) => write!(f, "echo {value} > /sys/{}", to.path()),
            Self::Link(owner, change) => {
                match owner {
                    Owner::Function(_, Some(name)) => write!(f, "ip link set dev {name}")?,
                    owner => write!(f, "ip link set dev $(ls /sys/{}/net)", owner.path())?,
                }
                match change {
                    LinkChange::Mtu(mtu) => write!(f, " mtu {mtu}"),
                    LinkChange::Up => f.write_str(" up"),
                }
            }
        }
    }
}
