//! Reading `RTM_NEWADDR`; numbers of linux/if_addr.h.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::netlink::address::Address;
use crate::netlink::attribute::{attributes, ip, u32_at};
use crate::netlink::transport::Reply;

const RTM_NEWADDR: u16 = 20;
/// Length of `struct ifaddrmsg`.
const HEADER: usize = 8;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;

/// An address; `None` if the reply is something else.
pub(super) fn address(reply: &Reply) -> Option<Address> {
    if reply.kind != RTM_NEWADDR {
        return None;
    }
    let bytes = &reply.payload;
    let (prefix, mut flags, scope) = (*bytes.get(1)?, u32::from(*bytes.get(2)?), *bytes.get(3)?);
    let (mut local, mut peer, mut broadcast) = (None, None, None);
    for (kind, value) in attributes(bytes.get(HEADER..)?) {
        match kind {
            1 => peer = ip(value),
            2 => local = ip(value),
            4 => broadcast = ip(value),
            // All flags; the header has room for eight.
            8 => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(Address {
        index: u32_at(bytes, 4)?,
        // Only a point-to-point link has both and different; IPv6 usually has no local one.
        net: IpNet::new(local.or(peer)?, prefix).ok()?,
        broadcast: broadcast.and_then(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }),
        tentative: flags & IFA_F_TENTATIVE != 0,
        optimistic: flags & IFA_F_OPTIMISTIC != 0,
        duplicate: flags & IFA_F_DADFAILED != 0,
        scope,
    })
}
