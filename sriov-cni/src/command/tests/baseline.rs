//! Baselines that `sriovdp provision` noted: what a free VF is compared with, and what a VF goes back to when its record
//! is damaged.

use host::netlink::link::LinkChange;
use host::netlink::vf::{VfAttribute, VfControl, Vlan};

use super::*;
use crate::fake::{INDEX, PF, Spot};
use crate::node::{Node, Place};
use crate::record::{Netdev, Original};

impl World {
    /// Writes the baseline of the VF as it is now, as of a boot.
    fn note_baseline(&mut self, boot: &str) {
        let pf = self.machine.pf();
        let mut node = &mut self.machine;
        let netdev = node.netdev(Place::Host, VF.parse().unwrap()).unwrap();
        let original = Original {
            attributes: node.attributes(&pf, INDEX).unwrap(),
            netdev: netdev.as_ref().map(Netdev::from),
        };
        let file = json!({
            "format": 1, "vf": VF, "pf": PF, "boot": boot, "driver": "igbvf", "original": original,
        });
        let path = self.state(&format!("baseline/{VF}"));
        host::file::create_dir(path.parent().unwrap(), 0o700).unwrap();
        write(&path, file.to_string().as_bytes());
    }

    fn set(&mut self, attribute: VfAttribute) {
        let pf = self.machine.pf();
        let set = [attribute];
        self.machine.control.set_vf(&pf, INDEX, &set).unwrap();
    }

    fn drift(&mut self) -> Vec<String> {
        let rows = crate::command::list::list(&self.site, &mut (&mut self.machine)).unwrap();
        rows[0].drift.clone()
    }

    /// Files beside the baseline, which stays.
    fn left(&self) -> Vec<String> {
        let mut files = self.leftovers();
        files.retain(|file| !file.starts_with("baseline/"));
        files
    }

    /// An ADD whose record is damaged and which the Go formats do not know.
    fn damaged(mut self, config: &Value) -> Self {
        self.add("c1", NETNS, config).unwrap();
        write(&self.state("ledger/c1@net1"), b"{\"form");
        host::file::remove(&self.state("c1-net1")).unwrap();
        self
    }
}

fn everything() -> Value {
    json!({ "vlan": 100, "trust": "on", "spoofchk": "off", "max_tx_rate": 200, "mac": "02:00:00:00:00:77",
        "mtu": 1400, "ipam": { "type": "test-ipam" } })
}

#[test]
fn a_free_vf_is_compared_with_its_baseline() {
    let mut world = World::igb();
    world.set(VfAttribute::Trust(true));
    assert_eq!(world.drift(), ["trust on"]);
    // The administrator wants it so.
    world.note_baseline("boot-1");
    assert_eq!(world.drift(), [""; 0]);
    world.set(VfAttribute::Trust(false));
    let change = LinkChange {
        mtu: Some(1300),
        ..LinkChange::default()
    };
    let mut node = &mut world.machine;
    node.change(Place::Host, 7, &change).unwrap();
    assert_eq!(world.drift(), ["trust off", "mtu 1300 instead of 1500"]);
}

#[test]
fn a_baseline_of_another_boot_or_driver_does_not_count() {
    let mut world = World::igb();
    world.set(VfAttribute::Trust(true));
    world.note_baseline("boot-0");
    assert_eq!(world.drift(), ["trust on"]);
    world.note_baseline("boot-1");
    world.machine.bind(Some("vfio-pci"));
    assert_eq!(world.drift(), ["trust on"]);
}

#[test]
fn a_vf_whose_record_is_damaged_goes_back_to_its_baseline_at_del() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.set(VfAttribute::Vlan(Vlan {
        id: 7,
        ..Vlan::default()
    }));
    world.note_baseline("boot-1");
    let before = world.machine.baseline();
    let mut world = world.damaged(&everything());
    world.del_with("c1", NETNS, &everything()).unwrap();
    assert_eq!((world.machine.baseline(), world.left()), (before, vec![]));
    assert_eq!(world.ipam_calls().last().unwrap(), "DEL c1 net1");
}

#[test]
fn a_vf_whose_record_is_damaged_goes_back_to_its_baseline_before_the_next_pod_gets_it() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.note_baseline("boot-1");
    let before = world.machine.baseline();
    let mut world = world.damaged(&everything());
    world.machine.kill_pod(NETNS);
    world.machine.start_pod("/run/netns/b");
    world.add("c2", "/run/netns/b", &json!({})).unwrap();
    world.del("c2", "/run/netns/b").unwrap();
    assert_eq!((world.machine.baseline(), world.left()), (before, vec![]));
}

#[test]
fn a_living_pod_whose_record_is_damaged_keeps_its_vf() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.note_baseline("boot-1");
    let mut world = world.damaged(&everything());
    let owned = world.machine.baseline();
    world.machine.start_pod("/run/netns/b");
    let refused = world.add("c2", "/run/netns/b", &json!({})).unwrap_err();
    assert!(text(&refused).contains("is already allocated"));
    let told = world.recover(false);
    assert_eq!((told.len(), told[0].told.as_str()), (1, "in use"));
    // Of another network, or of this one: a list of valid attachments cannot condemn what nobody can read.
    let gc = json!({ "cni.dev/valid-attachments": [] });
    let call = world.call(Command::Gc, "", "", &gc);
    crate::command::gc::gc(&world.site, &mut (&mut world.machine), &call).unwrap();
    assert_eq!(world.machine.baseline(), owned);
    world.machine.kill_pod(NETNS);
    world.machine.at = Some(Spot::Host);
    assert_eq!(world.recover(false)[0].told, "taken back");
}
