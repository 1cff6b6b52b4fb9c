//! `sriov list`.

use host::netlink::vf::{VfAttribute, VfControl, Vlan};

use super::*;
use crate::command::list::{self, Row, State};
use crate::fake::INDEX;

impl World {
    fn list(&mut self) -> Vec<Row> {
        list::list(&self.site, &mut (&mut self.machine)).unwrap()
    }
}

#[test]
fn a_free_vf_is_listed_with_what_a_fresh_one_has_not() {
    let mut world = World::igb();
    assert_eq!(
        world.list()[0].to_string(),
        format!("{VF} free, pf 0000:3b:00.0, driver igbvf")
    );
    let pf = world.machine.pf();
    let set = [VfAttribute::Trust(true)];
    world.machine.control.set_vf(&pf, INDEX, &set).unwrap();
    assert_eq!(world.list()[0].drift, ["trust on"]);
}

#[test]
fn a_vf_in_use_is_listed_with_owner_phase_and_what_is_not_as_asked() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let row = &world.list()[0];
    assert_eq!((row.state, row.drift.as_slice()), (State::Used, &[][..]));
    let pf = world.machine.pf();
    let set = [VfAttribute::Vlan(Vlan::default())];
    world.machine.control.set_vf(&pf, INDEX, &set).unwrap();
    let json: Value = serde_json::from_str(cni::raw::raw(&world.list()).get()).unwrap();
    assert_eq!(
        json,
        json!([{
            "device": VF, "pf": "0000:3b:00.0", "driver": "igbvf", "state": "used",
            "owner": { "containerID": "c1", "ifname": "net1" }, "network": "net", "phase": "committed",
            "drift": ["VLAN 0 QoS 0 802.1q instead of VLAN 100 QoS 0 802.1q"],
        }])
    );
}

#[test]
fn a_vf_of_a_dead_owner_is_listed_with_what_is_left_to_be_done_and_left_alone() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.at = Some(crate::fake::Spot::Host);
    let (files, changes) = (world.leftovers(), world.machine.changes.len());
    let row = &world.list()[0];
    assert_eq!(row.state, State::Stale);
    assert_eq!(
        row.drift,
        ["restore name ens1f0v1", "set VLAN 0 QoS 0 802.1q"]
    );
    assert_eq!(
        (world.leftovers(), world.machine.changes.len()),
        (files, changes)
    );
}

#[test]
fn slots_are_listed_too() {
    let mut world = World::igb();
    world.delegate(super::fallback::WORKS);
    let asked = json!({ "deviceID": "software-3", "fallback": { "type": "macvlan" } });
    world.add("c1", NETNS, &asked).unwrap();
    let rows: Vec<_> = world.list().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows[1],
        "software-3 used, container c1 as net1 on network net"
    );
}
