use std::net::IpAddr;

use super::*;
use crate::netlink::route::Hop;

fn link(index: u32, controller: Option<u32>, lower: Option<u32>) -> Link {
    Link {
        index,
        controller,
        lower,
        ..Link::default()
    }
}

fn default(destination: &str, index: u32) -> Route {
    let gateway: IpAddr = if destination.contains(':') {
        [0xfe80, 0, 0, 0, 0, 0, 0, 1].into()
    } else {
        [10, 0, 0, 1].into()
    };
    Route::new(destination.parse().unwrap(), index, Some(gateway))
}

#[test]
fn all_members_of_a_bond_below_a_vlan_below_a_bridge_are_found() {
    // eth0 (1) and eth1 (2) in bond0 (3); bond0.5 (4) on bond0 in br0 (5); eth2 (6) apart.
    let links = [
        link(1, Some(3), None),
        link(2, Some(3), None),
        link(3, None, None),
        link(4, Some(5), Some(3)),
        link(5, None, None),
        link(6, None, None),
    ];
    for destination in ["0.0.0.0/0", "::/0"] {
        let found = carriers(&links, &[default(destination, 5)]);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [1, 2, 3, 4, 5],
            "{destination}"
        );
    }
}

#[test]
fn other_routes_and_other_tables_protect_nothing() {
    let links = [link(1, None, None)];
    let mut vpn = default("0.0.0.0/0", 1);
    vpn.table = 100;
    let mut blackhole = default("::/0", 1);
    blackhole.kind = 6;
    let routes = [vpn, blackhole, default("10.0.0.0/8", 1)];
    assert!(carriers(&links, &routes).is_empty());
}

#[test]
fn every_next_hop_counts() {
    let links = [
        link(1, None, None),
        link(2, None, None),
        link(3, None, None),
    ];
    let mut route = default("0.0.0.0/0", 1);
    route.hops.push(Hop {
        gateway: None,
        index: Some(3),
    });
    assert_eq!(
        carriers(&links, &[route]).into_iter().collect::<Vec<_>>(),
        [1, 3]
    );
}

#[test]
fn links_that_point_at_each_other_end_the_search() {
    let links = [link(1, Some(2), Some(2)), link(2, Some(1), Some(1))];
    assert_eq!(carriers(&links, &[default("0.0.0.0/0", 1)]).len(), 2);
}
