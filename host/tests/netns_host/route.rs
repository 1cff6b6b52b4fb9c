use host::default_route;
use host::error::Kind;
use host::netlink::Netlink;
use host::netlink::address::{Detection, NewAddress};
use host::netlink::create::NewLink;
use host::netlink::route::{Family, Hop, Route};
use host::testing::netns::own_netlink;

use crate::{chain, index, pair, up};

/// Two connected links that are up, the first with addresses of both families.
fn prepared(netlink: &mut Netlink) -> (u32, u32) {
    let (one, other) = pair(netlink, "one", "other");
    up(netlink, one);
    up(netlink, other);
    addressed(netlink, one, "10.1.0.1/24");
    addressed(netlink, one, "fd01::1/64");
    (one, other)
}

fn addressed(netlink: &mut Netlink, index: u32, net: &str) {
    let address = NewAddress {
        net: net.parse().unwrap(),
        detection: Detection::Skip,
    };
    netlink.add_address(index, address).unwrap();
}

fn route(destination: &str, index: u32, gateway: &str) -> Route {
    Route::new(
        destination.parse().unwrap(),
        index,
        Some(gateway.parse().unwrap()),
    )
}

fn main_table(netlink: &mut Netlink, family: Family, destination: &str) -> Vec<Route> {
    let mut routes = netlink.routes(Some(family)).unwrap();
    routes.retain(|route| {
        route.table == Route::MAIN && route.destination == destination.parse().unwrap()
    });
    routes
}

#[test]
fn a_route_is_added_read_and_removed() {
    let mut netlink = own_netlink();
    let (one, _) = prepared(&mut netlink);
    let mut v4 = route("10.2.0.0/16", one, "10.1.0.254");
    v4.metric = Some(50);
    v4.mtu = Some(1300);
    v4.advmss = Some(1200);
    v4.source = Some("10.1.0.1".parse().unwrap());
    let mut v6 = route("fd02::/64", one, "fd01::ff");
    v6.metric = Some(60);
    for wanted in [v4, v6] {
        netlink.add_route(&wanted).unwrap();
        let read = main_table(
            &mut netlink,
            wanted.family(),
            &wanted.destination.to_string(),
        );
        assert_eq!(read, std::slice::from_ref(&wanted));
        assert!(netlink.routes_of(one, None).unwrap().contains(&wanted));
        netlink.delete_route(&read[0]).unwrap();
        assert_eq!(
            netlink.delete_route(&read[0]).unwrap_err().kind(),
            Kind::NotFound
        );
    }
}

#[test]
fn a_route_on_the_link_needs_no_gateway() {
    let mut netlink = own_netlink();
    let (one, _) = prepared(&mut netlink);
    for destination in ["10.3.0.0/24", "fd03::/64"] {
        let wanted = Route::new(destination.parse().unwrap(), one, None);
        netlink.add_route(&wanted).unwrap();
        assert_eq!(
            main_table(&mut netlink, wanted.family(), destination).len(),
            1
        );
    }
}

#[test]
fn an_ipv4_route_goes_through_an_ipv6_router() {
    let mut netlink = own_netlink();
    let (one, _) = prepared(&mut netlink);
    let wanted = route("0.0.0.0/0", one, "fd01::fe");
    netlink.add_route(&wanted).unwrap();
    assert_eq!(
        main_table(&mut netlink, Family::V4, "0.0.0.0/0"),
        std::slice::from_ref(&wanted)
    );
    netlink.delete_route(&wanted).unwrap();
}

#[test]
fn an_equal_route_is_told_and_replacing_leaves_one() {
    let mut netlink = own_netlink();
    let (one, _) = prepared(&mut netlink);
    for (destination, first, second) in [
        ("0.0.0.0/0", "10.1.0.254", "10.1.0.253"),
        ("::/0", "fd01::fe", "fd01::fd"),
    ] {
        netlink.add_route(&route(destination, one, first)).unwrap();
        let error = netlink
            .add_route(&route(destination, one, first))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Exists, "{}", chain(&error));
        let wanted = route(destination, one, second);
        netlink.replace_route(&wanted).unwrap();
        let read = main_table(&mut netlink, wanted.family(), destination);
        let gateways: Vec<_> = read
            .iter()
            .flat_map(|route| &route.hops)
            .map(|hop| hop.gateway)
            .collect();
        assert_eq!(gateways, [Some(second.parse().unwrap())]);
    }
}

#[test]
fn a_gateway_that_cannot_be_reached_is_told_in_the_words_of_the_kernel() {
    let mut netlink = own_netlink();
    let (one, _) = prepared(&mut netlink);
    let error = netlink
        .add_route(&route("10.2.0.0/16", one, "192.0.2.1"))
        .unwrap_err();
    let text = chain(&error);
    assert!(
        text.starts_with("add route 10.2.0.0/16 via 192.0.2.1 on link index "),
        "{text}"
    );
    assert!(text.contains("network is unreachable"), "{text}");
}

#[test]
fn a_node_without_default_route_has_no_protected_interface() {
    let mut netlink = own_netlink();
    prepared(&mut netlink);
    assert!(default_route::interfaces(&mut netlink).unwrap().is_empty());
}

#[test]
fn both_links_of_a_multipath_default_route_are_protected() {
    let mut netlink = own_netlink();
    let (one, _) = pair(&mut netlink, "one", "one-peer");
    let (two, _) = pair(&mut netlink, "two", "two-peer");
    for (link, nets) in [
        (one, ["10.1.0.1/24", "fd01::1/64"]),
        (two, ["10.2.0.1/24", "fd02::1/64"]),
    ] {
        up(&mut netlink, link);
        for net in nets {
            addressed(&mut netlink, link, net);
        }
    }
    for (destination, first, second) in [
        ("0.0.0.0/0", "10.1.0.254", "10.2.0.254"),
        ("::/0", "fd01::fe", "fd02::fe"),
    ] {
        let mut both = route(destination, one, first);
        both.hops.push(Hop {
            gateway: Some(second.parse().unwrap()),
            index: Some(two),
        });
        netlink.add_route(&both).unwrap();
        assert_eq!(protected(&mut netlink), ["one", "two"]);
        for route in main_table(&mut netlink, both.family(), destination) {
            netlink.delete_route(&route).unwrap();
        }
        assert!(protected(&mut netlink).is_empty());
    }
}

#[test]
fn the_nic_below_macvlan_and_bridge_with_the_default_route_is_protected() {
    let mut netlink = own_netlink();
    let (nic, _) = pair(&mut netlink, "nic", "cable");
    netlink.create_link("br0", NewLink::Bridge).unwrap();
    let bridge = index(&mut netlink, "br0");
    netlink
        .create_link("mac0", NewLink::MacVlan { lower: bridge })
        .unwrap();
    let top = index(&mut netlink, "mac0");
    netlink.set_controller(nic, bridge).unwrap();
    for link in [nic, bridge, top] {
        up(&mut netlink, link);
    }
    addressed(&mut netlink, top, "fd01::1/64");
    netlink.add_route(&route("::/0", top, "fd01::fe")).unwrap();
    assert_eq!(protected(&mut netlink), ["br0", "mac0", "nic"]);
}

fn protected(netlink: &mut Netlink) -> Vec<String> {
    let links = default_route::interfaces(netlink).unwrap();
    let mut names: Vec<String> = links.into_iter().map(|link| link.name).collect();
    names.sort_unstable();
    names
}
