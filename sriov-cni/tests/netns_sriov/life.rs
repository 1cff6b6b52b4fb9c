//! ADD, CHECK and DEL with a real interface.

use cni::version::Version;
use host::netlink::create::NewLink;
use host::netlink::link::{Link, LinkChange};
use host::netlink::route::Family;
use host::sysctl;
use host::testing::netns::fresh;

use super::*;
use crate::lab::vf_in;

/// What DEL must bring back. The index changes with each move.
pub(crate) fn comparable(link: Option<Link>) -> Link {
    Link {
        index: 0,
        lower: None,
        ..link.unwrap()
    }
}

#[test]
fn the_interface_goes_to_the_pod_with_addresses_and_routes_and_comes_back_as_it_was() {
    let mut world = World::new();
    let pod = fresh();
    let before = comparable(world.lab.vf());
    let result = world.add(&pod.netns, &with_ipam()).unwrap();
    assert!(world.lab.vf().is_none());
    let link = vf_in(&pod.netns).unwrap();
    assert_eq!((link.name.as_str(), link.up), ("net1", true));
    assert_eq!(result.interfaces[0].mac, link.address.unwrap().to_string());

    let mut netlink = pod.netns.netlink().unwrap();
    let addresses: Vec<_> = netlink.addresses(Some(link.index)).unwrap();
    for wanted in ["192.0.2.5/24", "2001:db8::5/64"] {
        assert!(
            addresses
                .iter()
                .any(|address| address.net.to_string() == wanted),
            "{wanted} in {addresses:?}"
        );
    }
    let routes = netlink.routes_of(link.index, None).unwrap();
    let through = |destination: &str| {
        let route = routes
            .iter()
            .find(|route| route.destination.to_string() == destination)
            .unwrap();
        (route.hops[0].gateway.unwrap().to_string(), route.metric)
    };
    assert_eq!(through("198.51.100.0/24").0, "192.0.2.1");
    assert_eq!(through("::/0").0, "2001:db8::1");
    assert_eq!(
        through("203.0.113.0/24"),
        ("192.0.2.9".to_owned(), Some(50))
    );
    for key in [
        ["ipv4", "arp_notify"],
        ["ipv6", "ndisc_notify"],
        ["ipv6", "keep_addr_on_down"],
    ] {
        let read =
            || sysctl::read("/proc".as_ref(), &["net", key[0], "conf", "net1", key[1]]).unwrap();
        assert_eq!(pod.netns.run(read).unwrap(), "1", "{key:?}");
    }

    let mut config = with_ipam();
    config["prevResult"] = serde_json::from_str(&result.to_json(Version::V1_1_0).unwrap()).unwrap();
    world.check(&pod.netns, &config).unwrap();
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
}

#[test]
fn what_the_pod_changed_does_not_come_back_with_the_interface() {
    let mut world = World::new();
    let pod = fresh();
    let before = comparable(world.lab.vf());
    world.add(&pod.netns, &json!({})).unwrap();
    let mut netlink = pod.netns.netlink().unwrap();
    let link = vf_in(&pod.netns).unwrap();
    let change = LinkChange {
        name: Some("eth7"),
        mtu: Some(1300),
        address: Some("02:66:66:66:66:66".parse().unwrap()),
        tx_queue_len: Some(7),
        promiscuous: Some(true),
        all_multicast: Some(true),
        ..LinkChange::default()
    };
    netlink
        .change_link(
            link.index,
            &LinkChange {
                up: Some(false),
                ..LinkChange::default()
            },
        )
        .unwrap();
    netlink.change_link(link.index, &change).unwrap();
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
}

#[test]
fn a_requested_address_is_on_the_interface_in_the_pod_and_gone_afterwards() {
    let mut world = World::new();
    let pod = fresh();
    let before = comparable(world.lab.vf());
    let result = world
        .add(&pod.netns, &json!({ "mac": "02:00:00:AA:00:01" }))
        .unwrap();
    assert_eq!(result.interfaces[0].mac, "02:00:00:aa:00:01");
    assert_eq!(
        vf_in(&pod.netns).unwrap().address.unwrap().to_string(),
        "02:00:00:aa:00:01"
    );
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
}

