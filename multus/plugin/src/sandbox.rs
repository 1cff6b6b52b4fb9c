//! The container's network namespace: is a name free, and whose default route is it?
//!
//! Default routes follow spec/multus.md §4.5 as it was meant (Q16, Q17): per family, replaced by
//! netlink, read back.

use std::net::IpAddr;

use host::error::Kind;
use host::netlink::Netlink;
use host::netlink::route::{Family, Hop, Route};
use host::netns::{Identity, NetNs};
use ipnet::IpNet;

use crate::wire::Families;

/// Why the namespace could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The namespace cannot be entered.
    #[error("network namespace {path}")]
    Namespace {
        /// CNI_NETNS.
        path: String,
        /// The kernel's answer.
        source: host::error::Error,
    },
    /// Links or routes cannot be read.
    #[error(transparent)]
    Read(host::error::Error),
    /// The name is taken.
    #[error(
        "interface name {ifname} already exists in {path}: ask for another name, or delete that interface"
    )]
    Exists {
        /// The name.
        ifname: String,
        /// CNI_NETNS.
        path: String,
    },
    /// The gateway was asked for on an interface that is not there.
    #[error("set the default route via {gateway}: interface {ifname} does not exist")]
    NoInterface {
        /// The gateway.
        gateway: IpAddr,
        /// The name.
        ifname: String,
    },
    /// The kernel refused the change of a route.
    #[error("{step} of {ifname}")]
    Route {
        /// What was tried.
        step: String,
        /// The interface.
        ifname: String,
        /// The kernel's answer.
        source: host::error::Error,
    },
    /// The kernel took the changes, and the routes are not what was asked for.
    #[error(
        "the default route via {gateway} on {ifname} is not in effect: the kernel uses {found}"
    )]
    NotInEffect {
        /// The gateway.
        gateway: IpAddr,
        /// The interface.
        ifname: String,
        /// What it uses instead.
        found: String,
    },
}

/// An open namespace with a netlink socket of its own.
#[derive(Debug)]
pub struct Sandbox {
    netns: NetNs,
    netlink: Netlink,
    path: String,
}

