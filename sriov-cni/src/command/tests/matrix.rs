//! Every crash point of every verb with a VF, and whatever the runtime, an admin or a reboot does next.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;

use super::*;
use crate::crash::{self, Listed};
use crate::fake::Crash;

const OTHER: &str = "/run/netns/b";

fn asked() -> Value {
    json!({ "vlan": 100, "trust": "on", "spoofchk": "off", "mac": "02:00:00:00:00:77", "max_tx_rate": 100,
        "ipam": { "type": "test-ipam" } })
}

fn world(mode: &str) -> World {
    let world = World::with_pod(match mode {
        "kernel" => Machine::new(FakeDriver::igb()),
        _ => Machine::userspace(FakeDriver::igb()),
    });
    world.ipam(GIVES_AN_ADDRESS);
    world
}

/// Does what passes the point; dies there.
fn die_at(world: &mut World, listed: &Listed) {
    let verb = listed.command;
    if !matches!(verb, "add" | "rollback") {
        world.add("c1", NETNS, &asked()).unwrap();
    }
    if verb == "rollback" && listed.mode == "kernel" {
        world.machine.refuse = Some(("add route".to_owned(), Errno::ENETUNREACH));
    } else if verb == "rollback" {
        world.ipam("[ \"$CNI_COMMAND\" = ADD ] && echo '{\"cniVersion\":\"1.1.0\"}'; exit 0");
    }
    if verb == "recover" {
        world.machine.kill_pod(NETNS);
        // Another pod's, at the same path.
        world.machine.start_pod(NETNS);
    }
    crash::arm(&listed.point).unwrap();
    match verb {
        "del" => world.del_with("c1", NETNS, &asked()).unwrap(),
        "gc" => super::gc::gc(world, "net", &json!([])).unwrap(),
        "recover" => drop(world.recover(false)),
        _ => drop(world.add("c1", NETNS, &asked())),
    }
}

/// What comes next.
const NEXT: [fn(&mut World); 6] = [
    |world| world.del_with("c1", NETNS, &asked()).unwrap(),
    |world| {
        for _ in 0..2 {
            world.del_with("c1", NETNS, &asked()).unwrap();
        }
    },
    // The next pod, the late DEL of the first one, and nothing of it touches the second.
    |world| {
        world.machine.kill_pod(NETNS);
        world.machine.start_pod(OTHER);
        let second = json!({ "vlan": 7, "ipam": { "type": "test-ipam" } });
        world.add("c2", OTHER, &second).unwrap();
        let owned = world.machine.baseline();
        world.del_with("c1", NETNS, &asked()).unwrap();
        assert_eq!(world.machine.baseline(), owned);
        world.del_with("c2", OTHER, &second).unwrap();
    },
    |world| {
        world.machine.kill_pod(NETNS);
        let left: Vec<_> = world
            .recover(false)
            .into_iter()
            .filter(|line| !line.is_done)
            .collect();
        assert_eq!(left, []);
    },
    |world| {
        reboot(world);
        let left: Vec<_> = world
            .recover(false)
            .into_iter()
            .filter(|line| !line.is_done)
            .collect();
        assert_eq!(left, []);
    },
    // The kubelet cleans up after the reboot, when another pod has the VF already.
    |world| {
        reboot(world);
        world.machine.start_pod(OTHER);
        let second = json!({ "vlan": 7, "ipam": { "type": "test-ipam" } });
        world.add("c2", OTHER, &second).unwrap();
        let owned = world.machine.baseline();
        world.del_with("c1", "", &asked()).unwrap();
        assert_eq!(world.machine.baseline(), owned);
        world.del_with("c2", OTHER, &second).unwrap();
    },
];

/// VFs begin anew, files stay.
fn reboot(world: &mut World) {
    let mut machine = match world.machine.link {
        Some(_) => Machine::new(FakeDriver::igb()),
        None => Machine::userspace(FakeDriver::igb()),
    };
    "boot-2".clone_into(&mut machine.boot);
    world.machine = machine;
}

/// One cell; an error is what is left.
fn cell(listed: &Listed, next: fn(&mut World)) {
    let mut world = world(listed.mode);
    let before = world.machine.baseline();
    let ended = catch_unwind(AssertUnwindSafe(|| die_at(&mut world, listed)));
    assert!(
        ended.is_err_and(|panic| panic.is::<Crash>()),
        "{listed} is not passed"
    );
    world.ipam(GIVES_AN_ADDRESS);
    next(&mut world);
    let after = world.machine.baseline();
    assert_eq!(after, before, "{listed}");
    assert_eq!(world.leftovers(), [""; 0], "{listed}");
    let calls = world.ipam_calls();
    let last = calls.iter().rfind(|call| call.contains(" c1 "));
    assert!(
        last.is_none_or(|call| call.starts_with("DEL")),
        "{listed}: {calls:?}"
    );
}

/// Plays all rows of some columns; in parts, since each cell starts programs.
fn play(mode: &str, next: &[fn(&mut World)]) {
    let mut cells = 0;
    let listed = crash::list().into_iter();
    for listed in listed.filter(|listed| listed.mode == mode && listed.when.is_none()) {
        for next in next {
            cell(&listed, *next);
            cells += 1;
        }
    }
    assert!(cells > 100, "{cells} cells");
}

#[test]
fn a_kernel_vf_killed_at_any_point_is_not_lost_and_not_leaked() {
    play("kernel", &NEXT[..3]);
}

#[test]
fn a_kernel_vf_killed_at_any_point_is_healed_by_recover_and_after_a_reboot() {
    play("kernel", &NEXT[3..]);
}

#[test]
fn a_userspace_vf_killed_at_any_point_is_not_lost_and_not_leaked() {
    play("userspace", &NEXT[..3]);
}

#[test]
fn a_userspace_vf_killed_at_any_point_is_healed_by_recover_and_after_a_reboot() {
    play("userspace", &NEXT[3..]);
}
