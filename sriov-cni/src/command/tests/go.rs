//! Attachments of the Go plugin, and ours as it sees them.

use host::netlink::vf::VfControl;

use super::*;
use crate::fake::{INDEX, Spot};
use crate::node::Node;

/// What the Go plugin leaves after an ADD with VLAN 100 and trust on, and does to the VF.
fn added_by_go(world: &mut World) {
    let cache = json!({
        "MAC": "", "MTU": 1500, "Master": "ens1f0", "OrigVfState": {
            "HostIFName": "ens1f0v1", "SpoofChk": true, "Trust": false, "AdminMAC": "02:00:00:00:00:01",
            "EffectiveMAC": "02:00:00:00:00:01", "Vlan": 0, "VlanQoS": 0, "VlanProto": 33024, "MinTxRate": 0,
            "MaxTxRate": 0, "LinkState": 0, "MTU": 1500 },
        "VFID": 1, "cniVersion": "1.0.0", "deviceID": VF, "ipam": { "type": "test-ipam" }, "max_tx_rate": null,
        "min_tx_rate": null, "name": "net", "runtimeConfig": {}, "trust": "on", "type": "sriov", "vlan": 100,
        "vlanProto": "802.1q", "vlanQoS": 0,
    });
    host::file::create_dir(&world.state("pci"), 0o700).unwrap();
    write(&world.state("c1-net1"), cache.to_string().as_bytes());
    write(&world.state(&format!("pci/{VF}")), NETNS.as_bytes());
    let mut machine = &mut world.machine;
    let pf = machine.pf();
    let vlan = host::netlink::vf::Vlan {
        id: 100,
        ..Default::default()
    };
    let set = [
        host::netlink::vf::VfAttribute::Vlan(vlan),
        host::netlink::vf::VfAttribute::Trust(true),
    ];
    machine.set_attributes(&pf, INDEX, &set).unwrap();
    let change = host::netlink::link::LinkChange {
        name: Some("net1"),
        ..Default::default()
    };
    machine
        .to_pod(7, std::path::Path::new(NETNS), &change)
        .unwrap();
    world.ipam(GIVES_AN_ADDRESS);
}

#[test]
fn a_pod_added_by_the_go_plugin_is_deleted_with_full_restore() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    added_by_go(&mut world);
    world
        .del_with("c1", NETNS, &json!({ "ipam": { "type": "test-ipam" } }))
        .unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
    assert_eq!(world.ipam_calls(), ["DEL c1 net1"]);
}

#[test]
fn a_vf_of_a_live_pod_of_the_go_plugin_is_refused() {
    let mut world = World::igb();
    added_by_go(&mut world);
    world.machine.start_pod("/run/netns/b");
    let owned = world.machine.baseline();
    let error = world.add("c2", "/run/netns/b", &json!({})).unwrap_err();
    assert_eq!(
        text(&error),
        format!("pci address {VF} is already allocated: network namespace {NETNS} has it")
    );
    assert_eq!(world.machine.baseline(), owned);
}

#[test]
fn a_vf_of_a_dead_pod_of_the_go_plugin_is_taken_back_first() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    added_by_go(&mut world);
    world.machine.kill_pod(NETNS);
    world.machine.start_pod("/run/netns/b");
    world.add("c2", "/run/netns/b", &json!({})).unwrap();
    world.del("c2", "/run/netns/b").unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_late_del_of_a_go_attachment_leaves_the_new_owner_alone() {
    let mut world = World::igb();
    added_by_go(&mut world);
    let cache =
        std::io::read_to_string(std::fs::File::open(world.state("c1-net1")).unwrap()).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.start_pod("/run/netns/b");
    world
        .add("c2", "/run/netns/b", &json!({ "vlan": 200 }))
        .unwrap();
    write(&world.state("c1-net1"), cache.as_bytes());
    let owned = world.machine.baseline();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), owned);
    assert!(world.leftovers().contains(&format!("pci/{VF}")));
}

