//! ADD: what the VF becomes, what the result tells, what bad input leaves.

use cni::version::Version;
use host::netlink::link::Link;
use host::netlink::vf::{LinkState, VfControl};
use host::testing::driver::Attribute;
use nix::errno::Errno;

use super::*;
use crate::fake::{INDEX, Spot};
use crate::node::Found;

#[test]
fn add_gives_the_vf_to_the_pod_and_tells_name_mac_mtu_and_pci_address() {
    let mut world = World::igb();
    let result = world.add("c1", NETNS, &json!({})).unwrap();
    let expected = format!(
        r#"{{"cniVersion":"1.1.0","interfaces":[{{"name":"net1","mac":"02:00:00:00:00:01","mtu":1500,"sandbox":"{NETNS}","pciID":"{VF}"}}]}}"#
    );
    assert_eq!(result.to_json(Version::V1_1_0).unwrap(), expected);
    let identity = world.machine.pods[&PathBuf::from(NETNS)].identity;
    assert_eq!(world.machine.at, Some(Spot::Pod(identity)));
    let link = world.machine.link.clone().unwrap();
    assert_eq!((link.name.as_str(), link.up), ("net1", true));
    assert_eq!(
        world.leftovers(),
        [
            "c1-net1",
            "ledger/c1@net1",
            &format!("ledger/pci/{VF}"),
            &format!("pci/{VF}")
        ]
    );
}

#[test]
fn every_attribute_goes_in_one_message_and_del_brings_every_original_back() {
    let mut world = World::with_pod(Machine::new(FakeDriver::full()));
    let before = world.machine.baseline();
    let config = json!({
        "vlan": 100, "vlanQoS": 3, "vlanProto": "802.1ad", "mac": "02:AA:00:00:00:07", "min_tx_rate": 10,
        "max_tx_rate": 100, "spoofchk": "off", "trust": "on", "link_state": "enable",
    });
    let result = world.add("c1", NETNS, &config).unwrap();
    assert_eq!(result.interfaces[0].mac, "02:aa:00:00:00:07");
    assert_eq!(world.machine.control.messages().len(), 1);
    let pf = world.machine.pf();
    let state = world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
    assert_eq!(
        (
            state.vlan.id,
            state.vlan.qos,
            state.vlan.protocol.ethertype()
        ),
        (100, 3, 0x88a8)
    );
    assert_eq!((state.rate.min, state.rate.max), (10, 100));
    assert_eq!(
        (state.spoof_check, state.trust, state.link_state),
        (Some(false), Some(true), LinkState::Enable)
    );
    assert_eq!(state.mac.to_string(), "02:aa:00:00:00:07");
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn nothing_configured_sends_no_vf_message() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({})).unwrap();
    world.del("c1", NETNS).unwrap();
    assert!(world.machine.control.messages().is_empty());
}

#[test]
fn attributes_that_are_right_already_are_not_sent() {
    let mut world = World::igb();
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 0, "spoofchk": "on", "trust": "off", "max_tx_rate": 0 }),
        )
        .unwrap();
    assert!(world.machine.control.messages().is_empty());
}

