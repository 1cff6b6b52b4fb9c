use host::error::Kind;
use host::mac::MacAddress;
use host::netlink::create::NewLink;
use host::netlink::link::LinkChange;
use host::testing::netns::{fresh, own_netlink};

use crate::{chain, index, pair};

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x42]);

#[test]
fn a_link_is_found_by_index_name_and_alternative_name() {
    let mut netlink = own_netlink();
    let (veth, _) = pair(&mut netlink, "ens1f0v3", "peer");
    let long = "enp59s0f0npf0vf3-a-very-long-name";
    netlink.add_alt_names(veth, &["short", long]).unwrap();
    for name in ["ens1f0v3", "short", long] {
        assert_eq!(
            netlink.link_by_name(name).unwrap().unwrap().index,
            veth,
            "{name}"
        );
    }
    let link = netlink.link(veth).unwrap().unwrap();
    assert_eq!(link.name, "ens1f0v3");
    assert_eq!(link.alt_names, ["short", long]);
    assert_eq!(link.kind.as_deref(), Some("veth"));
    assert_eq!(link.link_type, 1);
    assert!(netlink.links().unwrap().contains(&link));
}

#[test]
fn a_link_that_does_not_exist_is_none_and_cannot_be_changed() {
    let mut netlink = own_netlink();
    assert_eq!(netlink.link(4711).unwrap(), None);
    assert_eq!(netlink.link_by_name("nothing").unwrap(), None);
    assert_eq!(
        netlink
            .link_by_name("a-name-longer-than-interfaces-have")
            .unwrap(),
        None
    );
    assert_eq!(
        netlink
            .link_by_parent("0000:3b:02.0".parse().unwrap())
            .unwrap(),
        None
    );
    let error = netlink
        .change_link(
            4711,
            &LinkChange {
                mtu: Some(9000),
                ..LinkChange::default()
            },
        )
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        chain(&error).starts_with("link with index 4711: set MTU 9000: no such device"),
        "{}",
        chain(&error)
    );
}

#[test]
fn software_links_have_no_device_behind_them() {
    let mut netlink = own_netlink();
    pair(&mut netlink, "one", "other");
    for link in netlink.links().unwrap() {
        assert_eq!(netlink.parent(&link), None, "{}", link.name);
    }
}

#[test]
fn the_driver_of_a_link_is_told_in_the_namespace_of_the_socket() {
    let outside = own_netlink();
    let pod = fresh();
    let mut inside = pod.netns.netlink().unwrap();
    pair(&mut inside, "net1", "peer");
    let link = inside.link_by_name("net1").unwrap().unwrap();
    assert_eq!(inside.driver(&link).as_deref(), Some("veth"));
    assert_eq!(outside.driver(&link), None);
}

#[test]
fn one_message_moves_renames_and_sets_address_mtu_and_up() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let (veth, _) = pair(&mut netlink, "ens1f0v3", "peer");
    let change = LinkChange {
        netns: Some(&pod.netns),
        name: Some("net1"),
        address: Some(MAC),
        mtu: Some(1400),
        up: Some(true),
        ..LinkChange::default()
    };
    netlink.change_link(veth, &change).unwrap();
    assert_eq!(netlink.link_by_name("ens1f0v3").unwrap(), None);
    let moved = pod
        .netns
        .netlink()
        .unwrap()
        .link_by_name("net1")
        .unwrap()
        .unwrap();
    assert_eq!(
        (moved.address, moved.mtu, moved.up),
        (Some(MAC), 1400, true)
    );
}

#[test]
fn a_name_taken_in_the_pod_leaves_the_link_there_under_its_old_name() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let mut inside = pod.netns.netlink().unwrap();
    pair(&mut inside, "net1", "net1peer");
    let taken = index(&mut inside, "net1");
    let (veth, _) = pair(&mut netlink, "ens1f0v3", "peer");
    let change = LinkChange {
        netns: Some(&pod.netns),
        name: Some("net1"),
        ..LinkChange::default()
    };
    let error = netlink.change_link(veth, &change).unwrap_err();
    assert_eq!(error.kind(), Kind::Exists, "{}", chain(&error));
    assert!(
        chain(&error).contains("rename to net1"),
        "{}",
        chain(&error)
    );
    assert_eq!(netlink.link_by_name("ens1f0v3").unwrap(), None);
    assert!(inside.link_by_name("ens1f0v3").unwrap().is_some());
    assert_eq!(inside.link_by_name("net1").unwrap().unwrap().index, taken);
}

