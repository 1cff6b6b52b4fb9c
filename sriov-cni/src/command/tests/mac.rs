//! Addresses and K1: a VF goes back able to change its own, or pinned if it was pinned.

use host::mac::MacAddress;
use host::netlink::vf::{VfAttribute, VfControl};
use nix::errno::Errno;

use super::*;
use crate::fake::INDEX;

const WANTED: &str = "02:00:00:00:00:77";

#[test]
fn on_igb_an_address_without_trust_works_and_the_vf_may_change_its_own_afterwards() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    assert!(before.3, "it may before");
    let result = world.add("c1", NETNS, &json!({ "mac": WANTED })).unwrap();
    assert_eq!(result.interfaces[0].mac, WANTED);
    assert!(
        !world.machine.baseline().3,
        "the PF's address pins it while it is in the pod"
    );
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn a_vf_that_an_administrator_had_pinned_is_pinned_again() {
    let mut world = World::igb();
    let pf = world.machine.pf();
    let pinned = VfAttribute::Mac("02:00:00:00:00:99".parse().unwrap());
    world
        .machine
        .control
        .set_own_mac(INDEX, "02:00:00:00:00:99".parse().unwrap())
        .unwrap();
    world.machine.control.set_vf(&pf, INDEX, &[pinned]).unwrap();
    let before = world.machine.baseline();
    assert!(!before.3);
    world.add("c1", NETNS, &json!({ "mac": WANTED })).unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}

/// K2: the VF's driver takes the PF's address when the pod's interface is set up.
#[test]
fn an_interface_whose_pf_had_another_address_for_it_gets_its_own_back() {
    for configuration in [json!({ "vlan": 100 }), json!({ "mac": WANTED })] {
        let mut world = World::igb();
        let pf = world.machine.pf();
        let pinned = VfAttribute::Mac("02:00:00:00:00:99".parse().unwrap());
        world.machine.control.set_vf(&pf, INDEX, &[pinned]).unwrap();
        let before = world.machine.baseline();
        let own = before.1.as_ref().unwrap().address;
        assert_ne!(own, Some(before.0.mac));
        for _ in 0..2 {
            world.add("c1", NETNS, &configuration).unwrap();
            assert_ne!(world.machine.baseline().1.unwrap().address, own);
            world.del("c1", NETNS).unwrap();
            assert_eq!(world.machine.baseline(), before, "{configuration}");
            assert_eq!(world.leftovers(), [""; 0]);
        }
    }
}

#[test]
fn a_driver_that_takes_no_zero_address_gets_the_vfs_own() {
    let mut world = World::with_pod(Machine::new(FakeDriver::silent()));
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "mac": WANTED })).unwrap();
    world.del("c1", NETNS).unwrap();
    let after = world.machine.baseline();
    assert_eq!(after.1, before.1);
    assert_ne!(
        after.0.mac.to_string(),
        WANTED,
        "or the next pod that asks for it would have a double"
    );
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn trust_and_spoof_check_that_the_driver_does_not_tell_go_back_to_the_safe_value() {
    let mut world = World::with_pod(Machine::new(FakeDriver::silent()));
    world
        .add("c1", NETNS, &json!({ "trust": "on", "spoofchk": "off" }))
        .unwrap();
    world.del("c1", NETNS).unwrap();
    let last = world.machine.control.messages().last().unwrap().1.clone();
    assert_eq!(
        last,
        [VfAttribute::SpoofCheck(true), VfAttribute::Trust(false)]
    );
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn an_address_that_the_interface_refuses_for_good_undoes_everything() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.machine.refuse = Some(("change None Some".to_owned(), Errno::EIO));
    let error = world
        .add("c1", NETNS, &json!({ "mac": WANTED, "vlan": 100 }))
        .unwrap_err();
    assert_eq!(error.code(), 104);
    assert!(
        text(&error).contains("input/output error"),
        "{}",
        text(&error)
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_address_that_a_pod_gave_itself_does_not_stay() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({})).unwrap();
    world
        .machine
        .control
        .set_own_mac(INDEX, MacAddress([2, 6, 6, 6, 6, 6]))
        .unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn an_address_that_the_driver_accepts_and_ignores_is_an_error() {
    let driver = FakeDriver {
        ignores: vec![host::testing::driver::Attribute::Mac],
        ..FakeDriver::full()
    };
    let mut world = World::with_pod(Machine::new(driver));
    let before = world.machine.baseline();
    let error = world
        .add("c1", NETNS, &json!({ "mac": WANTED }))
        .unwrap_err();
    assert_eq!(
        text(&error),
        format!(
            "set MAC {WANTED} on vf 1 of ens1f0 (0000:3b:00.0): accepted, but the driver still tells MAC 00:00:00:00:00:00"
        )
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}