#[test]
fn an_attribute_refused_in_the_middle_is_named_and_the_earlier_ones_are_undone() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    let error = world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "trust": "on", "link_state": "enable" }),
        )
        .unwrap_err();
    assert_eq!(
        text(&error),
        "set link state on vf 1 of ens1f0 (0000:3b:00.0) to enable: operation not supported by driver igb"
    );
    let told = error.to_cni();
    assert_eq!(
        (told.code, told.details.as_str()),
        (
            103,
            "reason VFConfigUnsupported; attribute link state enable, errno 95"
        )
    );
    assert_eq!(world.machine.baseline(), before);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn an_attribute_that_is_accepted_and_ignored_is_an_error() {
    let driver = FakeDriver {
        ignores: vec![Attribute::Trust],
        ..FakeDriver::full()
    };
    let mut world = World::with_pod(Machine::new(driver));
    let before = world.machine.baseline();
    let error = world
        .add("c1", NETNS, &json!({ "vlan": 100, "trust": "on" }))
        .unwrap_err();
    assert_eq!(
        text(&error),
        "set trust on on vf 1 of ens1f0 (0000:3b:00.0): accepted, but the driver still tells trust off"
    );
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn a_busy_driver_is_asked_again() {
    let mut world = World::igb();
    world
        .machine
        .control
        .fail_next(Attribute::Vlan, Errno::EAGAIN);
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    assert_eq!(world.machine.control.messages().len(), 2);
}

#[test]
fn a_pf_in_switchdev_mode_is_refused() {
    let mut world = World::igb();
    if let Found::Vf(function) = &mut world.machine.function {
        function.switchdev = true;
    }
    let error = world.add("c1", NETNS, &json!({})).unwrap_err();
    assert_eq!(error.code(), 102);
    assert!(
        text(&error).contains("ens1f0 (0000:3b:00.0) is in switchdev mode"),
        "{}",
        text(&error)
    );
}

#[test]
fn functions_that_are_no_usable_vf_are_refused_before_the_lock_exists() {
    let pf = crate::fake::PF.parse().unwrap();
    for (found, code) in [
        (Found::Nothing, 100),
        (Found::NoVf, 100),
        (Found::NoPfInterface { pf }, 101),
        (Found::NotListed { pf }, 11),
    ] {
        let mut world = World::igb();
        world.machine.function = found;
        assert_eq!(world.add("c1", NETNS, &json!({})).unwrap_err().code(), code);
        assert!(!world.site.state.exists());
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_is_code_5_before_the_vf_is_touched() {
    let mut world = World::igb();
    write(&world.state("").with_file_name("state"), b"a file");
    let before = world.machine.baseline();
    let error = world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap_err();
    assert_eq!((error.code(), world.machine.baseline()), (5, before));
}

#[test]
fn a_path_that_is_no_namespace_is_refused() {
    let mut world = World::igb();
    let error = world.add("c1", "/run/netns/b", &json!({})).unwrap_err();
    assert_eq!((error.code(), world.leftovers().len()), (8, 0));
}

#[test]
fn a_vf_of_a_live_pod_is_refused_and_left_alone() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let owned = world.machine.baseline();
    world.machine.start_pod("/run/netns/b");
    let error = world
        .add("c2", "/run/netns/b", &json!({ "vlan": 200 }))
        .unwrap_err();
    assert_eq!((error.code(), error.reason()), (11, Some("VFInUse")));
    assert_eq!(
        text(&error),
        format!("pci address {VF} is already allocated: container c1 has it as net1")
    );
    assert_eq!(world.machine.baseline(), owned);
    assert!(world.leftovers().contains(&"ledger/c1@net1".to_owned()));
}

#[test]
fn a_vf_locked_by_another_process_is_worth_another_try() {
    let mut world = World::igb();
    let vf = VF;
    let _held = world.site.go_files().lock(vf, Duration::ZERO).unwrap();
    let error = world.add("c1", NETNS, &json!({})).unwrap_err();
    assert_eq!((error.code(), error.reason()), (11, Some("VFInUse")));
}

#[test]
fn an_interface_name_that_exists_in_the_pod_is_refused_and_the_pods_interface_untouched() {
    let mut world = World::igb();
    let theirs = Link {
        index: 3,
        name: "net1".to_owned(),
        up: true,
        mtu: 1400,
        ..Link::default()
    };
    let pod = world.machine.pods.get_mut(&PathBuf::from(NETNS)).unwrap();
    pod.links.push(theirs.clone());
    let before = world.machine.baseline();
    let error = world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "mac": "02:00:00:00:00:77" }),
        )
        .unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (104, Some("InterfaceExists"))
    );
    assert_eq!(world.machine.pods[&PathBuf::from(NETNS)].links, [theirs]);
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
    assert!(world.machine.changes.is_empty());
}

