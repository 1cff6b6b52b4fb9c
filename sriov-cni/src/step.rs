//! The steps that ADD and undo are made of: one vocabulary for plans, log lines and messages.

use std::fmt;

use host::mac::MacAddress;
use host::netlink::address::Detection;
use host::netlink::link::{Link, LinkChange};
use host::netlink::vf::VfAttribute;

/// One change of the node. What a step is about (VF, PF, pod) is the same for a whole plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Reset the VF's PCI function. Whatever its last user left in it is gone; what was set through the PF stays.
    ResetFunction,
    /// Try to set the address of the VF's own interface on the host. A driver that pins VFs to the address of the PF
    /// refuses; that is no error but a lesson.
    TryOwnAddress(MacAddress),
    /// Set attributes through the PF, in one message.
    Attributes(Vec<VfAttribute>),
    /// Set the address of the VF's own interface on the host.
    OwnAddress(MacAddress),
    /// Write the all-zero address through the PF, so that the VF may change its own. Drivers that have no such state
    /// refuse; that is no error.
    ClearPfAddress,
    /// Remove alternative names on the host: those in the way in the pod, or those that were not there before.
    DropAltNames(Vec<String>),
    /// Remove alternative names in the pod: those that it did not have before, and those that the host has given to
    /// others, because both could be in the way of the move.
    DropAltNamesInPod(Vec<String>),
    /// Move the interface into the pod, rename it and give it the properties that are asked.
    ToPod(Properties),
    /// What the pod's kernel does by itself with the interface.
    Sysctls {
        /// Its name in the pod.
        name: String,
        /// Tell the neighbours when the interface's address changes.
        announce: bool,
        /// How IPv6 detects duplicates of addresses, the kernel's own included.
        detection: Detection,
    },
    /// Set the interface up in the pod.
    Up,
    /// Ask the IPAM plugin for addresses.
    Allocate,
    /// Tell the neighbours of the IPv6 addresses, before they are there: a NIC that gives its VF back what it sends to
    /// everyone would otherwise make the kernel believe that a tentative address is another node's (seen on igb).
    Advertise,
    /// Apply addresses and routes in the pod.
    Addresses,
    /// Write the files that end the attachment's birth.
    Commit,
    /// Tell the neighbours of the IPv4 addresses.
    Announce,
    /// Move the interface to the host and give it back its properties.
    ToHost(Properties),
    /// Give the interface back its properties, on the host.
    Restore(Properties),
    /// Add alternative names that were lost, on the host.
    AddAltNames(Vec<String>),
    /// Set the interface up on the host.
    HostUp,
}

/// Properties of an interface to change. `None` leaves a property alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Name.
    pub name: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Length of the transmit queue in packets.
    pub tx_queue_len: Option<u32>,
    /// Up or down.
    pub up: Option<bool>,
    /// Promiscuous mode.
    pub promiscuous: Option<bool>,
    /// All-multicast mode.
    pub all_multicast: Option<bool>,
}

impl Properties {
    /// Nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As a change of a link.
    pub fn link_change(&self) -> LinkChange<'_> {
        LinkChange {
            name: self.name.as_deref(),
            mtu: self.mtu,
            tx_queue_len: self.tx_queue_len,
            up: self.up,
            promiscuous: self.promiscuous,
            all_multicast: self.all_multicast,
            ..LinkChange::default()
        }
    }

    /// A link has every property that is to be changed.
    pub fn are_those_of(&self, link: &Link) -> bool {
        fn same<T: PartialEq + Copy>(wanted: Option<T>, now: T) -> bool {
            wanted.is_none_or(|wanted| wanted == now)
        }
        same(self.name.as_deref(), link.name.as_str())
            && same(self.mtu, link.mtu)
            && same(self.tx_queue_len, link.tx_queue_len)
            && same(self.up, link.up)
            && same(self.promiscuous, link.promiscuous)
            && same(self.all_multicast, link.all_multicast)
    }
}

/// The properties that a link has, for messages.
impl From<&Link> for Properties {
    fn from(link: &Link) -> Self {
        Self {
            name: Some(link.name.clone()),
            mtu: Some(link.mtu),
            tx_queue_len: Some(link.tx_queue_len),
            up: Some(link.up),
            promiscuous: Some(link.promiscuous),
            all_multicast: Some(link.all_multicast),
        }
    }
}

impl Step {
    /// The text where the VF is named elsewhere: without the word that leads to it.
    pub fn alone(&self) -> String {
        let text = self.to_string();
        let sets_address = matches!(self, Self::TryOwnAddress(_) | Self::OwnAddress(_));
        match text.rsplit_once(' ') {
            Some((text, "of" | "to")) => text.to_owned(),
            Some((text, "on")) if sets_address => text.to_owned(),
            _ => text,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResetFunction => f.write_str("reset the PCI function of"),
            Self::TryOwnAddress(mac) | Self::OwnAddress(mac) => write!(f, "set address {mac} on"),
            Self::Attributes(attributes) => {
                f.write_str("set ")?;
                for (at, attribute) in attributes.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{attribute}")?;
                }
                Ok(())
            }
            Self::ClearPfAddress => f.write_str("clear the PF's address of"),
            Self::DropAltNames(names) | Self::DropAltNamesInPod(names) => {
                write!(f, "remove alternative names {} of", names.join(", "))
            }
            Self::ToPod(properties) => write!(f, "give the pod, with{properties},"),
            Self::Sysctls { .. } => f.write_str("set sysctls of"),
            Self::Up => f.write_str("set up"),
            Self::Allocate => f.write_str("allocate addresses for"),
            Self::Advertise => f.write_str("advertise"),
            Self::Addresses => f.write_str("apply addresses to"),
            Self::Commit => f.write_str("commit"),
            Self::Announce => f.write_str("announce"),
            Self::ToHost(properties) => write!(f, "move to the host{properties}"),
            Self::Restore(properties) => write!(f, "restore{properties} of"),
            Self::AddAltNames(names) => write!(f, "add alternative names {} to", names.join(", ")),
            Self::HostUp => f.write_str("set up on the host"),
        }
    }
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, " name {name}")?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        if let Some(length) = self.tx_queue_len {
            write!(f, " txqueuelen {length}")?;
        }
        for (what, value) in [
            ("up", self.up),
            ("promisc", self.promiscuous),
            ("allmulti", self.all_multicast),
        ] {
            if let Some(value) = value {
                write!(f, " {what} {}", on_off(value))?;
            }
        }
        Ok(())
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
