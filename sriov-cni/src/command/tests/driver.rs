//! What drives the VF decides the mode: no driver is refused, a driver for user space leaves the interface out.

use host::netlink::vf::VfControl;

use super::*;
use crate::fake::INDEX;

#[test]
fn a_vf_bound_to_no_driver_is_refused() {
    let mut world = World::igb();
    world.machine.bind(None);
    let before = world.machine.baseline();
    let error = world.add("c1", NETNS, &json!({})).unwrap_err();
    assert_eq!(error.code(), 102);
    assert!(
        text(&error).contains("VF 0000:3b:02.1: bound to no driver: bind it to"),
        "{}",
        text(&error)
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_vf_whose_interface_is_not_on_the_host_is_worth_another_try() {
    let mut world = World::igb();
    world.machine.at = None;
    assert_eq!(world.add("c1", NETNS, &json!({})).unwrap_err().code(), 11);
}

#[test]
fn a_vfio_vf_is_configured_through_its_pf_and_reported_with_the_pfs_mtu() {
    let mut world = World::with_pod(Machine::userspace(FakeDriver::full()));
    let before = world.machine.baseline();
    let result = world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "mac": "02:00:00:00:00:77" }),
        )
        .unwrap();
    let interface = &result.interfaces[0];
    assert_eq!(
        (
            interface.name.as_str(),
            interface.mac.as_str(),
            interface.mtu
        ),
        ("net1", "02:00:00:00:00:77", 9000)
    );
    world.del("c1", NETNS).unwrap();
    let mut after = world.machine.baseline();
    // Nobody can read or set the own address of a VF without an interface.
    after.1.clone_from(&before.1);
    assert_eq!((after, world.leftovers()), (before, vec![]));
}

#[test]
fn a_vfio_vf_without_address_is_reported_without_one() {
    let mut world = World::with_pod(Machine::userspace(FakeDriver::full()));
    let result = world.add("c1", NETNS, &json!({})).unwrap();
    assert_eq!(result.interfaces[0].mac, "");
}

#[test]
fn every_driver_for_user_space_is_served_like_vfio() {
    for driver in ["vfio-pci", "mlx5_vfio_pci", "uio_pci_generic", "igb_uio"] {
        let mut world = World::with_pod(Machine::userspace(FakeDriver::full()));
        world.machine.bind(Some(driver));
        let result = world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
        assert_eq!(result.interfaces[0].name, "net1", "{driver}");
        let pf = world.machine.pf();
        let vf = |world: &mut World| world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
        assert_eq!(vf(&mut world).vlan.id, 100, "{driver}");
        world.del("c1", NETNS).unwrap();
        assert_eq!(
            (vf(&mut world).vlan.id, world.leftovers()),
            (0, vec![]),
            "{driver}"
        );
    }
}

#[test]
fn a_vf_whose_pf_shows_no_interface_at_del_is_not_forgotten() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world
        .add("c1", NETNS, &json!({ "vlan": 100, "trust": "on" }))
        .unwrap();
    // The PF's driver recovers, or its interface is in another namespace: its VFs keep what was set.
    let pf = world.machine.pf().address;
    let away = crate::node::Found::NoPfInterface { pf };
    let function = std::mem::replace(&mut world.machine.function, away);
    world.del("c1", NETNS).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.function = function;
    world.machine.start_pod("/run/netns/b");
    world.machine.at = Some(crate::fake::Spot::Host);
    world.add("c2", "/run/netns/b", &json!({})).unwrap();
    world.del("c2", "/run/netns/b").unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_vfio_vf_with_an_administrators_address_is_reported_with_it() {
    use host::netlink::vf::VfAttribute;

    let mut world = World::with_pod(Machine::userspace(FakeDriver::full()));
    let pf = world.machine.pf();
    let given = VfAttribute::Mac("02:00:00:00:00:99".parse().unwrap());
    world.machine.control.set_vf(&pf, INDEX, &[given]).unwrap();
    let result = world.add("c1", NETNS, &json!({})).unwrap();
    assert_eq!(result.interfaces[0].mac, "02:00:00:00:00:99");
}

#[test]
fn a_rate_that_is_not_asked_stays_as_it_is() {
    use host::netlink::vf::{Rate, VfAttribute};

    let mut world = World::with_pod(Machine::new(FakeDriver::full()));
    let pf = world.machine.pf();
    let given = VfAttribute::Rate(Rate { min: 10, max: 500 });
    world.machine.control.set_vf(&pf, INDEX, &[given]).unwrap();
    let before = world.machine.baseline();
    world
        .add("c1", NETNS, &json!({ "max_tx_rate": 100 }))
        .unwrap();
    let state = world.machine.control.vf(&pf, INDEX).unwrap().unwrap();
    assert_eq!((state.rate.min, state.rate.max), (10, 100));
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), before);
}
