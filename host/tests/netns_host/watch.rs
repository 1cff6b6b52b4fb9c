use std::thread;
use std::time::Duration;

use host::netlink::Netlink;
use host::netlink::uevent::{Notice, Uevents};
use host::netlink::watch::{Group, Watch};
use host::testing::netns::{fresh, own_netlink};

use crate::{index, pair, up};

/// Beyond the patience of the test runner: a wait that does not end by its event fails.
const LONG: Duration = Duration::from_mins(10);

#[test]
fn waiting_for_the_carrier_ends_when_the_other_end_comes_up() {
    let mut netlink = own_netlink();
    let (one, other) = pair(&mut netlink, "one", "other");
    up(&mut netlink, one);
    let mut watch = Watch::open(&[Group::Links]).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| up(&mut Netlink::open().unwrap(), other));
        assert!(netlink.wait_for_carrier(&mut watch, one, LONG).unwrap());
    });
}

#[test]
fn waiting_for_a_carrier_ends_at_the_deadline() {
    let mut netlink = own_netlink();
    let (one, _) = pair(&mut netlink, "one", "other");
    up(&mut netlink, one);
    let mut watch = Watch::open(&[Group::Links]).unwrap();
    assert!(
        !netlink
            .wait_for_carrier(&mut watch, one, Duration::from_millis(30))
            .unwrap()
    );
    assert!(!netlink.wait_for_carrier(&mut watch, 4711, LONG).unwrap());
}

#[test]
fn a_device_that_does_not_come_back_is_none_at_the_deadline() {
    let mut netlink = own_netlink();
    let mut watch = Watch::open(&[Group::Links]).unwrap();
    let function = "0000:3b:02.0".parse().unwrap();
    let link = netlink
        .wait_for_parent(&mut watch, function, Duration::from_millis(30))
        .unwrap();
    assert_eq!(link, None);
}

#[test]
fn a_condition_is_asked_again_after_each_change() {
    let mut netlink = own_netlink();
    let mut watch = Watch::open(&[Group::Links]).unwrap();
    let found = thread::scope(|scope| {
        scope.spawn(|| pair(&mut Netlink::open().unwrap(), "late", "peer"));
        watch.until(LONG, || netlink.link_by_name("late")).unwrap()
    });
    assert_eq!(found.unwrap().index, index(&mut netlink, "late"));
}

#[test]
fn changes_of_another_namespace_are_not_told() {
    let pod = fresh();
    let mut watch = Watch::open(&[Group::Links, Group::Addresses, Group::Routes]).unwrap();
    pair(&mut pod.netns.netlink().unwrap(), "one", "other");
    assert!(!watch.changed(Duration::ZERO).unwrap());
    pair(&mut own_netlink(), "one", "other");
    assert!(watch.changed(LONG).unwrap());
}

#[test]
fn a_flood_of_changes_that_overflows_the_queue_is_a_change() {
    let mut netlink = own_netlink();
    let mut watch = Watch::open(&[Group::Links]).unwrap();
    for number in 0..200 {
        pair(
            &mut netlink,
            &format!("one{number}"),
            &format!("other{number}"),
        );
    }
    assert!(watch.changed(LONG).unwrap());
    assert!(!watch.changed(Duration::ZERO).unwrap());
}

#[test]
fn the_kernel_tells_of_a_new_network_device() {
    let mut netlink = own_netlink();
    let mut events = Uevents::open().unwrap();
    pair(&mut netlink, "one", "other");
    let mut seen = Vec::new();
    while let Some(Notice::Event(event)) = events.next(Duration::from_secs(1)).unwrap() {
        if event.subsystem == "net" && event.action == "add" {
            seen.extend(event.properties.get("INTERFACE").cloned());
        }
        if seen.len() == 2 {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["one", "other"]);
}
