//! Which interfaces carry the node's default routes, followed down through bond, bridge, VLAN and the like.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::link::Link;
use crate::netlink::route::Route;

/// Interfaces that carry a default route of either family, and all interfaces below them, ordered by index. A NIC
/// among them is the node's own and must not be given away.
pub fn interfaces(netlink: &mut Netlink) -> Result<Vec<Link>> {
    let links = netlink.links()?;
    let routes = netlink.routes(None)?;
    let carriers = carriers(&links, &routes);
    Ok(links
        .into_iter()
        .filter(|link| carriers.contains(&link.index))
        .collect())
}

/// Indexes of [`interfaces`], from a dump of links and routes. Counts IPv4 and IPv6, every next hop, main table only.
pub fn carriers(links: &[Link], routes: &[Route]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open: Vec<u32> = routes
        .iter()
        .filter(|route| route.is_default())
        .flat_map(Route::interfaces)
        .collect();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            // Members of a bond, bridge or team point up; a VLAN or macvlan points down.
            open.extend(
                links
                    .iter()
                    .filter(|link| link.controller == Some(index))
                    .map(|link| link.index),
            );
            open.extend(
                links
                    .iter()
                    .filter(|link| link.index == index)
                    .filter_map(|link| link.lower),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests;