#[test]
fn an_interface_of_the_pod_with_the_wanted_name_stays_untouched() {
    let mut world = World::new();
    let pod = fresh();
    let mut netlink = pod.netns.netlink().unwrap();
    netlink.create_link("net1", NewLink::Bridge).unwrap();
    let theirs = netlink.link_by_name("net1").unwrap().unwrap();
    netlink
        .change_link(
            theirs.index,
            &LinkChange {
                up: Some(true),
                mtu: Some(1400),
                ..LinkChange::default()
            },
        )
        .unwrap();
    let theirs = netlink.link_by_name("net1").unwrap().unwrap();
    let before = comparable(world.lab.vf());
    let error = world.add(&pod.netns, &with_ipam()).unwrap_err();
    assert_eq!(error.reason(), Some("InterfaceExists"));
    assert_eq!(netlink.link_by_name("net1").unwrap().unwrap(), theirs);
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
}

#[test]
fn alternative_names_in_the_way_are_put_aside_and_come_back() {
    let mut world = World::new();
    let pod = fresh();
    let vf = world.lab.vf().unwrap().index;
    world
        .lab
        .host
        .add_alt_names(vf, &["net1", "enp59s0f0v1"])
        .unwrap();
    let mut before = comparable(world.lab.vf());
    world.add(&pod.netns, &json!({})).unwrap();
    assert_eq!(vf_in(&pod.netns).unwrap().alt_names, ["enp59s0f0v1"]);
    world.del(&pod.netns).unwrap();
    let mut after = comparable(world.lab.vf());
    before.alt_names.sort();
    after.alt_names.sort();
    assert_eq!(after, before);
}

#[test]
fn a_name_that_is_taken_on_the_host_is_given_back_later() {
    let mut world = World::new();
    let pod = fresh();
    let before = comparable(world.lab.vf());
    world.add(&pod.netns, &json!({})).unwrap();
    world.lab.host.create_link("vf0", NewLink::Bridge).unwrap();
    world.del(&pod.netns).unwrap();
    let home = world.lab.vf().unwrap();
    assert!(home.name.starts_with("dev"), "{}", home.name);
    assert!(!world.is_clean(), "the name is still owed");
    let other = world.lab.host.link_by_name("vf0").unwrap().unwrap().index;
    world.lab.host.delete_link(other).unwrap();
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
}

#[test]
fn an_address_that_cannot_be_applied_brings_the_interface_back() {
    let mut world = World::new();
    let pod = fresh();
    let before = comparable(world.lab.vf());
    let bad = ADDRESSES.replace("\"gw\":\"192.0.2.9\"", "\"gw\":\"10.9.9.9\"");
    let script = format!("#!/bin/sh\n[ \"$CNI_COMMAND\" = ADD ] && echo '{bad}'\nexit 0\n");
    std::fs::write(world.directory.path().join("test-ipam"), script).unwrap();
    let error = world.add(&pod.netns, &with_ipam()).unwrap_err();
    assert_eq!(error.code(), 105, "{error}");
    assert!(
        error
            .to_cni()
            .msg
            .starts_with("add route to 203.0.113.0/24 on net1: "),
        "{}",
        error.to_cni().msg
    );
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
    assert!(
        pod.netns
            .netlink()
            .unwrap()
            .routes(Some(Family::V4))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn ipv6_that_is_switched_off_in_the_pod_is_switched_on_for_its_address() {
    let mut world = World::new();
    let pod = fresh();
    let off = || {
        for interface in ["all", "default"] {
            sysctl::write(
                "/proc".as_ref(),
                &["net", "ipv6", "conf", interface, "disable_ipv6"],
                "1",
            )
            .unwrap();
        }
    };
    pod.netns.run(off).unwrap();
    world.add(&pod.netns, &with_ipam()).unwrap();
    let link = vf_in(&pod.netns).unwrap();
    let addresses = pod
        .netns
        .netlink()
        .unwrap()
        .addresses(Some(link.index))
        .unwrap();
    assert!(
        addresses
            .iter()
            .any(|address| address.net.to_string() == "2001:db8::5/64"),
        "{addresses:?}"
    );
}
