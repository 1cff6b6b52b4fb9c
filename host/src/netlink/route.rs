//! Routes.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::message::{RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE};

mod decode;
mod encode;

/// Family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One way of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hop {
    /// Next router; `None` for a destination on the link.
    pub gateway: Option<IpAddr>,
    /// Index of the outgoing link.
    pub index: Option<u32>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination; prefix length 0 is the default route.
    pub destination: IpNet,
    /// Ways; more than one for multipath. A route to add has one or more.
    pub hops: Vec<Hop>,
    /// Priority; a smaller one wins. `None`: the kernel's default (0 for IPv4, 1024 for IPv6).
    pub metric: Option<u32>,
    /// Table; 254 is main.
    pub table: u32,
    /// Scope as the kernel numbers it: 0 global, 253 link.
    pub scope: u8,
    /// Preferred source address.
    pub source: Option<IpAddr>,
    /// Path MTU.
    pub mtu: Option<u32>,
    /// Advertised TCP segment size.
    pub advmss: Option<u32>,
    /// Who made it, as the kernel numbers it: 2 kernel, 3 boot, 4 static, 9 router advertisement.
    pub protocol: u8,
    /// Type as the kernel numbers it: 1 unicast, 2 local, 6 blackhole.
    pub kind: u8,
}

impl Route {
    /// The main table.
    pub const MAIN: u32 = 254;

    /// A unicast route of the main table through one hop, with the scope that its gateway asks for.
    pub fn new(destination: IpNet, index: u32, gateway: Option<IpAddr>) -> Self {
        Self {
            destination,
            hops: vec![Hop {
                gateway,
                index: Some(index),
            }],
            metric: None,
            table: Self::MAIN,
            // Without a gateway an IPv4 destination is on the link.
            scope: if gateway.is_none() && destination.addr().is_ipv4() {
                253
            } else {
                0
            },
            source: None,
            mtu: None,
            advmss: None,
            protocol: 3,
            kind: 1,
        }
    }

    /// A unicast default route of the main table.
    pub fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0 && self.table == Self::MAIN && self.kind == 1
    }

    /// Family of the destination.
    pub fn family(&self) -> Family {
        match self.destination {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// Indexes of the links that it uses.
    pub fn interfaces(&self) -> impl Iterator<Item = u32> + '_ {
        self.hops.iter().filter_map(|hop| hop.index)
    }
}

impl Netlink {
    /// Routes of one family, or of both, in all tables; cached clones left out.
    pub fn routes(&mut self, family: Option<Family>) -> Result<Vec<Route>> {
        let families = match family {
            Some(Family::V4) => &[Family::V4][..],
            Some(Family::V6) => &[Family::V6],
            None => &[Family::V4, Family::V6],
        };
        let mut routes = Vec::new();
        for family in families {
            let replies = self
                .transport
                .dump(RTM_GETROUTE, &encode::question(*family));
            let replies = replies.map_err(|failure| failure.during("list routes"))?;
            routes.extend(replies.iter().filter_map(decode::route));
        }
        Ok(routes)
    }

    /// Routes of [`Netlink::routes`] that use a link.
    pub fn routes_of(&mut self, index: u32, family: Option<Family>) -> Result<Vec<Route>> {
        let mut routes = self.routes(family)?;
        routes.retain(|route| route.interfaces().any(|interface| interface == index));
        Ok(routes)
    }

    /// Adds a route. One with the same destination, metric and table that is there already is `Exists`.
    pub fn add_route(&mut self, route: &Route) -> Result<()> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let added = self
            .transport
            .change(RTM_NEWROUTE, &encode::route(route), flags);
        added.map_err(|failure| failure.during(format!("add route {route}")))
    }

    /// Adds a route, or replaces the one with the same destination, metric and table.
    pub fn replace_route(&mut self, route: &Route) -> Result<()> {
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        let replaced = self
            .transport
            .change(RTM_NEWROUTE, &encode::route(route), flags);
        replaced.map_err(|failure| failure.during(format!("replace route {route}")))
    }

    /// Removes a route; none such is `NotFound`.
    pub fn delete_route(&mut self, route: &Route) -> Result<()> {
        let removed = self
            .transport
            .change(RTM_DELROUTE, &encode::removal(route), 0);
        removed.map_err(|failure| failure.during(format!("remove route {route}")))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        for hop in &self.hops {
            if let Some(gateway) = hop.gateway {
                write!(f, " via {gateway}")?;
            }
            if let Some(index) = hop.index {
                write!(f, " on link index {index}")?;
            }
        }
        match self.metric {
            Some(metric) => write!(f, " metric {metric}"),
            None => Ok(()),
        }
    }
}
