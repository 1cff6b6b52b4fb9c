//! Whose the VF is, where records disagree or cannot be read.

use host::netlink::link::Link;
use host::netlink::vf::VfControl;

use super::*;
use crate::fake::{INDEX, PF};
use crate::node::Found;

const NEIGHBOUR: &str = "0000:3b:02.0";

#[test]
fn a_vf_that_its_pf_does_not_list_for_a_moment_is_not_forgotten() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let function = world.machine.function.clone();
    let pf = PF.parse().unwrap();
    world.machine.function = Found::NotListed { pf };
    world.del("c1", NETNS).unwrap();
    assert!(world.leftovers().contains(&"ledger/c1@net1".to_owned()));
    world.machine.function = function;
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_name_that_is_owed_is_given_back_by_the_next_owner_and_the_old_record_goes() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.machine.host.push(Link {
        index: 9,
        name: "ens1f0v1".to_owned(),
        ..Link::default()
    });
    world.del("c1", NETNS).unwrap();
    world.machine.start_pod("/run/netns/b");
    world.add("c2", "/run/netns/b", &json!({})).unwrap();
    assert!(
        !world.leftovers().contains(&"ledger/c1@net1".to_owned()),
        "{:?}",
        world.leftovers()
    );
    let owned = world.machine.baseline();
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), owned);
    world.machine.host.pop();
    world.del("c2", "/run/netns/b").unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_address_is_taken_from_the_dead_owner_of_another_vf_of_the_pf() {
    let mut world = World::igb();
    world.machine.neighbours.insert(NEIGHBOUR.to_owned(), 0);
    let asked = json!({ "mac": "02:00:00:00:00:77" });
    let of_neighbour = json!({ "mac": "02:00:00:00:00:77", "deviceID": NEIGHBOUR });
    world.add("c1", NETNS, &of_neighbour).unwrap();
    let mac = |world: &mut World, index| {
        let pf = world.machine.pf();
        world
            .machine
            .control
            .vf(&pf, index)
            .unwrap()
            .unwrap()
            .mac
            .to_string()
    };
    assert_eq!(mac(&mut world, 0), "02:00:00:00:00:77");
    // A living owner keeps it.
    world.machine.start_pod("/run/netns/b");
    world.add("c2", "/run/netns/b", &asked).unwrap();
    world.del("c2", "/run/netns/b").unwrap();
    assert_eq!(mac(&mut world, 0), "02:00:00:00:00:77");
    world.machine.kill_pod(NETNS);
    world.add("c2", "/run/netns/b", &asked).unwrap();
    assert_ne!(mac(&mut world, 0), "02:00:00:00:00:77");
    assert_eq!(mac(&mut world, INDEX), "02:00:00:00:00:77");
    world.del("c2", "/run/netns/b").unwrap();
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_record_that_cannot_be_read_for_an_io_error_leaves_the_vf_with_its_holder() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let owned = world.machine.baseline();
    write(&world.state(&format!("ledger/pci/{VF}")), b"c2@net1");
    // Reading a directory fails, and it is not known whether c2 has the VF.
    host::file::create_dir(&world.state("ledger/c2@net1"), 0o700).unwrap();
    let error = world.del("c1", NETNS).unwrap_err();
    assert_eq!(error.code(), 5, "{}", text(&error));
    assert_eq!(world.machine.baseline(), owned);
    let holder = world.site.ledger().holder(VF).unwrap().unwrap();
    assert_eq!(holder, attachment("c2"), "the VF stays with whom it is");
}
