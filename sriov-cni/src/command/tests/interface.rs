//! The keys for the VF's own interface: one message with the move, back to the originals at DEL.

use nix::errno::Errno;

use super::*;

fn asked() -> Value {
    json!({ "mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 77 })
}

#[test]
fn mtu_promisc_allmulti_and_txqlen_come_with_the_move_and_go_back_with_del() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    let result = world.add("c1", NETNS, &asked()).unwrap();
    assert_eq!(result.interfaces[0].mtu, 1400);
    let link = world.machine.link.clone().unwrap();
    assert_eq!(
        (
            link.mtu,
            link.promiscuous,
            link.all_multicast,
            link.tx_queue_len,
            link.up
        ),
        (1400, true, true, 77, true)
    );
    let on_the_link: Vec<_> = world
        .machine
        .changes
        .iter()
        .filter(|change| change.starts_with("to pod") || change.starts_with("change"))
        .collect();
    assert_eq!(on_the_link.len(), 2, "move and up: {on_the_link:?}");
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn what_is_asked_of_the_interface_is_asked_as_false_too() {
    let mut world = World::igb();
    let link = world.machine.link.as_mut().unwrap();
    (link.promiscuous, link.all_multicast) = (true, true);
    let before = world.machine.baseline();
    world
        .add("c1", NETNS, &json!({ "promisc": false, "allmulti": false }))
        .unwrap();
    let link = world.machine.link.as_ref().unwrap();
    assert_eq!((link.promiscuous, link.all_multicast), (false, false));
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn an_mtu_that_the_driver_refuses_brings_the_interface_back() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.machine.refuse = Some(("to pod".to_owned(), Errno::EINVAL));
    let error = world.add("c1", NETNS, &asked()).unwrap_err();
    assert_eq!(error.code(), 104);
    let told = text(&error);
    assert!(
        told.starts_with("give the pod, with name net1 mtu 1400 ")
            && told.contains("invalid argument"),
        "{told}"
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_vf_without_interface_is_refused_what_only_an_interface_has() {
    for (key, value) in [
        ("mtu", json!(9000)),
        ("promisc", json!(true)),
        ("allmulti", json!(false)),
        ("txQLen", json!(7)),
    ] {
        let mut world = World::with_pod(Machine::userspace(FakeDriver::full()));
        let error = world.add("c1", NETNS, &json!({ key: value })).unwrap_err();
        assert_eq!(
            text(&error),
            format!(
                "VF {VF}: {key} needs an interface, and driver vfio-pci gives it none: remove {key} from the network"
            )
        );
        assert_eq!((error.code(), world.leftovers()), (102, vec![]));
    }
}

#[test]
fn announce_false_tells_the_neighbours_nothing() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world
        .add(
            "c1",
            NETNS,
            &json!({ "announce": false, "ipam": { "type": "test-ipam" } }),
        )
        .unwrap();
    assert!(world.machine.announced.is_empty());
    let pod = &world.machine.pods[&PathBuf::from(NETNS)];
    let notifies = |key: &String| key.ends_with("_notify");
    assert!(!pod.sysctls.keys().any(notifies), "{:?}", pod.sysctls);
    assert_eq!(pod.addresses.len(), 2);
}

#[test]
fn ipv6dad_decides_how_duplicates_are_detected_and_whether_that_is_waited_for() {
    use host::netlink::address::Detection;

    for (word, detection, key, waits) in [
        ("on", Detection::Normal, None, 1),
        (
            "optimistic",
            Detection::Optimistic,
            Some(("optimistic_dad", "1")),
            0,
        ),
        ("off", Detection::Skip, Some(("accept_dad", "0")), 0),
    ] {
        let mut world = World::igb();
        world.ipam(GIVES_AN_ADDRESS);
        world
            .add(
                "c1",
                NETNS,
                &json!({ "ipv6Dad": word, "ipam": { "type": "test-ipam" } }),
            )
            .unwrap();
        assert_eq!(world.machine.detections_awaited, waits, "{word}");
        let pod = &world.machine.pods[&PathBuf::from(NETNS)];
        assert!(pod.addresses.iter().all(|new| new.detection == detection));
        let set = |key: &str| {
            let path = format!("net/ipv6/conf/net1/{key}");
            pod.sysctls.get(&path).map(String::as_str)
        };
        for other in ["optimistic_dad", "accept_dad"] {
            let expected = key.filter(|(key, _)| *key == other).map(|(_, value)| value);
            assert_eq!(set(other), expected, "{word}: {other}");
        }
    }
}

#[test]
fn an_interface_that_cannot_be_set_up_is_told_and_brought_back() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.machine.refuse = Some(("change None None None Some(true)".to_owned(), Errno::EIO));
    let error = world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap_err();
    assert!(
        text(&error).starts_with(&format!("set up the interface of VF {VF}: ")),
        "{}",
        text(&error)
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn after_a_move_that_fails_nothing_is_done_in_the_pod() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.machine.refuse = Some(("to pod".to_owned(), Errno::EPERM));
    let error = world.add("c1", NETNS, &json!({})).unwrap_err();
    assert_eq!(error.code(), 104);
    let pod = &world.machine.pods[&PathBuf::from(NETNS)];
    assert!(pod.sysctls.is_empty(), "{:?}", pod.sysctls);
    assert_eq!(
        world.machine.changes.len(),
        1,
        "{:?}",
        world.machine.changes
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}