impl Sandbox {
    /// Opens CNI_NETNS.
    pub fn open(path: &str) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Namespace {
            path: path.to_owned(),
            source,
        };
        let netns = NetNs::open(path).map_err(failed)?;
        let netlink = netns.netlink().map_err(failed)?;
        Ok(Self {
            netns,
            netlink,
            path: path.to_owned(),
        })
    }

    /// What tells this namespace from another.
    pub fn identity(&self) -> Result<Identity, SandboxError> {
        self.netns.identity().map_err(SandboxError::Read)
    }

    /// Fails if an interface has this name.
    pub fn check_free(&mut self, ifname: &str) -> Result<(), SandboxError> {
        match self
            .netlink
            .link_by_name(ifname)
            .map_err(SandboxError::Read)?
        {
            None => Ok(()),
            Some(_) => Err(SandboxError::Exists {
                ifname: ifname.to_owned(),
                path: self.path.clone(),
            }),
        }
    }

    /// Makes the default routes of one interface what was asked for: those of a family that is not
    /// kept, or gets a gateway, are removed; then the gateways are set and read back.
    pub fn set_default_routes(
        &mut self,
        ifname: &str,
        gateways: &[IpAddr],
        keep: Families,
    ) -> Result<(), SandboxError> {
        if gateways.is_empty() && keep.v4 && keep.v6 {
            return Ok(());
        }
        let Some(link) = self
            .netlink
            .link_by_name(ifname)
            .map_err(SandboxError::Read)?
        else {
            // An interface that is not there (a userspace device) has no routes to remove.
            return gateways.first().map_or(Ok(()), |gateway| {
                Err(SandboxError::NoInterface {
                    gateway: *gateway,
                    ifname: ifname.to_owned(),
                })
            });
        };
        for family in [Family::V4, Family::V6] {
            let gateway = gateways
                .iter()
                .copied()
                .find(|gateway| family_of(*gateway) == family);
            let kept = match family {
                Family::V4 => keep.v4,
                Family::V6 => keep.v6,
            };
            if gateway.is_some() || !kept {
                self.remove_default_routes(ifname, link.index, family)?;
            }
            if let Some(gateway) = gateway {
                self.set_gateway(ifname, link.index, gateway)?;
            }
        }
        Ok(())
    }

    fn remove_default_routes(
        &mut self,
        ifname: &str,
        index: u32,
        family: Family,
    ) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::Route {
            step: "remove the default route".to_owned(),
            ifname: ifname.to_owned(),
            source,
        };
        let routes = self
            .netlink
            .routes_of(index, Some(family))
            .map_err(failed)?;
        for route in routes.iter().filter(|route| route.is_default()) {
            match self.netlink.delete_route(route) {
                // The router or the plugin took it back meanwhile.
                Err(error) if error.kind() == Kind::NotFound => {}
                other => other.map_err(failed)?,
            }
            if let Some(rest) = without(route, index) {
                self.netlink.add_route(&rest).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn set_gateway(
        &mut self,
        ifname: &str,
        index: u32,
        gateway: IpAddr,
    ) -> Result<(), SandboxError> {
        let family = family_of(gateway);
        let route = Route::new(everything(family), index, Some(gateway));
        self.netlink
            .replace_route(&route)
            .map_err(|source| SandboxError::Route {
                step: format!("set the default route via {gateway}"),
                ifname: ifname.to_owned(),
                source,
            })?;
        let routes = self
            .netlink
            .routes(Some(family))
            .map_err(SandboxError::Read)?;
        let wanted = Hop {
            gateway: Some(gateway),
            index: Some(index),
        };
        match in_effect(&routes) {
            Some(route) if route.hops == [wanted] => Ok(()),
            found => Err(SandboxError::NotInEffect {
                gateway,
                ifname: ifname.to_owned(),
                found: found.map_or_else(|| "none".to_owned(), describe),
            }),
        }
    }
}

/// The default route that the kernel uses: the one with the smallest metric, the first of equals.
fn in_effect(routes: &[Route]) -> Option<&Route> {
    let defaults = routes.iter().filter(|route| route.is_default());
    defaults.min_by_key(|route| route.metric.unwrap_or_default())
}

/// The route without the hops through one interface, if others remain.
fn without(route: &Route, index: u32) -> Option<Route> {
    let mut rest = route.clone();
    rest.hops.retain(|hop| hop.index != Some(index));
    (!rest.hops.is_empty()).then_some(rest)
}

fn describe(route: &Route) -> String {
    let hop = |hop: &Hop| match (hop.gateway, hop.index) {
        (Some(gateway), Some(index)) => format!("{gateway} on interface {index}"),
        (Some(gateway), None) => gateway.to_string(),
        (None, Some(index)) => format!("interface {index}"),
        (None, None) => "an unknown way".to_owned(),
    };
    route.hops.iter().map(hop).collect::<Vec<_>>().join(" and ")
}

fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    }
}

/// Destination of a default route.
pub(crate) fn everything(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
        Family::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(metric: u32, hops: &[(u32, &str)]) -> Route {
        let mut route = Route::new(everything(Family::V4), 1, None);
        route.metric = Some(metric);
        route.hops = hops
            .iter()
            .map(|(index, gateway)| Hop {
                gateway: gateway.parse().ok(),
                index: Some(*index),
            })
            .collect();
        route
    }

    #[test]
    fn the_default_route_with_the_smallest_metric_is_in_effect() {
        let routes = [route(100, &[(2, "10.0.0.1")]), route(0, &[(3, "10.1.0.1")])];
        assert_eq!(in_effect(&routes).unwrap().hops[0].index, Some(3));
        assert!(in_effect(&[]).is_none());
    }

    #[test]
    fn other_ways_of_a_multipath_route_remain() {
        let both = route(0, &[(2, "10.0.0.1"), (3, "10.1.0.1")]);
        assert_eq!(without(&both, 2).unwrap().hops[0].index, Some(3));
        assert!(without(&route(0, &[(2, "10.0.0.1")]), 2).is_none());
    }
}
