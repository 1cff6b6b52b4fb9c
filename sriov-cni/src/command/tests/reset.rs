//! Resetting the PCI function of a VF for programs in user space.

use host::netlink::vf::{VfAttribute, VfControl};
use nix::errno::Errno;

use super::*;
use crate::fake::INDEX;

const WANTED: &str = "02:00:00:00:00:77";

/// A VF bound to vfio-pci whose PF still shows the address that its network driver had made up.
fn igb_vfio() -> World {
    let mut machine = Machine::new(FakeDriver::igb());
    machine.bind(Some("vfio-pci"));
    machine.link = None;
    machine.at = None;
    World::with_pod(machine)
}

fn resets(world: &World) -> usize {
    let is_reset = |change: &&String| *change == "reset";
    world.machine.changes.iter().filter(is_reset).count()
}

#[test]
fn an_address_that_a_vfio_vf_made_up_itself_is_not_pinned_when_it_comes_back() {
    let mut world = igb_vfio();
    assert!(world.machine.baseline().3, "it may choose its own before");
    let result = world.add("c1", NETNS, &json!({ "mac": WANTED })).unwrap();
    assert_eq!(result.interfaces[0].mac, WANTED);
    world.del("c1", NETNS).unwrap();
    let after = world.machine.baseline();
    assert!(after.3, "and afterwards");
    assert!(after.0.mac.is_zero(), "{}", after.0.mac);
    assert_eq!((resets(&world), world.leftovers()), (1, vec![]));
}

#[test]
fn an_address_that_an_administrator_gave_a_vfio_vf_is_pinned_again() {
    let mut world = igb_vfio();
    let pf = world.machine.pf();
    let pinned = VfAttribute::Mac("02:00:00:00:00:99".parse().unwrap());
    world.machine.control.set_vf(&pf, INDEX, &[pinned]).unwrap();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "mac": WANTED })).unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_function_that_cannot_be_reset_keeps_the_address_that_its_pf_showed() {
    let mut world = igb_vfio();
    world.machine.refuse = Some(("reset".to_owned(), Errno::ENOENT));
    let before = world.machine.baseline().0;
    world.add("c1", NETNS, &json!({ "mac": WANTED })).unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline().0, before);
}

#[test]
fn a_vfio_vf_is_not_reset_unless_that_is_asked_or_needed() {
    let mut world = World::with_pod(Machine::userspace(FakeDriver::igb()));
    world
        .add("c1", NETNS, &json!({ "mac": WANTED, "vlan": 100 }))
        .unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!(resets(&world), 0);
}

#[test]
fn resetpolicy_flr_resets_a_userspace_vf_before_the_pod_gets_it_and_when_it_comes_back() {
    let mut world = World::with_pod(Machine::userspace(FakeDriver::igb()));
    world.machine.bind(Some("igb_uio"));
    let config = json!({ "resetPolicy": "flr", "vlan": 100 });
    world.add("c1", NETNS, &config).unwrap();
    assert_eq!(
        world.machine.changes,
        ["reset", "set VLAN 100 QoS 0 802.1q"]
    );
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.changes[2], "reset");
    assert_eq!((resets(&world), world.leftovers()), (2, vec![]));
}

#[test]
fn a_reset_that_was_asked_and_fails_is_an_error_of_add_and_not_of_del() {
    let config = json!({ "resetPolicy": "flr", "vlan": 100 });
    let mut world = World::with_pod(Machine::userspace(FakeDriver::igb()));
    let before = world.machine.baseline();
    world.machine.refuse = Some(("reset".to_owned(), Errno::ENOTTY));
    let error = world.add("c1", NETNS, &config).unwrap_err();
    assert_eq!(error.code(), 102);
    assert!(
        text(&error).starts_with(&format!("reset the PCI function of VF {VF}: ")),
        "{}",
        text(&error)
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before.clone(), vec![])
    );
    world.add("c1", NETNS, &config).unwrap();
    world.machine.refuse = Some(("reset".to_owned(), Errno::ENOTTY));
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn resetpolicy_flr_leaves_a_vf_with_its_own_interface_to_its_driver() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world
        .add("c1", NETNS, &json!({ "resetPolicy": "flr" }))
        .unwrap();
    world.del("c1", NETNS).unwrap();
    assert_eq!((world.machine.baseline(), resets(&world)), (before, 0));
}
