//! Building route messages.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteProtocol,
    RouteScope, RouteVia,
};

use crate::netlink::route::{Family, Hop, Route};

/// Asks for all routes of a family.
pub(super) fn question(family: Family) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = number(family);
    message
}

pub(super) fn route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = number(route.family());
    header.destination_prefix_length = route.destination.prefix_len();
    header.protocol = RouteProtocol::from(route.protocol);
    header.scope = RouteScope::from(route.scope);
    header.kind = route.kind.into();
    header.table = u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);

    let attributes = &mut message.attributes;
    if route.destination.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(
            route.destination.network().into(),
        ));
    }
    if header.table == RouteHeader::RT_TABLE_UNSPEC {
        attributes.push(RouteAttribute::Table(route.table));
    }
    attributes.extend(
        route
            .source
            .map(|source| RouteAttribute::PrefSource(source.into())),
    );
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    let metrics: Vec<RouteMetric> = [
        route.mtu.map(RouteMetric::Mtu),
        route.advmss.map(RouteMetric::Advmss),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    match route.hops.as_slice() {
        [] => {}
        [only] => {
            attributes.extend(only.index.map(RouteAttribute::Oif));
            attributes.extend(gateway(route, only));
        }
        several => attributes.push(RouteAttribute::MultiPath(
            several.iter().map(|hop| next_hop(route, hop)).collect(),
        )),
    }
    message
}

/// The same, but protocol and IPv4 scope match anything, as they are not what tells routes apart.
pub(super) fn removal(wanted: &Route) -> RouteMessage {
    let mut message = route(wanted);
    message.header.protocol = RouteProtocol::Unspec;
    message.header.scope = RouteScope::NoWhere;
    message
}

fn next_hop(route: &Route, hop: &Hop) -> RouteNextHop {
    let mut next = RouteNextHop::default();
    next.interface_index = hop.index.unwrap_or(0);
    next.attributes.extend(gateway(route, hop));
    next
}

fn gateway(route: &Route, hop: &Hop) -> Option<RouteAttribute> {
    Some(match (route.family(), hop.gateway?) {
        (Family::V4, IpAddr::V6(router)) => RouteAttribute::Via(RouteVia::Inet6(router)),
        (_, router) => RouteAttribute::Gateway(router.into()),
    })
}

fn number(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
