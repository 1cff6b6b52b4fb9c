use rtnetlink::packet_core::Emitable;

use super::*;
use crate::netlink::route::encode;

fn there_and_back(wanted: &Route) -> Route {
    let message = encode::route(wanted);
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    route(&Reply {
        kind: RTM_NEWROUTE,
        payload,
    })
    .unwrap()
}

#[test]
fn a_route_with_everything_is_read_as_it_was_built() {
    let mut wanted = Route::new(
        "10.2.0.0/16".parse().unwrap(),
        5,
        Some("10.1.0.1".parse().unwrap()),
    );
    wanted.metric = Some(100);
    wanted.mtu = Some(1400);
    wanted.advmss = Some(1300);
    wanted.table = 1000;
    wanted.source = Some("10.1.0.9".parse().unwrap());
    assert_eq!(there_and_back(&wanted), wanted);
}

#[test]
fn both_ways_of_a_multipath_default_route_are_seen() {
    let mut wanted = Route::new("::/0".parse().unwrap(), 5, Some("fe80::1".parse().unwrap()));
    wanted.hops.push(Hop {
        gateway: Some("fe80::2".parse().unwrap()),
        index: Some(6),
    });
    let read = there_and_back(&wanted);
    assert_eq!(read, wanted);
    assert!(read.is_default());
    assert_eq!(read.interfaces().collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn an_ipv4_route_through_an_ipv6_router_keeps_the_router() {
    let wanted = Route::new(
        "0.0.0.0/0".parse().unwrap(),
        5,
        Some("fe80::1".parse().unwrap()),
    );
    assert_eq!(there_and_back(&wanted), wanted);
}

#[test]
fn a_cached_clone_is_no_route() {
    let message = encode::route(&Route::new("10.0.0.0/8".parse().unwrap(), 1, None));
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    payload[8..12].copy_from_slice(&RTM_F_CLONED.to_ne_bytes());
    let kind = RTM_NEWROUTE;
    assert_eq!(route(&Reply { kind, payload }), None);
}