#[test]
fn a_file_that_a_failed_go_del_left_does_not_keep_the_vf() {
    let mut world = World::igb();
    host::file::create_dir(&world.state("pci"), 0o700).unwrap();
    write(&world.state(&format!("pci/{VF}")), b"/run/netns/gone");
    world.add("c1", NETNS, &json!({})).unwrap();
    world.del("c1", NETNS).unwrap();
    write(&world.state(&format!("pci/{VF}")), NETNS.as_bytes());
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn the_go_plugin_finds_what_it_needs_of_our_attachment() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let config = json!({ "vlan": 100, "trust": "on", "mac": "02:00:00:00:00:77", "logLevel": "debug",
                         "ipam": { "type": "test-ipam", "subnet": "192.0.2.0/24" } });
    world.add("c1", NETNS, &config).unwrap();
    let file = std::fs::File::open(world.state("c1-net1")).unwrap();
    let cache: Value = serde_json::from_reader(file).unwrap();
    let expected = json!({
        "MAC": "02:00:00:00:00:77", "MTU": 1500, "Master": "ens1f0", "OrigVfState": {
            "HostIFName": "ens1f0v1", "SpoofChk": true, "Trust": false, "AdminMAC": "02:00:00:00:00:01",
            "EffectiveMAC": "02:00:00:00:00:01", "Vlan": 0, "VlanQoS": 0, "VlanProto": 33024, "MinTxRate": 0,
            "MaxTxRate": 0, "LinkState": 0, "MTU": 1500 },
        "VFID": 1, "cniVersion": "1.1.0", "deviceID": VF, "ipam": { "type": "test-ipam" }, "logLevel": "debug",
        "max_tx_rate": null, "min_tx_rate": null, "name": "net", "runtimeConfig": {}, "trust": "on", "type": "sriov",
        "vlan": 100, "vlanProto": "802.1q", "vlanQoS": 0,
    });
    assert_eq!(cache, expected);
    let owner =
        std::io::read_to_string(std::fs::File::open(world.state(&format!("pci/{VF}"))).unwrap())
            .unwrap();
    assert_eq!(owner, NETNS);
}

#[test]
fn our_attachment_is_restored_from_the_go_format_alone() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "mac": "02:00:00:00:00:77" }),
        )
        .unwrap();
    world.site.ledger().remove(&attachment("c1"), VF).unwrap();
    world.del("c1", NETNS).unwrap();
    let pf = world.machine.pf();
    let state = world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
    assert_eq!(
        (state, world.machine.at.clone()),
        (before.0, Some(Spot::Host))
    );
    assert!(
        world.machine.baseline().3,
        "the VF may change its own address again"
    );
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_trust_that_the_go_plugin_only_guessed_is_not_switched_on() {
    let mut world = World::with_pod(Machine::new(FakeDriver::silent()));
    added_by_go(&mut world);
    // The Go plugin takes what a driver does not tell for on.
    let path = world.state("c1-net1");
    let file = std::fs::File::open(&path).unwrap();
    let mut cache: Value = serde_json::from_reader(file).unwrap();
    cache["OrigVfState"]["Trust"] = json!(true);
    write(&path, cache.to_string().as_bytes());
    world.del("c1", NETNS).unwrap();
    let changes = &world.machine.changes;
    let trust: Vec<_> = changes
        .iter()
        .filter(|change| change.contains("trust"))
        .collect();
    assert!(!trust.last().unwrap().contains("trust on"), "{changes:?}");
}

#[test]
fn gc_collects_what_the_go_plugin_left_of_its_network_and_no_valid_one() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    added_by_go(&mut world);
    // A name that can be cut in two places.
    let cache = host::file::read(&world.state("c1-net1")).unwrap().unwrap();
    write(&world.state("c1-net-1"), &cache);
    host::file::remove(&world.state("c1-net1")).unwrap();
    let collect = |world: &mut World, valid: &Value| {
        super::gc::gc(world, "net", valid).unwrap();
        (world.machine.baseline(), world.leftovers())
    };
    let (_, files) = collect(
        &mut world,
        &json!([{ "containerID": "c1", "ifname": "net-1" }]),
    );
    assert!(files.contains(&"c1-net-1".to_owned()), "{files:?}");
    world.machine.kill_pod(NETNS);
    assert_eq!(collect(&mut world, &json!([])), (before, vec![]));
}