#[test]
fn a_move_that_fails_when_the_interface_is_in_the_pod_already_is_brought_back() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.machine.late_failure = true;
    let error = world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap_err();
    assert_eq!(error.reason(), Some("InterfaceExists"));
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn alternative_names_that_are_in_the_way_are_put_aside_and_come_back() {
    let mut world = World::igb();
    world
        .machine
        .link
        .as_mut()
        .unwrap()
        .alt_names
        .push("net1".to_owned());
    let pod = world.machine.pods.get_mut(&PathBuf::from(NETNS)).unwrap();
    pod.links.push(Link {
        index: 3,
        name: "enp59s0f0v1".to_owned(),
        ..Link::default()
    });
    let mut before = world.machine.baseline();
    world.add("c1", NETNS, &json!({})).unwrap();
    assert!(world.machine.link.as_ref().unwrap().alt_names.is_empty());
    world.del("c1", NETNS).unwrap();
    let mut after = world.machine.baseline();
    for state in [&mut before, &mut after] {
        state.1.as_mut().unwrap().alt_names.sort();
    }
    assert_eq!(after, before);
}

#[test]
fn an_add_that_was_done_before_is_healed_and_done_again() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "mac": "02:00:00:00:00:77" }),
        )
        .unwrap();
    let result = world.add("c1", NETNS, &json!({ "vlan": 200 })).unwrap();
    assert_eq!(result.interfaces[0].mac, "02:00:00:00:00:01");
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_vf_of_a_dead_pod_is_taken_back_before_it_is_given_away() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "trust": "on", "mac": "02:00:00:00:00:77" }),
        )
        .unwrap();
    world.machine.kill_pod(NETNS);
    // The same path and even the same inode again: only the cookie differs.
    world.machine.start_pod(NETNS);
    world.add("c2", NETNS, &json!({ "vlan": 200 })).unwrap();
    let pf = world.machine.pf();
    let state = world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
    assert_eq!((state.vlan.id, state.trust), (200, Some(false)));
    assert!(!world.leftovers().contains(&"ledger/c1@net1".to_owned()));
    world.del("c2", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_vf_on_its_way_back_from_a_dead_pod_is_worth_another_try() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({})).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.comes_back = false;
    world.machine.start_pod("/run/netns/b");
    let error = world.add("c2", "/run/netns/b", &json!({})).unwrap_err();
    assert_eq!(error.code(), 11);
    assert!(text(&error).contains("on its way back"), "{}", text(&error));
    world.machine.comes_back = true;
    world.add("c2", "/run/netns/b", &json!({})).unwrap();
}

#[test]
fn a_result_that_the_version_cannot_tell_is_refused_before_anything_is_touched() {
    let mut world = World::igb();
    let error = world
        .add("c1", NETNS, &json!({ "cniVersion": "0.2.0" }))
        .unwrap_err();
    assert!(
        text(&error).contains("cannot convert: no valid IP addresses"),
        "{}",
        text(&error)
    );
    assert!(world.machine.changes.is_empty());
    assert!(!world.site.state.exists());
}

#[test]
fn a_previous_result_is_passed_through_with_the_own_interface_behind() {
    let mut world = World::igb();
    let previous = json!({ "prevResult": { "cniVersion": "1.1.0",
        "interfaces": [{ "name": "eth0", "sandbox": NETNS }],
        "ips": [{ "interface": 0, "address": "10.0.0.2/24" }] } });
    let result = world.add("c1", NETNS, &previous).unwrap();
    let names: Vec<_> = result
        .interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    assert_eq!(names, ["eth0", "net1"]);
    assert_eq!(result.ips[0].interface, Some(0));
}

#[test]
fn arguments_that_nobody_knows_are_refused_unless_ignored() {
    let mut world = World::igb();
    let mut call = world.call(Command::Add, "c1", NETNS, &json!({}));
    call.args_text = "K8S_POD_NAME=p".to_owned();
    let refused =
        super::super::add::add(&world.site, &mut (&mut world.machine), &call).unwrap_err();
    assert_eq!(refused.code(), 4);
    call.args_text = "IgnoreUnknown=true;K8S_POD_NAME=p;MAC=02:00:00:00:00:55".to_owned();
    let result = super::super::add::add(&world.site, &mut (&mut world.machine), &call).unwrap();
    assert_eq!(result.interfaces[0].mac, "02:00:00:00:00:55");
}
