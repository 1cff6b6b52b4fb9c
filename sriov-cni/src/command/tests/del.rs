//! DEL: the rows of spec/sriov-cni.md §3.1.

use host::netlink::link::Link;
use host::netlink::vf::VfControl;
use host::testing::driver::Attribute;
use nix::errno::Errno;

use super::*;
use crate::fake::{INDEX, Spot};
use crate::node::Found;

fn all() -> Value {
    json!({ "vlan": 100, "trust": "on", "spoofchk": "off", "mac": "02:00:00:00:00:77" })
}

#[test]
fn del_of_nothing_succeeds_and_releases_addresses_nevertheless() {
    let mut world = World::igb();
    world.ipam("exit 0");
    let before = world.machine.baseline();
    world
        .del_with("c1", NETNS, &json!({ "ipam": { "type": "test-ipam" } }))
        .unwrap();
    assert_eq!(world.ipam_calls(), ["DEL c1 net1"]);
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn del_three_times_is_the_same_as_once() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    for _ in 0..3 {
        world.del("c1", NETNS).unwrap();
        assert_eq!(
            (world.machine.baseline(), world.leftovers()),
            (before.clone(), vec![])
        );
    }
}

#[test]
fn del_without_namespace_restores_the_vf_that_the_kernel_gave_back() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    world.machine.kill_pod(NETNS);
    world.del("c1", "").unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn del_of_a_vf_that_is_not_back_in_time_succeeds_and_is_finished_later() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.comes_back = false;
    world.del("c1", NETNS).unwrap();
    assert!(
        world.leftovers().contains(&"ledger/c1@net1".to_owned()),
        "not forgotten"
    );
    world.machine.comes_back = true;
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn del_with_a_new_namespace_at_the_old_path_leaves_that_one_alone() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({})).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.start_pod(NETNS);
    let pod = world.machine.pods.get_mut(&PathBuf::from(NETNS)).unwrap();
    let theirs = Link {
        index: 3,
        name: "net1".to_owned(),
        ..Link::default()
    };
    pod.links.push(theirs.clone());
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.pods[&PathBuf::from(NETNS)].links, [theirs]);
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_interface_that_the_pod_renamed_and_changed_is_found_and_restored() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "trust": "on" })).unwrap();
    world
        .machine
        .control
        .set_own_mac(INDEX, "02:66:66:66:66:66".parse().unwrap())
        .unwrap();
    let link = world.machine.link.as_mut().unwrap();
    "eth7".clone_into(&mut link.name);
    (
        link.mtu,
        link.tx_queue_len,
        link.promiscuous,
        link.all_multicast,
    ) = (1300, 1, true, true);
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_name_that_is_taken_on_the_host_does_not_stop_del_and_is_told() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.machine.host.push(Link {
        index: 9,
        name: "ens1f0v1".to_owned(),
        ..Link::default()
    });
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.at, Some(Spot::Host));
    assert_eq!(world.machine.link.clone().unwrap().name, "dev0");
    assert!(
        world.leftovers().contains(&"ledger/c1@net1".to_owned()),
        "the name is still owed"
    );
    world.machine.host.pop();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.link.clone().unwrap().name, "ens1f0v1");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_vf_that_is_gone_needs_nothing() {
    let mut world = World::igb();
    world.add("c1", NETNS, &all()).unwrap();
    world.machine.function = Found::Nothing;
    world.machine.at = None;
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_pf_that_was_renamed_is_found_by_its_pci_address() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    if let Found::Vf(function) = &mut world.machine.function {
        "enp59s0f0np0".clone_into(&mut function.pf.name);
    }
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn one_attribute_that_fails_does_not_keep_the_others_from_being_restored() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "trust": "on", "spoofchk": "off" }),
        )
        .unwrap();
    for _ in 0..20 {
        world.machine.control.fail_next(Attribute::Vlan, Errno::EIO);
    }
    let error = world.del("c1", NETNS).unwrap_err();
    assert!(
        text(&error).starts_with(
            "set VLAN on vf 1 of ens1f0 (0000:3b:00.0) to 0 QoS 0 802.1q: input/output error"
        ),
        "{}",
        text(&error)
    );
    let pf = world.machine.pf();
    let state = world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
    assert_eq!(
        (state.vlan.id, state.trust, state.spoof_check),
        (100, Some(false), Some(true))
    );
    assert!(
        world.leftovers().contains(&"ledger/c1@net1".to_owned()),
        "nothing is forgotten"
    );
    // The driver is well again.
    while world
        .machine
        .control
        .set_vf(
            &pf,
            INDEX,
            &[host::netlink::vf::VfAttribute::Vlan(state.vlan)],
        )
        .is_err()
    {}
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_late_del_of_an_old_owner_leaves_the_new_owner_alone() {
    let mut world = World::igb();
    world.add("c1", NETNS, &all()).unwrap();
    let old = world.state("ledger/c1@net1");
    let record = std::io::read_to_string(std::fs::File::open(&old).unwrap()).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.start_pod("/run/netns/b");
    world
        .add("c2", "/run/netns/b", &json!({ "vlan": 200 }))
        .unwrap();
    // Even if the old record were still there.
    write(&old, record.as_bytes());
    let owned = world.machine.baseline();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), owned);
    assert_eq!(
        world.leftovers(),
        [
            "c2-net1",
            "ledger/c2@net1",
            &format!("ledger/pci/{VF}"),
            &format!("pci/{VF}")
        ]
    );
}

