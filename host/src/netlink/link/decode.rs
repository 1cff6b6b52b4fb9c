//! Reading `RTM_NEWLINK`; attribute numbers of linux/if_link.h.

use crate::netlink::attribute::{attributes, mac, text, u16_at, u32_at};
use crate::netlink::link::Link;
use crate::netlink::transport::Reply;

const RTM_NEWLINK: u16 = 16;
/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_ALT_IFNAME: u16 = 53;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 1 << 6;
const IFF_PROMISC: u32 = 1 << 8;
const IFF_ALLMULTI: u32 = 1 << 9;

/// A link; `None` if the reply is something else.
pub(super) fn link(reply: &Reply) -> Option<Link> {
    if reply.kind != RTM_NEWLINK {
        return None;
    }
    let bytes = &reply.payload;
    let flags = u32_at(bytes, 8)?;
    let mut link = Link {
        index: u32_at(bytes, 4)?,
        link_type: u16_at(bytes, 2)?,
        up: flags & IFF_UP != 0,
        running: flags & IFF_RUNNING != 0,
        promiscuous: flags & IFF_PROMISC != 0,
        all_multicast: flags & IFF_ALLMULTI != 0,
        ..Link::default()
    };
    let mut elsewhere = false;
    for (kind, value) in attributes(bytes.get(HEADER..)?) {
        match kind {
            1 => link.address = mac(value),
            3 => link.name = text(value),
            4 => link.mtu = u32_at(value, 0)?,
            5 => link.lower = u32_at(value, 0).filter(|lower| *lower != 0 && *lower != link.index),
            10 => link.controller = u32_at(value, 0).filter(|controller| *controller != 0),
            13 => link.tx_queue_len = u32_at(value, 0)?,
            18 => link.kind = nested(value, IFLA_INFO_KIND).next(),
            20 => link.alias = Some(text(value)).filter(|alias| !alias.is_empty()),
            21 => link.num_vfs = u32_at(value, 0),
            // IFLA_LINK_NETNSID: the index in IFLA_LINK counts in another namespace.
            37 => elsewhere = true,
            52 => link.alt_names = nested(value, IFLA_ALT_IFNAME).collect(),
            54 => link.permanent_address = mac(value),
            56 => link.parent_device = Some(text(value)),
            57 => link.parent_bus = Some(text(value)),
            _ => {}
        }
    }
    let paired = matches!(link.kind.as_deref(), Some("veth" | "netkit" | "vxcan"));
    if elsewhere || paired {
        link.lower = None;
    }
    Some(link)
}

fn nested(block: &[u8], wanted: u16) -> impl Iterator<Item = String> + '_ {
    attributes(block)
        .filter(move |(kind, _)| *kind == wanted)
        .map(|(_, value)| text(value))
}
