//! Reading `RTM_NEWROUTE`; numbers of linux/rtnetlink.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::netlink::attribute::{attributes, ip, u16_at, u32_at};
use crate::netlink::route::{Hop, Route};
use crate::netlink::transport::Reply;

const RTM_NEWROUTE: u16 = 24;
/// Length of `struct rtmsg`.
const HEADER: usize = 12;
/// Length of `struct rtnexthop`.
const HOP_HEADER: usize = 8;
const RTM_F_CLONED: u32 = 0x200;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_VIA: u16 = 18;

/// A route; `None` if the reply is something else, a cached clone, or of a family without IP addresses.
pub(super) fn route(reply: &Reply) -> Option<Route> {
    let bytes = &reply.payload;
    let header: [u8; HEADER] = *bytes.first_chunk()?;
    let [family, prefix, _, _, table, protocol, scope, kind, ..] = header;
    if reply.kind != RTM_NEWROUTE || u32_at(bytes, 8)? & RTM_F_CLONED != 0 {
        return None;
    }
    let any: IpAddr = match i32::from(family) {
        nix::libc::AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        nix::libc::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut route = Route {
        destination: IpNet::new(any, prefix).ok()?,
        hops: Vec::new(),
        metric: None,
        table: table.into(),
        scope,
        source: None,
        mtu: None,
        advmss: None,
        protocol,
        kind,
    };
    let block = bytes.get(HEADER..)?;
    for (kind, value) in attributes(block) {
        match kind {
            1 => route.destination = IpNet::new(ip(value)?, prefix).ok()?,
            6 => route.metric = u32_at(value, 0),
            7 => route.source = ip(value),
            8 => metrics(&mut route, value),
            9 => route.hops.extend(multipath(value)),
            15 => route.table = u32_at(value, 0)?,
            _ => {}
        }
    }
    let single = hop(None, block);
    if single != Hop::default() {
        route.hops.push(single);
    }
    Some(route)
}

fn metrics(route: &mut Route, block: &[u8]) {
    for (kind, value) in attributes(block) {
        match kind {
            2 => route.mtu = u32_at(value, 0),
            8 => route.advmss = u32_at(value, 0),
            _ => {}
        }
    }
}

/// A list of `struct rtnexthop`, each followed by its attributes.
fn multipath(mut block: &[u8]) -> Vec<Hop> {
    let mut hops = Vec::new();
    while let (Some(length), Some(index)) = (u16_at(block, 0), u32_at(block, 4)) {
        let length = usize::from(length);
        let Some(own) = block.get(HOP_HEADER..length) else {
            break;
        };
        hops.push(hop(Some(index), own));
        block = block.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

fn hop(index: Option<u32>, block: &[u8]) -> Hop {
    let mut hop = Hop {
        gateway: None,
        index,
    };
    for (kind, value) in attributes(block) {
        match kind {
            RTA_OIF => hop.index = u32_at(value, 0),
            RTA_GATEWAY => hop.gateway = ip(value),
            // A router of the other family: two bytes of family, then the address.
            RTA_VIA => hop.gateway = value.get(2..).and_then(ip),
            _ => {}
        }
    }
    hop
}

#[cfg(test)]
mod tests;
