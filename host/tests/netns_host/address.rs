use std::net::IpAddr;
use std::time::Duration;

use host::error::Kind;
use host::netlink::Netlink;
use host::netlink::address::{Dad, Detection, NewAddress};
use host::netlink::link::LinkChange;
use host::netlink::watch::Group;
use host::netns::NetNs;
use host::testing::netns::{fresh, own_netlink};

use crate::{chain, pair, up};

/// Beyond the patience of the test runner: a wait that does not end by its event fails.
const LONG: Duration = Duration::from_mins(10);

fn address(text: &str) -> NewAddress {
    NewAddress {
        net: text.parse().unwrap(),
        detection: Detection::Normal,
    }
}

/// Moves the peer into `pod` and sets both ends up.
fn connect(netlink: &mut Netlink, veth: u32, peer: u32, pod: &NetNs) -> (Netlink, u32) {
    let change = LinkChange {
        netns: Some(pod),
        up: Some(true),
        ..LinkChange::default()
    };
    netlink.change_link(peer, &change).unwrap();
    up(netlink, veth);
    let mut inside = pod.netlink().unwrap();
    let index = crate::index(&mut inside, "other");
    (inside, index)
}

#[test]
fn an_ipv4_address_has_a_broadcast_address_below_prefix_31() {
    let mut netlink = own_netlink();
    let (veth, peer) = pair(&mut netlink, "one", "other");
    netlink.add_address(veth, address("10.1.2.3/24")).unwrap();
    netlink.add_address(veth, address("10.9.0.1/31")).unwrap();
    netlink.add_address(peer, address("10.8.0.1/32")).unwrap();
    let read = netlink.addresses(Some(veth)).unwrap();
    let shown: Vec<_> = read
        .iter()
        .map(|one| (one.net.to_string(), one.broadcast))
        .collect();
    assert_eq!(
        shown,
        [
            ("10.1.2.3/24".to_owned(), Some([10, 1, 2, 255].into())),
            ("10.9.0.1/31".to_owned(), None)
        ]
    );
    netlink
        .delete_address(veth, "10.1.2.3/24".parse().unwrap())
        .unwrap();
    assert_eq!(netlink.addresses(Some(veth)).unwrap().len(), 1);
}

#[test]
fn an_address_that_is_there_already_is_told() {
    let mut netlink = own_netlink();
    let (veth, _) = pair(&mut netlink, "one", "other");
    netlink.add_address(veth, address("10.1.2.3/24")).unwrap();
    let error = netlink
        .add_address(veth, address("10.1.2.3/24"))
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Exists);
    assert!(
        chain(&error).starts_with("link one: add address 10.1.2.3/24: file exists"),
        "{}",
        chain(&error)
    );
    let error = netlink
        .delete_address(veth, "10.1.2.4/24".parse().unwrap())
        .unwrap_err();
    assert!(
        chain(&error).starts_with("link one: remove address 10.1.2.4/24: "),
        "{}",
        chain(&error)
    );
}

#[test]
fn an_address_without_detection_is_usable_at_once() {
    let mut netlink = own_netlink();
    let (veth, _) = pair(&mut netlink, "one", "other");
    up(&mut netlink, veth);
    let mut new = address("fd00::1/64");
    new.detection = Detection::Skip;
    netlink.add_address(veth, new).unwrap();
    let read = netlink.addresses(Some(veth)).unwrap();
    let read = read.iter().find(|one| one.net == new.net).unwrap();
    assert!(!read.tentative && !read.duplicate);
}

#[test]
fn waiting_for_detection_ends_when_the_address_is_usable() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let (veth, peer) = pair(&mut netlink, "one", "other");
    let mut watch = pod.netns.watch(&[Group::Addresses]).unwrap();
    let (mut inside, index) = connect(&mut netlink, veth, peer, &pod.netns);
    inside.add_address(index, address("fd00::1/64")).unwrap();
    assert_eq!(
        inside.wait_for_dad(&mut watch, index, LONG).unwrap(),
        Dad::Done
    );
    let all = inside.addresses(Some(index)).unwrap();
    assert!(
        all.iter()
            .any(|one| one.net == "fd00::1/64".parse().unwrap() && !one.tentative)
    );
}

#[test]
fn an_address_of_another_node_is_told_as_duplicate() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let (veth, peer) = pair(&mut netlink, "one", "other");
    let (mut inside, index) = connect(&mut netlink, veth, peer, &pod.netns);
    let mut first = address("fd00::1/64");
    first.detection = Detection::Skip;
    netlink.add_address(veth, first).unwrap();
    let mut watch = pod.netns.watch(&[Group::Addresses]).unwrap();
    inside.add_address(index, address("fd00::1/64")).unwrap();
    let expected = Dad::Duplicate(vec!["fd00::1".parse::<IpAddr>().unwrap()]);
    assert_eq!(
        inside.wait_for_dad(&mut watch, index, LONG).unwrap(),
        expected
    );
}

#[test]
fn without_a_carrier_an_address_is_told_as_tentative_when_the_time_is_over() {
    let mut netlink = own_netlink();
    let (veth, _) = pair(&mut netlink, "one", "other");
    up(&mut netlink, veth);
    let mut watch = host::netlink::watch::Watch::open(&[Group::Addresses]).unwrap();
    netlink.add_address(veth, address("fd00::1/64")).unwrap();
    let outcome = netlink
        .wait_for_dad(&mut watch, veth, Duration::from_millis(50))
        .unwrap();
    assert_eq!(outcome, Dad::Tentative(vec!["fd00::1".parse().unwrap()]));
}

#[test]
fn neither_link_local_nor_optimistic_addresses_are_waited_for() {
    let mut netlink = own_netlink();
    let pod = fresh();
    let (veth, peer) = pair(&mut netlink, "one", "other");
    let (mut inside, index) = connect(&mut netlink, veth, peer, &pod.netns);
    let key = ["net", "ipv6", "conf", "other", "optimistic_dad"];
    let enable = || host::sysctl::write(std::path::Path::new("/proc"), &key, "1");
    pod.netns.run(enable).unwrap().unwrap();
    let mut watch = pod.netns.watch(&[Group::Addresses]).unwrap();
    let mut new = address("fd00::1/64");
    new.detection = Detection::Optimistic;
    inside.add_address(index, new).unwrap();
    let open = inside.addresses(Some(index)).unwrap();
    assert!(open.iter().any(|one| one.tentative), "{open:?}");
    assert_eq!(
        inside
            .wait_for_dad(&mut watch, index, Duration::ZERO)
            .unwrap(),
        Dad::Done
    );
}
