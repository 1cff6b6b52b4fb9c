//! Links: reading, finding by name or parent device, changing, alternative names.

use std::os::fd::{AsFd, AsRawFd};

use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Prop};

use crate::error::{Kind, Result};
use crate::mac::MacAddress;
use crate::netlink::message::{
    LinkQuestion, RTM_DELLINK, RTM_DELLINKPROP, RTM_GETLINK, RTM_NEWLINKPROP, RTM_SETLINK,
};
use crate::netlink::transport::Failure;
use crate::netlink::{Netlink, ethtool};
use crate::netns::NetNs;
use crate::pci::PciAddress;

mod decode;

#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent flags of the kernel"
)]
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
    /// All links of the namespace, ordered by index.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let replies = self
            .transport
            .dump(RTM_GETLINK, &LinkQuestion::default())
            .map_err(|failure| failure.during("list links"))?;
        let mut links: Vec<Link> = replies.iter().filter_map(decode::link).collect();
        links.sort_unstable_by_key(|link| link.index);
        Ok(links)
    }

    /// The link with this index; `None` if there is none (any more).
    pub fn link(&mut self, index: u32) -> Result<Option<Link>> {
        let question = LinkQuestion {
            index,
            ..LinkQuestion::default()
        };
        self.find(&question, || format!("read link {index}"))
    }

    /// The link with this name or alternative name; `None` if there is none.
    pub fn link_by_name(&mut self, name: &str) -> Result<Option<Link>> {
        let question = LinkQuestion {
            name: Some(name),
            ..LinkQuestion::default()
        };
        self.find(&question, || format!("read link {name}"))
    }

    /// The first link (by index) of a PCI function in this namespace; `None` if there is none.
    pub fn link_by_parent(&mut self, function: PciAddress) -> Result<Option<Link>> {
        Ok(self.links_by_parent(function)?.into_iter().next())
    }

    /// All links of a PCI function in this namespace, ordered by index.
    pub fn links_by_parent(&mut self, function: PciAddress) -> Result<Vec<Link>> {
        let mut links = self.links()?;
        links.retain(|link| self.parent(link) == Some(function));
        Ok(links)
    }

    /// The PCI function behind a link of this namespace; `None` if it is no PCI device's.
    pub fn parent(&self, link: &Link) -> Option<PciAddress> {
        if link.parent_device.is_some() {
            return link.parent_function();
        }
        // Software links have a kind, and the loopback has no device: only what is left is worth a question.
        let hardware = link.kind.is_none() && link.link_type != Link::LOOPBACK;
        let driver = hardware.then(|| ethtool::driver(&self.transport.socket, &link.name))??;
        driver.bus_info.parse().ok()
    }

    /// Name of the driver of a link, wherever its sysfs is; `None` if the driver tells none.
    pub fn driver(&self, link: &Link) -> Option<String> {
        ethtool::driver(&self.transport.socket, &link.name).map(|driver| driver.name)
    }

    /// Applies all changes in one `RTM_SETLINK`.
    pub fn change_link(&mut self, index: u32, change: &LinkChange<'_>) -> Result<()> {
        let message = change.message(index);
        let changed = self.transport.change(RTM_SETLINK, &message, 0);
        changed
            .map_err(|failure| failure.during(format!("{}: {}", self.label(index), change.words())))
    }

    /// Adds alternative names in one message (kernel 5.5). A name that is taken is `Exists`.
    pub fn add_alt_names(&mut self, index: u32, names: &[&str]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let message = alt_names(index, names);
        // CREATE alone would do; EXCL asks for the clash to be told.
        let flags = rtnetlink::packet_core::NLM_F_CREATE | rtnetlink::packet_core::NLM_F_EXCL;
        let changed = self.transport.change(RTM_NEWLINKPROP, &message, flags);
        changed.map_err(|failure| {
            failure.during(format!(
                "{}: add alternative names {}",
                self.label(index),
                names.join(", ")
            ))
        })
    }

    /// Removes alternative names in one message. A name that the link does not have is an error.
    pub fn delete_alt_names(&mut self, index: u32, names: &[&str]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let message = alt_names(index, names);
        let changed = self.transport.change(RTM_DELLINKPROP, &message, 0);
        changed.map_err(|failure| {
            failure.during(format!(
                "{}: remove alternative names {}",
                self.label(index),
                names.join(", ")
            ))
        })
    }

    /// Deletes a software link.
    pub fn delete_link(&mut self, index: u32) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let changed = self.transport.change(RTM_DELLINK, &message, 0);
        changed.map_err(|failure| failure.during(format!("delete {}", self.label(index))))
    }

    /// What people call the link; asked only when an error is told.
    pub(super) fn label(&mut self, index: u32) -> String {
        match self.link(index) {
            Ok(Some(link)) => format!("link {}", link.name),
            _ => format!("link with index {index}"),
        }
    }

    fn find(
        &mut self,
        question: &LinkQuestion<'_>,
        step: impl Fn() -> String,
    ) -> Result<Option<Link>> {
        let reply = match self.transport.ask(RTM_GETLINK, question) {
            Ok(reply) => reply,
            Err(failure) => {
                let error = failure.during(step());
                // Kernels before 5.5 refuse the attribute of alternative names, which they do not have.
                return if matches!(error.kind(), Kind::NotFound | Kind::Invalid) {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
        };
        let garbled = || Failure::Garbled(format!("message type {}", reply.kind)).during(step());
        decode::link(&reply).ok_or_else(garbled).map(Some)
    }
}

impl Link {
    const LOOPBACK: u16 = nix::libc::ARPHRD_LOOPBACK;

    /// The PCI function behind it, as netlink told (kernel 5.14); [`Netlink::parent`] also asks older kernels.
    pub fn parent_function(&self) -> Option<PciAddress> {
        let pci = self.parent_bus.as_deref().is_none_or(|bus| bus == "pci");
        self.parent_device.as_deref().filter(|_| pci)?.parse().ok()
    }
}

impl LinkChange<'_> {
    fn message(&self, index: u32) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let flags = [
            (self.up, LinkFlags::Up),
            (self.promiscuous, LinkFlags::Promisc),
            (self.all_multicast, LinkFlags::Allmulti),
        ];
        for (wanted, flag) in flags {
            if let Some(on) = wanted {
                message.header.change_mask |= flag;
                message.header.flags.set(flag, on);
            }
        }
        let attributes = [
            self.netns
                .map(|netns| LinkAttribute::NetNsFd(netns.as_fd().as_raw_fd())),
            self.address
                .map(|address| LinkAttribute::Address(address.0.to_vec())),
            self.mtu.map(LinkAttribute::Mtu),
            self.name.map(|name| LinkAttribute::IfName(name.to_owned())),
            self.alias
                .map(|alias| LinkAttribute::IfAlias(alias.to_owned())),
            self.tx_queue_len.map(LinkAttribute::TxQueueLen),
        ];
        message.attributes.extend(attributes.into_iter().flatten());
        message
    }

    fn words(&self) -> String {
        let on = |on| if on { "on" } else { "off" };
        let parts = [
            self.netns
                .map(|netns| format!("move to {}", netns.path().display())),
            self.address.map(|address| format!("set address {address}")),
            self.mtu.map(|mtu| format!("set MTU {mtu}")),
            self.name.map(|name| format!("rename to {name}")),
            self.alias.map(|alias| format!("set alias {alias:?}")),
            self.up
                .map(|up| format!("set {}", if up { "up" } else { "down" })),
            self.promiscuous
                .map(|wanted| format!("set promiscuous mode {}", on(wanted))),
            self.all_multicast
                .map(|wanted| format!("set all-multicast mode {}", on(wanted))),
            self.tx_queue_len
                .map(|length| format!("set transmit queue length {length}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn alt_names(index: u32, names: &[&str]) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let names = names.iter().map(|name| Prop::AltIfName((*name).to_owned()));
    message
        .attributes
        .push(LinkAttribute::PropList(names.collect()));
    message
}
