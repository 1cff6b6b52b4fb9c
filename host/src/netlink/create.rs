//! Software links, for tests and fixtures (feature `testing`); production code creates none.

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::link::MacVlanMode;
use rtnetlink::{LinkBridge, LinkMacVlan, LinkUnspec, LinkVeth, LinkVlan};

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::message::{RTM_NEWLINK, RTM_SETLINK};

/// A link to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewLink<'a> {
    /// A pair of links.
    Veth {
        /// Name of the other end.
        peer: &'a str,
    },
    /// A macvlan in bridge mode.
    MacVlan {
        /// Index of the link below.
        lower: u32,
    },
    /// A VLAN.
    Vlan {
        /// Index of the link below.
        lower: u32,
        /// VLAN id.
        id: u16,
    },
    /// A bridge.
    Bridge,
}

impl Netlink {
    /// Creates a link that is down.
    pub fn create_link(&mut self, name: &str, link: NewLink<'_>) -> Result<()> {
        let message = match link {
            NewLink::Veth { peer } => LinkVeth::new(name, peer).build(),
            NewLink::MacVlan { lower } => {
                LinkMacVlan::new(name, lower, MacVlanMode::Bridge).build()
            }
            NewLink::Vlan { lower, id } => LinkVlan::new(name, lower, id).build(),
            NewLink::Bridge => LinkBridge::new(name).build(),
        };
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let created = self.transport.change(RTM_NEWLINK, &message, flags);
        created.map_err(|failure| failure.during(format!("create link {name}")))
    }

    /// Makes a link a member of a bridge or bond.
    pub fn set_controller(&mut self, index: u32, controller: u32) -> Result<()> {
        let message = LinkUnspec::new_with_index(index)
            .controller(controller)
            .build();
        let changed = self.transport.change(RTM_SETLINK, &message, 0);
        changed.map_err(|failure| {
            failure.during(format!(
                "{}: set controller {controller}",
                self.label(index)
            ))
        })
    }
}
