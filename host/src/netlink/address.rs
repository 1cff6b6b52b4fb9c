//! IP addresses of links.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::message::{RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR};
use crate::netlink::watch::Watch;

mod decode;

/// An IP address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Index of the link.
    pub index: u32,
    /// Address with prefix length; host bits kept.
    pub net: IpNet,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// Duplicate address detection is running.
    pub tentative: bool,
    /// Usable while tentative.
    pub optimistic: bool,
    /// Another node has this address.
    pub duplicate: bool,
    /// Scope as the kernel numbers it: 0 global, 253 link, 254 host.
    pub scope: u8,
}

/// An address to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAddress {
    /// Address with prefix length. For IPv4 with a prefix below 31 the broadcast address is computed.
    pub net: IpNet,
    /// How IPv6 detects duplicates; ignored for IPv4.
    pub detection: Detection,
}

/// Duplicate address detection of a new IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detection {
    /// As the interface's sysctls say.
    #[default]
    Normal,
    /// Usable at once, detection goes on (needs sysctl `optimistic_dad`).
    Optimistic,
    /// None.
    Skip,
}

/// Outcome of waiting for duplicate address detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dad {
    /// All addresses are usable.
    Done,
    /// These are in use by another node.
    Duplicate(Vec<IpAddr>),
    /// These were still tentative when the time was over (no carrier, for instance).
    Tentative(Vec<IpAddr>),
}

impl Netlink {
    /// Addresses of one link, or of all.
    pub fn addresses(&mut self, index: Option<u32>) -> Result<Vec<Address>> {
        let replies = self
            .transport
            .dump(RTM_GETADDR, &AddressMessage::default())
            .map_err(|failure| failure.during("list addresses"))?;
        let mut addresses: Vec<Address> = replies.iter().filter_map(decode::address).collect();
        addresses.retain(|address| index.is_none_or(|index| address.index == index));
        Ok(addresses)
    }

    /// Adds an address; one that is there already is `Exists`.
    pub fn add_address(&mut self, index: u32, address: NewAddress) -> Result<()> {
        let mut message = message(index, address.net);
        if let IpNet::V4(net) = address.net
            && net.prefix_len() < 31
        {
            message
                .attributes
                .push(AddressAttribute::Broadcast(net.broadcast()));
        }
        let flags = match address.detection {
            Detection::Normal => AddressFlags::empty(),
            Detection::Optimistic => AddressFlags::Optimistic,
            Detection::Skip => AddressFlags::Nodad,
        };
        if address.net.addr().is_ipv6() && !flags.is_empty() {
            message.attributes.push(AddressAttribute::Flags(flags));
        }
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let added = self.transport.change(RTM_NEWADDR, &message, flags);
        added.map_err(|failure| {
            failure.during(format!(
                "{}: add address {}",
                self.label(index),
                address.net
            ))
        })
    }

    /// Removes an address; one that is not there is `NotFound`.
    pub fn delete_address(&mut self, index: u32, net: IpNet) -> Result<()> {
        let removed = self.transport.change(RTM_DELADDR, &message(index, net), 0);
        removed.map_err(|failure| {
            failure.during(format!("{}: remove address {net}", self.label(index)))
        })
    }

    /// Waits until no address of the link is tentative, at most `within`. Not waited for: optimistic addresses, which
    /// are usable, and link-local ones, which the kernel makes when a link comes up and which take a second or two.
    /// `watch` must have been opened in the same namespace with `Group::Addresses`.
    pub fn wait_for_dad(&mut self, watch: &mut Watch, index: u32, within: Duration) -> Result<Dad> {
        let mut open = Vec::new();
        let outcome = watch.until(within, || {
            let addresses = self.addresses(Some(index))?;
            let pick = |which: fn(&Address) -> bool| {
                let picked = addresses.iter().filter(|address| which(address));
                picked.map(|address| address.net.addr()).collect::<Vec<_>>()
            };
            let duplicate = pick(|address| address.duplicate);
            open = pick(Address::is_awaited);
            Ok(match (duplicate.is_empty(), open.is_empty()) {
                (false, _) => Some(Dad::Duplicate(duplicate)),
                (true, true) => Some(Dad::Done),
                (true, false) => None,
            })
        })?;
        Ok(outcome.unwrap_or(Dad::Tentative(open)))
    }
}

impl Address {
    const LINK_LOCAL: u8 = 253;

    fn is_awaited(&self) -> bool {
        self.tentative && !self.optimistic && !self.duplicate && self.scope != Self::LINK_LOCAL
    }
}

fn message(index: u32, net: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = net.prefix_len();
    message.header.family = match net {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    let ends = [
        AddressAttribute::Local(net.addr()),
        AddressAttribute::Address(net.addr()),
    ];
    message.attributes.extend(ends);
    message
}
