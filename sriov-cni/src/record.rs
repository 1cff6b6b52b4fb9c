//! The record of one attachment: what the VF was, what was asked, who owns it, which phase was reached
//! (design §3, spec/sriov-cni.md §8.1). It is written before the first change, and undo needs nothing else of the past.

use std::path::PathBuf;

use cni::plugin::Attachment;
use host::mac::MacAddress;
use host::netlink::link::Link;
use host::netlink::vf::{VfAttribute, VfState};
use host::netns::Identity;
use host::pci::PciAddress;
use serde::{Deserialize, Serialize};

mod slot;

pub use slot::SlotRecord;

/// Version of the record's format. A record of another version is treated like a torn one.
pub const FORMAT: u32 = 1;

/// All that undo needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// Who has the VF: container and interface.
    pub attachment: Attachment,
    /// Name of the network.
    pub network: String,
    /// The pod's namespace; `None` for an attachment that the Go plugin made without telling.
    pub owner: Option<Owner>,
    /// The VF.
    pub vf: PciAddress,
    /// Its PF; `None` if the Go plugin made the attachment.
    pub pf: Option<PciAddress>,
    /// How the VF is handed out.
    pub mode: Mode,
    /// How far the work got.
    pub phase: Phase,
    /// What the VF was.
    pub original: Original,
    /// Attributes that were set through the PF.
    pub attributes: Vec<VfAttribute>,
    /// Address that was set on the VF's own interface.
    pub address: Option<MacAddress>,
    /// The driver refused an address of the VF's own choice, so its PF address was set by an administrator and is to be
    /// set again. `None`: not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_pinned: Option<bool>,
    /// The VF's PCI function is to be reset when the VF comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset_function: bool,
    /// The IPAM plugin that may have addresses allocated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
}

/// A namespace at a time: paths, devices and inodes are reused, cookies are not, and no namespace outlives its boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Path by which the runtime named it.
    pub netns: PathBuf,
    /// The namespace itself; `None` for an attachment of the Go plugin, which notes the path only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The boot in which it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// How the VF is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As a network interface.
    Kernel,
    /// Bound to a driver for programs in user space (vfio-pci, uio).
    Userspace,
}

/// How far the work got. Undo starts from what it observes, so a phase may lag behind the work, never run ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing was changed yet.
    Intent,
    /// Attributes are set through the PF.
    Configured,
    /// The interface is in the pod.
    Moved,
    /// The IPAM plugin is called; this phase alone comes before its work.
    Allocated,
    /// ADD succeeded.
    Committed,
    /// DEL or a repair has begun.
    Releasing,
    /// The VF is back; only addresses are left to be released.
    Released,
}

/// What the VF was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Attributes as the PF's driver told them.
    pub attributes: Option<VfState>,
    /// The VF's own interface on the host; `None` in user-space mode.
    pub netdev: Option<Netdev>,
}

/// Properties of the VF's interface that pods can change or that a move loses. `None`: not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Netdev {
    /// Name on the host.
    pub name: String,
    /// Alternative names.
    #[serde(default)]
    pub alt_names: Option<Vec<String>>,
    /// Hardware address.
    pub address: Option<MacAddress>,
    /// Address burnt into the device.
    #[serde(default)]
    pub permanent_address: Option<MacAddress>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Length of the transmit queue in packets.
    #[serde(default)]
    pub tx_queue_len: Option<u32>,
    /// Administratively up.
    #[serde(default)]
    pub up: Option<bool>,
    /// Promiscuous mode.
    #[serde(default)]
    pub promiscuous: Option<bool>,
    /// All-multicast mode.
    #[serde(default)]
    pub all_multicast: Option<bool>,
}

/// What releases the attachment's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipam {
    /// Type of the plugin.
    pub r#type: String,
    /// Configuration that its ADD was given, byte for byte; `None`: only known from DEL's own input.
    pub config: Option<String>,
    /// `CNI_ARGS` of its ADD.
    #[serde(default)]
    pub args: String,
    /// `CNI_PATH` of its ADD; empty if it is not known.
    #[serde(default)]
    pub path: String,
}

impl From<&Link> for Netdev {
    fn from(link: &Link) -> Self {
        Self {
            name: link.name.clone(),
            alt_names: Some(link.alt_names.clone()),
            address: link.address,
            permanent_address: link.permanent_address,
            mtu: Some(link.mtu),
            tx_queue_len: Some(link.tx_queue_len),
            up: Some(link.up),
            promiscuous: Some(link.promiscuous),
            all_multicast: Some(link.all_multicast),
        }
    }
}

impl Record {
    /// The address that was set through the PF, if one was.
    pub fn pf_address(&self) -> Option<MacAddress> {
        self.attributes
            .iter()
            .find_map(|attribute| match attribute {
                VfAttribute::Mac(mac) => Some(*mac),
                _ => None,
            })
    }
}
