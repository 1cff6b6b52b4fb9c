//! Crash points: which are passed, and that the list tells them.

use std::collections::BTreeSet;

use host::mac::MacAddress;
use host::netlink::vf::{VfAttribute, VfControl};
use host::testing::driver::Attribute;
use nix::errno::Errno;

use super::*;
use crate::crash::{self, Device};
use crate::fake::{INDEX, PF, Spot};
use crate::node::Found;

/// An attachment with everything that can be asked of the device.
fn full(device: Device) -> Value {
    let ipam = json!({ "type": "test-ipam" });
    match device {
        Device::Fallback => {
            json!({ "deviceID": "software-3", "fallback": { "type": "macvlan" }, "ipam": ipam })
        }
        _ => json!({ "vlan": 100, "trust": "on", "spoofchk": "off", "mac": "02:00:00:00:00:77",
            "max_tx_rate": 100, "resetPolicy": "flr", "ipam": ipam }),
    }
}

/// A node on which every step is needed once.
fn world(device: Device) -> World {
    let mut machine = match device {
        Device::Kernel | Device::Fallback => Machine::new(FakeDriver::igb()),
        Device::Userspace => Machine::userspace(FakeDriver::igb()),
    };
    if let Some(link) = &mut machine.link {
        (link.up, link.running) = (true, true);
        link.alt_names.push("net1".to_owned());
    }
    let world = World::with_pod(machine);
    world.ipam(GIVES_AN_ADDRESS);
    world.delegate(super::fallback::WORKS);
    world
}

/// Verb, device and point.
type Passed = (&'static str, &'static str, String);

fn note(passed: &mut BTreeSet<Passed>, device: Device) {
    for (verb, moment, point) in crash::reached() {
        let name = format!("{}.{}.{}", verb.name(), moment.name(), point.name());
        passed.insert((verb.name(), device.name(), name));
    }
}

/// What becomes of an attachment before it is ended.
const MISHAPS: [fn(&mut World); 10] = [
    |_| {},
    |world| world.machine.kill_pod(NETNS),
    |world| {
        world.machine.kill_pod(NETNS);
        world.machine.comes_back = false;
    },
    |world| world.ipam("[ \"$CNI_COMMAND\" = ADD ]"),
    |world| {
        world.machine.kill_pod(NETNS);
        world.delegate("exit 1");
        world.ipam("[ \"$CNI_COMMAND\" = ADD ]");
    },
    |world| {
        world.machine.kill_pod(NETNS);
        let pf = PF.parse().unwrap();
        world.machine.function = Found::NoPfInterface { pf };
    },
    |world| {
        world.machine.kill_pod(NETNS);
        for _ in 0..20 {
            world.machine.control.fail_next(Attribute::Vlan, Errno::EIO);
        }
    },
    // Another namespace that has a name.
    |world| {
        world.machine.kill_pod(NETNS);
        let elsewhere = world.machine.start_pod("/run/netns/elsewhere");
        world.machine.at = Some(Spot::Pod(elsewhere)).filter(|_| world.machine.link.is_some());
        name(world, "theirs");
    },
    // The pod adds a name.
    |world| name(world, "theirs"),
    // So does udev.
    |world| {
        world.machine.kill_pod(NETNS);
        name(world, "theirs");
    },
];

/// Who ends it.
const ENDINGS: [fn(&mut World, &Value); 4] = [
    |world, _| drop(world.del("c1", NETNS)),
    |world, _| drop(super::gc::gc(world, "net", &json!([]))),
    |world, _| drop(world.recover(false)),
    |world, asked| {
        world.machine.start_pod("/run/netns/b");
        drop(world.add("c1", "/run/netns/b", asked));
    },
];

fn name(world: &mut World, name: &str) {
    if let Some(link) = &mut world.machine.link {
        link.alt_names.push(name.to_owned());
    }
}

fn passed() -> BTreeSet<Passed> {
    let mut passed = BTreeSet::new();
    for device in Device::ALL {
        let asked = full(*device);
        for mishap in MISHAPS {
            for ending in ENDINGS {
                let mut world = world(*device);
                world.add("c1", NETNS, &asked).unwrap();
                mishap(&mut world);
                ending(&mut world, &asked);
                note(&mut passed, *device);
            }
        }
        let mut world = world(*device);
        let pf = world.machine.pf();
        if *device == Device::Kernel {
            let pinned = [VfAttribute::Mac(MacAddress([2, 0, 0, 0, 0, 1]))];
            world.machine.control.set_vf(&pf, INDEX, &pinned).unwrap();
        }
        // The last thing that can fail.
        world.delegate("[ \"$CNI_COMMAND\" = DEL ]");
        if *device == Device::Kernel {
            world.machine.refuse = Some(("add route".to_owned(), Errno::ENETUNREACH));
        } else {
            world.ipam("[ \"$CNI_COMMAND\" = ADD ] && echo '{\"cniVersion\":\"1.1.0\"}'; exit 0");
        }
        let _ = world.add("c1", NETNS, &asked);
        note(&mut passed, *device);
    }
    passed
}

#[test]
fn every_listed_crash_point_is_passed_and_every_passed_one_is_listed() {
    let passed = passed();
    let listed: BTreeSet<Passed> = crash::list()
        .into_iter()
        .map(|listed| (listed.command, listed.mode, listed.point))
        .collect();
    let unlisted: Vec<_> = passed.difference(&listed).collect();
    assert!(unlisted.is_empty(), "not listed: {unlisted:?}");
    // A rollback meets only what happens within one ADD.
    let rare: BTreeSet<Passed> = crash::list()
        .into_iter()
        .filter(|listed| listed.when.is_some() && listed.command == "rollback")
        .map(|listed| (listed.command, listed.mode, listed.point))
        .collect();
    let missed: Vec<_> = listed
        .difference(&passed)
        .filter(|point| !rare.contains(point))
        .collect();
    assert!(missed.is_empty(), "listed and not passed: {missed:?}");
}