#[test]
fn a_del_after_a_reboot_touches_no_vf() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "ipam": { "type": "test-ipam" } }),
        )
        .unwrap();
    let mut rebooted = Machine::new(FakeDriver::igb());
    "boot-2".clone_into(&mut rebooted.boot);
    world.machine = rebooted;
    world.del("c1", NETNS).unwrap();
    assert!(world.machine.changes.is_empty());
    assert_eq!(world.ipam_calls().last().unwrap(), "DEL c1 net1");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_torn_record_is_replaced_by_what_the_go_format_says() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    write(&world.state("ledger/c1@net1"), b"{\"format\":1,\"contai");
    world.del("c1", NETNS).unwrap();
    let (state, link, at, may_choose) = world.machine.baseline();
    assert_eq!((&state, &at, may_choose), (&before.0, &before.2, before.3));
    assert_eq!(link.unwrap().name, "ens1f0v1");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn torn_files_of_both_formats_count_as_absent() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({})).unwrap();
    for torn in ["", "{", "null", "{}"] {
        write(&world.state("ledger/c1@net1"), torn.as_bytes());
        write(&world.state("c1-net1"), torn.as_bytes());
        world.del("c1", NETNS).unwrap();
    }
}

#[test]
fn a_vf_rebound_to_another_driver_while_in_use_gets_its_attributes_back() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.machine.bind(Some("vfio-pci"));
    world.machine.at = None;
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline().0, before.0);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_del_of_a_locked_vf_is_worth_another_try() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({})).unwrap();
    let _held = world.site.go_files().lock(VF, Duration::ZERO).unwrap();
    assert_eq!(world.del("c1", NETNS).unwrap_err().code(), 11);
    assert!(world.leftovers().contains(&"ledger/c1@net1".to_owned()));
}

#[test]
fn an_interface_that_was_up_on_the_host_is_up_again() {
    let mut world = World::igb();
    let link = world.machine.link.as_mut().unwrap();
    (link.up, link.running) = (true, true);
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn names_that_pods_and_udev_gave_the_interface_do_not_keep_it_from_its_own() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &all()).unwrap();
    let add_name = |world: &mut World| {
        let link = world.machine.link.as_mut().unwrap();
        link.alt_names.push("ens1f0v1".to_owned());
    };
    // A pod with NET_ADMIN.
    add_name(&mut world);
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before.clone(), vec![])
    );
    // udev, when the kernel gives it back.
    world.add("c1", NETNS, &all()).unwrap();
    world.machine.kill_pod(NETNS);
    add_name(&mut world);
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_add_that_died_before_its_record_was_written_leaves_nothing() {
    let mut world = World::igb();
    let vf = VF;
    world.site.ledger().create().unwrap();
    write(&world.state(&format!("ledger/pci/{VF}")), b"c1@net1");
    assert!(world.site.ledger().holder(vf).unwrap().is_some());
    world.del("c2", NETNS).unwrap();
    assert!(
        world.site.ledger().holder(vf).unwrap().is_some(),
        "not c2's"
    );
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.leftovers(), [""; 0]);
}
