//! `sriov recover`.

use cni::plugin::Env;

use super::*;
use crate::command::recover::{self, Line};
use crate::fake::Spot;

impl World {
    pub(super) fn recover(&mut self, dry_run: bool) -> Vec<Line> {
        let path = self.directory.path().to_str().unwrap();
        let env: Env = [("CNI_PATH", path)].into_iter().collect();
        recover::recover(&self.site, &mut (&mut self.machine), &env, dry_run).unwrap()
    }
}

fn with_ipam() -> Value {
    json!({ "vlan": 100, "trust": "on", "mac": "02:00:00:00:00:77", "ipam": { "type": "test-ipam" } })
}

fn told(lines: &[Line]) -> Vec<(&str, bool)> {
    lines
        .iter()
        .map(|line| (line.told.as_str(), line.is_done))
        .collect()
}

#[test]
fn recover_takes_back_the_vf_and_the_addresses_of_a_dead_owner() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let before = world.machine.baseline();
    world.add("c1", NETNS, &with_ipam()).unwrap();
    world.machine.kill_pod(NETNS);
    let lines = world.recover(false);
    assert_eq!(told(&lines), [("taken back", true)]);
    assert_eq!(
        lines[0].to_string(),
        format!("{VF} of container c1 as net1: taken back")
    );
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
    assert_eq!(world.ipam_calls().last().unwrap(), "DEL c1 net1");
    assert_eq!(world.recover(false), []);
}

#[test]
fn recover_leaves_a_living_owner_alone() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.add("c1", NETNS, &with_ipam()).unwrap();
    let (owned, files) = (world.machine.baseline(), world.leftovers());
    assert_eq!(told(&world.recover(false)), [("in use", true)]);
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (owned, files)
    );
    assert_eq!(world.ipam_calls(), ["ADD c1 net1"]);
}

#[test]
fn recover_of_another_boot_touches_no_vf_and_releases_the_addresses() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.add("c1", NETNS, &with_ipam()).unwrap();
    let mut rebooted = Machine::new(FakeDriver::igb());
    "boot-2".clone_into(&mut rebooted.boot);
    world.machine = rebooted;
    // The same path may well exist again.
    world.machine.start_pod(NETNS);
    assert_eq!(told(&world.recover(false)), [("taken back", true)]);
    assert_eq!(world.machine.changes, [""; 0]);
    assert_eq!(world.ipam_calls().last().unwrap(), "DEL c1 net1");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn recover_finds_a_vf_that_was_carried_into_another_named_namespace() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.machine.kill_pod(NETNS);
    let elsewhere = world.machine.start_pod("/run/netns/elsewhere");
    world.machine.at = Some(Spot::Pod(elsewhere));
    assert_eq!(told(&world.recover(false)), [("taken back", true)]);
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn a_dry_run_tells_the_steps_and_changes_nothing() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.add("c1", NETNS, &with_ipam()).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.at = Some(Spot::Host);
    let (owned, files, changes) = (
        world.machine.baseline(),
        world.leftovers(),
        world.machine.changes.len(),
    );
    let lines = world.recover(true);
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].is_done, "something is left to be done");
    let text = &lines[0].told;
    for step in [
        "would ",
        "restore name ens1f0v1",
        "clear the PF's address",
        "trust off",
        "release addresses with test-ipam",
        "remove the record",
    ] {
        assert!(text.contains(step), "{step} in {text}");
    }
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (owned, files)
    );
    assert_eq!(world.machine.changes.len(), changes);
    assert_eq!(world.ipam_calls(), ["ADD c1 net1"]);
}