#[test]
fn alternative_names_are_removed_and_a_taken_one_is_told() {
    let mut netlink = own_netlink();
    let (one, other) = pair(&mut netlink, "one", "other");
    netlink.add_alt_names(one, &["alpha", "beta"]).unwrap();
    let error = netlink.add_alt_names(other, &["beta"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Exists);
    assert!(
        chain(&error).starts_with("link other: add alternative names beta: "),
        "{}",
        chain(&error)
    );
    netlink.delete_alt_names(one, &["beta"]).unwrap();
    assert_eq!(netlink.link(one).unwrap().unwrap().alt_names, ["alpha"]);
    netlink.add_alt_names(other, &["beta"]).unwrap();
    netlink.add_alt_names(other, &[]).unwrap();
}

#[test]
fn modes_queue_length_and_alias_are_set_and_survive_a_move() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let (veth, _) = pair(&mut netlink, "one", "other");
    let change = LinkChange {
        promiscuous: Some(true),
        all_multicast: Some(true),
        tx_queue_len: Some(777),
        alias: Some("sriov:one:0123"),
        ..LinkChange::default()
    };
    netlink.change_link(veth, &change).unwrap();
    let to_pod = LinkChange {
        netns: Some(&pod.netns),
        ..LinkChange::default()
    };
    netlink.change_link(veth, &to_pod).unwrap();
    let mut inside = pod.netns.netlink().unwrap();
    let link = inside.link_by_name("one").unwrap().unwrap();
    assert!(link.promiscuous && link.all_multicast);
    assert_eq!(
        (link.tx_queue_len, link.alias.as_deref()),
        (777, Some("sriov:one:0123"))
    );
    let back = LinkChange {
        promiscuous: Some(false),
        all_multicast: Some(false),
        alias: Some(""),
        ..LinkChange::default()
    };
    inside.change_link(link.index, &back).unwrap();
    let link = inside.link(link.index).unwrap().unwrap();
    assert!(!link.promiscuous && !link.all_multicast && link.alias.is_none());
}

#[test]
fn a_macvlan_names_the_link_below_and_a_member_its_bridge() {
    let mut netlink = own_netlink();
    let (veth, peer) = pair(&mut netlink, "one", "other");
    netlink
        .create_link("mac0", NewLink::MacVlan { lower: veth })
        .unwrap();
    netlink.create_link("br0", NewLink::Bridge).unwrap();
    let bridge = index(&mut netlink, "br0");
    netlink.set_controller(peer, bridge).unwrap();
    assert_eq!(
        netlink.link_by_name("mac0").unwrap().unwrap().lower,
        Some(veth)
    );
    assert_eq!(
        netlink.link(peer).unwrap().unwrap().controller,
        Some(bridge)
    );
    netlink.delete_link(bridge).unwrap();
    assert_eq!(netlink.link(peer).unwrap().unwrap().controller, None);
}

#[test]
fn an_index_that_counts_in_another_namespace_is_not_taken_for_a_link_below() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let (veth, _) = pair(&mut netlink, "one", "other");
    netlink
        .create_link("mac0", NewLink::MacVlan { lower: veth })
        .unwrap();
    let macvlan = netlink.link_by_name("mac0").unwrap().unwrap();
    assert_eq!(macvlan.lower, Some(veth));
    let to_pod = LinkChange {
        netns: Some(&pod.netns),
        ..LinkChange::default()
    };
    netlink.change_link(macvlan.index, &to_pod).unwrap();
    let moved = pod
        .netns
        .netlink()
        .unwrap()
        .link_by_name("mac0")
        .unwrap()
        .unwrap();
    assert_eq!(moved.lower, None);
}

#[test]
fn the_ends_of_a_pair_are_not_below_each_other() {
    let mut netlink = own_netlink();
    let (veth, _) = pair(&mut netlink, "one", "other");
    assert_eq!(netlink.link(veth).unwrap().unwrap().lower, None);
}

#[test]
fn the_text_of_the_kernel_is_part_of_the_error() {
    let mut netlink = own_netlink();
    let (veth, _) = pair(&mut netlink, "one", "other");
    let change = LinkChange {
        mtu: Some(70_000),
        ..LinkChange::default()
    };
    let error = netlink.change_link(veth, &change).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let text = chain(&error);
    assert!(
        text.starts_with("link one: set MTU 70000: invalid argument: "),
        "{text}"
    );
    assert!(text.contains("mtu"), "{text}");
}

#[test]
fn many_links_are_listed_completely() {
    let mut netlink = own_netlink();
    for number in 0..60 {
        pair(
            &mut netlink,
            &format!("one{number}"),
            &format!("other{number}"),
        );
    }
    let links = netlink.links().unwrap();
    assert_eq!(
        links
            .iter()
            .filter(|link| link.kind.as_deref() == Some("veth"))
            .count(),
        120
    );
}
