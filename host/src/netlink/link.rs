//! Links: reading, finding by name or parent device, changing, alternative names.

use crate::error::Result;
use crate::mac::MacAddress;
use crate::netlink::Netlink;
use crate::netns::NetNs;
use crate::pci::PciAddress;

/// A network interface as the kernel describes it. The index holds only in the namespace of the socket that read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Index in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Further names.
    pub alt_names: Vec<String>,
    /// `IFLA_INFO_KIND`: veth, macvlan, bond, ...; `None` for hardware.
    pub kind: Option<String>,
    /// ARPHRD type: 1 Ethernet, 32 InfiniBand, 772 loopback.
    pub link_type: u16,
    /// Hardware address, if it has six bytes.
    pub address: Option<MacAddress>,
    /// Address burnt into the device (kernel 5.5), if it has six bytes.
    pub permanent_address: Option<MacAddress>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Length of the transmit queue in packets.
    pub tx_queue_len: u32,
    /// Administratively up.
    pub up: bool,
    /// Operational: the kernel can send (`IFF_RUNNING`), which includes the carrier.
    pub running: bool,
    /// Somebody asked for promiscuous mode through the flags. Socket users do not count.
    pub promiscuous: bool,
    /// Same for all-multicast.
    pub all_multicast: bool,
    /// Free text (`ip link set alias`).
    pub alias: Option<String>,
    /// Index of the bond, bridge or team that this is a member of.
    pub controller: Option<u32>,
    /// Index of the interface below a VLAN, macvlan or the like, if it is in the same namespace.
    pub lower: Option<u32>,
    /// Device behind the interface, usually a PCI address (kernel 5.14).
    pub parent_device: Option<String>,
    /// Bus of the device, usually `pci` (kernel 5.14).
    pub parent_bus: Option<String>,
    /// Number of VFs of a PF.
    pub num_vfs: Option<u32>,
}

/// Changes of a link for one message. `None` leaves a property alone. The kernel's order inside is: namespace, address,
/// MTU, name, alias, flags, queue length; after a late failure the link is already in the new namespace.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinkChange<'a> {
    /// Namespace to move to.
    pub netns: Option<&'a NetNs>,
    /// New name.
    pub name: Option<&'a str>,
    /// New hardware address.
    pub address: Option<MacAddress>,
    /// New MTU.
    pub mtu: Option<u32>,
    /// Up or down.
    pub up: Option<bool>,
    /// Promiscuous mode through the flags.
    pub promiscuous: Option<bool>,
    /// All-multicast mode through the flags.
    pub all_multicast: Option<bool>,
    /// New length of the transmit queue.
    pub tx_queue_len: Option<u32>,
    /// New alias; empty removes it.
    pub alias: Option<&'a str>,
}

impl Netlink {
    /// All links of the namespace.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        unimplemented!()
    }

    /// The link with this index; `None` if there is none (any more).
    pub fn link(&mut self, _index: u32) -> Result<Option<Link>> {
        unimplemented!()
    }

    /// The link with this name or alternative name; `None` if there is none.
    pub fn link_by_name(&mut self, _name: &str) -> Result<Option<Link>> {
        unimplemented!()
    }

    /// The first link (by index) of a PCI function in this namespace; `None` if there is none.
    pub fn link_by_parent(&mut self, _function: PciAddress) -> Result<Option<Link>> {
        unimplemented!()
    }

    /// All links of a PCI function in this namespace, ordered by index.
    pub fn links_by_parent(&mut self, _function: PciAddress) -> Result<Vec<Link>> {
        unimplemented!()
    }

    /// Applies all changes in one `RTM_SETLINK`.
    pub fn change_link(&mut self, _index: u32, _change: &LinkChange<'_>) -> Result<()> {
        unimplemented!()
    }

    /// Adds alternative names in one message (kernel 5.5). A name that is taken is `Exists`.
    pub fn add_alt_names(&mut self, _index: u32, _names: &[&str]) -> Result<()> {
        unimplemented!()
    }

    /// Removes alternative names in one message.
    pub fn delete_alt_names(&mut self, _index: u32, _names: &[&str]) -> Result<()> {
        unimplemented!()
    }

    /// Deletes a software link.
    pub fn delete_link(&mut self, _index: u32) -> Result<()> {
        unimplemented!()
    }
}
