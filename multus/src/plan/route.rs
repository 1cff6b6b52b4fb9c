//! `default-route`: which attachment makes the pod's default route (spec/multus.md §4.5, appendix B
//! 4.1.2.1.9). One attachment may, with one gateway per family, or with an empty list, which means
//! its network's own default route.

use std::net::IpAddr;

use cni::config::NetworkList;
use ipnet::IpNet;
use multus_plugin::wire::Families;
use serde::Deserialize;

use super::{Network, Refusal};

/// What becomes of an attachment's default routes.
#[derive(Debug, Default)]
pub(super) struct Route {
    pub(super) gateways: Vec<IpAddr>,
    pub(super) keep: Families,
}

/// Families in which a network makes a default route of its own, as far as its IPAM configuration
/// tells (`routes` of host-local, static, whereabouts). Where it does not tell, IPv4 is assumed: taking
/// the other networks' IPv6 route for nothing would be worse than leaving it.
fn own_default_routes(list: &NetworkList) -> Families {
    let mut found = Families {
        v4: false,
        v6: false,
    };
    for plugin in list.plugins() {
        let ipam: Option<Ipam> = plugin.object().typed_folded("ipam").ok().flatten();
        for route in ipam.into_iter().flat_map(|ipam| ipam.routes) {
            match route.dst {
                Some(IpNet::V4(dst)) if dst.prefix_len() == 0 => found.v4 = true,
                Some(IpNet::V6(dst)) if dst.prefix_len() == 0 => found.v6 = true,
                _ => {}
            }
        }
    }
    if !found.v4 && !found.v6 {
        found.v4 = true;
    }
    found
}

#[derive(Debug, Deserialize)]
struct Ipam {
    #[serde(default)]
    routes: Vec<IpamRoute>,
}

#[derive(Debug, Deserialize)]
struct IpamRoute {
    #[serde(default)]
    dst: Option<IpNet>,
}

/// One per network.
pub(super) fn of(networks: &[Network]) -> Result<Vec<Route>, Refusal> {
    let mut asking = networks
        .iter()
        .enumerate()
        .filter_map(|(i, n)| n.wanted.selection.default_route.as_ref().map(|r| (i, r)));
    let Some((owner, gateways)) = asking.next() else {
        return Ok(networks.iter().map(|_| Route::default()).collect());
    };
    if let Some((other, _)) = asking.next() {
        return Err(Refusal::RouteTwice {
            first: networks[owner].name.clone(),
            second: networks[other].name.clone(),
        });
    }
    let v4 = gateways.iter().filter(|g| g.is_ipv4()).count();
    let v6 = gateways.len() - v4;
    for (count, family) in [(v4, "IPv4"), (v6, "IPv6")] {
        if count > 1 {
            return Err(Refusal::GatewayTwice {
                network: networks[owner].name.clone(),
                family,
            });
        }
    }
    let taken = if gateways.is_empty() {
        own_default_routes(&networks[owner].list)
    } else {
        Families {
            v4: v4 > 0,
            v6: v6 > 0,
        }
    };
    Ok((0..networks.len())
        .map(|i| {
            if i == owner {
                Route {
                    gateways: gateways.clone(),
                    keep: Families {
                        v4: v4 == 0,
                        v6: v6 == 0,
                    },
                }
            } else {
                Route {
                    gateways: Vec::new(),
                    keep: Families {
                        v4: !taken.v4,
                        v6: !taken.v6,
                    },
                }
            }
        })
        .collect())
}
