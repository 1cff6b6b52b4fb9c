//! `resetPolicy` `defaults`: what others left on a VF neither reaches the pod nor is brought back.

use host::netlink::vf::{LinkState, Rate, VfAttribute, VfControl, Vlan};

use super::*;
use crate::fake::INDEX;

/// A VF that an administrator, or a program that died, left with everything set.
fn dirty(driver: FakeDriver) -> World {
    let mut world = World::with_pod(Machine::new(driver));
    let pf = world.machine.pf();
    let left = [
        VfAttribute::Vlan(Vlan {
            id: 666,
            ..Vlan::default()
        }),
        VfAttribute::Rate(Rate { min: 0, max: 5 }),
        VfAttribute::SpoofCheck(false),
        VfAttribute::Trust(true),
        VfAttribute::LinkState(LinkState::Disable),
    ];
    world.machine.control.set_vf(&pf, INDEX, &left).unwrap();
    world
}

#[test]
fn defaults_reach_the_pod_and_stay_after_del_whatever_was_there_before() {
    let fresh = Machine::new(FakeDriver::full()).baseline();
    let mut world = dirty(FakeDriver::full());
    world
        .add(
            "c1",
            NETNS,
            &json!({ "resetPolicy": "defaults", "vlan": 100, "mac": "02:00:00:00:00:77" }),
        )
        .unwrap();
    let pf = world.machine.pf();
    let state = world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
    assert_eq!(
        (
            state.vlan.id,
            state.rate,
            state.spoof_check,
            state.trust,
            state.link_state
        ),
        (
            100,
            Rate::default(),
            Some(true),
            Some(false),
            LinkState::Auto
        )
    );
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (fresh, vec![])
    );
}

#[test]
fn without_it_what_was_there_before_comes_back() {
    let mut world = dirty(FakeDriver::full());
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn defaults_that_the_driver_does_not_tell_are_not_guessed() {
    let mut world = World::with_pod(Machine::new(FakeDriver::silent()));
    world
        .add("c1", NETNS, &json!({ "resetPolicy": "defaults" }))
        .unwrap();
    assert!(world.machine.control.messages().is_empty());
}

#[test]
fn a_failing_add_leaves_defaults_and_not_what_was_asked() {
    let fresh = Machine::new(FakeDriver::full()).baseline();
    let mut world = dirty(FakeDriver::full());
    world.ipam("exit 1");
    world
        .add(
            "c1",
            NETNS,
            &json!({ "resetPolicy": "defaults", "vlan": 100, "ipam": { "type": "test-ipam" } }),
        )
        .unwrap_err();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (fresh, vec![])
    );
}