#[test]
fn recover_tells_what_it_has_to_leave() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.comes_back = false;
    let lines = world.recover(false);
    assert_eq!(
        told(&lines),
        [(
            format!("left: the interface of VF {VF} is not back on the host yet").as_str(),
            false
        )]
    );
    world.machine.comes_back = true;
    assert_eq!(told(&world.recover(false)), [("taken back", true)]);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn recover_removes_files_that_name_nobody() {
    let mut world = World::igb();
    world.site.ledger().create().unwrap();
    write(&world.state(&format!("ledger/pci/{VF}")), b"c1@net1");
    host::file::create_dir(&world.state("pci"), 0o700).unwrap();
    write(&world.state("pci/0000:3b:02.2"), b"/run/netns/gone");
    write(&world.state("pci/0000:3b:02.3"), NETNS.as_bytes());
    let lines = world.recover(true);
    assert_eq!(lines.len(), 2);
    assert_eq!(world.leftovers().len(), 3);
    assert!(world.recover(false).iter().all(|line| line.is_done));
    assert_eq!(
        world.leftovers(),
        ["pci/0000:3b:02.3"],
        "its namespace lives"
    );
}

/// What a power cut may leave of files that were not on the disk yet.
fn emptied() -> World {
    let world = World::igb();
    world.site.ledger().create().unwrap();
    host::file::create_dir(&world.state("pci"), 0o700).unwrap();
    for name in [format!("ledger/pci/{VF}"), format!("pci/{VF}")] {
        write(&world.state(&name), b"");
    }
    write(&world.state("ledger/c1@net1"), b"");
    world
}

#[test]
fn recover_removes_files_that_a_power_cut_has_emptied() {
    let mut world = emptied();
    write(&world.state("ledger/pci/software-3"), b"");
    let lines = world.recover(false);
    assert!(lines.iter().all(|line| line.is_done), "{lines:?}");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn del_removes_files_that_a_power_cut_has_emptied() {
    for netns in [NETNS, ""] {
        let mut world = emptied();
        world.del("c1", netns).unwrap();
        assert_eq!(world.leftovers(), [""; 0], "DEL with {netns:?}");
    }
}

#[test]
fn recover_takes_a_torn_record_for_what_the_go_format_says() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let owned = world.machine.baseline();
    write(&world.state("ledger/c1@net1"), b"{\"format\":1,");
    assert_eq!(told(&world.recover(false)), [("in use", true)]);
    assert_eq!(world.machine.baseline(), owned);
    world.machine.kill_pod(NETNS);
    assert_eq!(told(&world.recover(false)), [("taken back", true)]);
    assert_eq!(world.machine.baseline().0.vlan.id, 0);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn recover_removes_a_torn_record_of_which_nothing_else_is_known() {
    let mut world = World::igb();
    world.site.ledger().create().unwrap();
    write(&world.state("ledger/c1@net1"), b"");
    write(&world.state(&format!("ledger/pci/{VF}")), b"c1@net1");
    let lines = world.recover(false);
    assert!(lines.iter().all(|line| line.is_done), "{lines:?}");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn recover_leaves_addresses_that_only_the_runtime_can_release_and_says_so() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let before = world.machine.baseline();
    world.add("c1", NETNS, &with_ipam()).unwrap();
    // The Go plugin would have written these files only.
    host::file::remove_tree(&world.state("ledger")).unwrap();
    world.machine.kill_pod(NETNS);
    let lines = world.recover(false);
    assert!(
        !lines[0].is_done && lines[0].told.contains("by DEL"),
        "{lines:?}"
    );
    assert_eq!(world.machine.baseline().0, before.0);
    assert_eq!(world.ipam_calls(), ["ADD c1 net1"]);
    world
        .del_with("c1", "", &json!({ "ipam": { "type": "test-ipam" } }))
        .unwrap();
    assert_eq!(world.ipam_calls(), ["ADD c1 net1", "DEL c1 net1"]);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn recover_leaves_an_owner_whose_namespace_lives_under_another_name_and_del_does_not() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let pod = world.machine.pods.remove(&PathBuf::from(NETNS)).unwrap();
    world
        .machine
        .pods
        .insert(PathBuf::from("/run/netns/elsewhere"), pod);
    let owned = world.machine.baseline();
    assert_eq!(
        told(&world.recover(false)),
        [("in use, by namespace /run/netns/elsewhere", true)]
    );
    assert_eq!(world.machine.baseline(), owned);
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}
