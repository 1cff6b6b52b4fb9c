//! The process dies before any change of ADD or DEL; whatever the runtime does next, the VF ends as it was.

use std::panic::{AssertUnwindSafe, catch_unwind};

use host::mac::MacAddress;
use host::netlink::vf::{VfAttribute, VfControl};
use proptest::prelude::*;

use super::*;
use crate::fake::{Crash, INDEX};

/// Runs `work` with the process dying before change `at`. False if it ended before that.
fn dies(world: &mut World, at: usize, work: impl FnOnce(&mut World)) -> bool {
    world.machine.crash_at = Some(world.machine.changes.len() + at);
    let ended = catch_unwind(AssertUnwindSafe(|| work(world)));
    world.machine.crash_at = None;
    match ended {
        Ok(()) => false,
        Err(panic) if panic.is::<Crash>() => true,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn configurations() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "mac": "02:00:00:00:00:77" }),
        json!({ "vlan": 100, "trust": "on", "spoofchk": "off", "mac": "02:00:00:00:00:77", "max_tx_rate": 100,
                "ipam": { "type": "test-ipam" } }),
    ]
}

fn worlds() -> Vec<World> {
    [
        Machine::new(FakeDriver::igb()),
        Machine::new(FakeDriver::full()),
        Machine::userspace(FakeDriver::igb()),
    ]
    .into_iter()
    .map(|machine| {
        let world = World::with_pod(machine);
        world.ipam(GIVES_AN_ADDRESS);
        world
    })
    .collect()
}

/// What a runtime does after a crash.
const NEXT: [fn(&mut World); 4] = [
    |world| world.del("c1", NETNS).unwrap(),
    |world| {
        world.machine.kill_pod(NETNS);
        world.del("c1", "").unwrap();
    },
    |world| {
        world.add("c1", NETNS, &json!({ "vlan": 7 })).unwrap();
        world.del("c1", NETNS).unwrap();
    },
    |world| {
        world.machine.kill_pod(NETNS);
        world.machine.start_pod("/run/netns/b");
        world
            .add("c2", "/run/netns/b", &json!({ "vlan": 7 }))
            .unwrap();
        let owned = world.machine.baseline();
        world.del("c1", NETNS).unwrap();
        assert_eq!(
            world.machine.baseline(),
            owned,
            "the late DEL touched the new owner"
        );
        world.del("c2", "/run/netns/b").unwrap();
    },
];

/// Goes through all crash points of `work`, with everything that may follow.
fn matrix(prepare: fn(&mut World, &Value), work: fn(&mut World, &Value)) {
    let mut cells = 0;
    for (driver, configuration) in (0..worlds().len())
        .flat_map(|driver| configurations().into_iter().map(move |c| (driver, c)))
    {
        for next in NEXT {
            for at in 0.. {
                let mut world = worlds().remove(driver);
                let before = world.machine.baseline();
                prepare(&mut world, &configuration);
                let died = dies(&mut world, at, |world| work(world, &configuration));
                next(&mut world);
                let mut after = world.machine.baseline();
                if world.machine.link.is_none() {
                    after.1.clone_from(&before.1);
                }
                assert_eq!(
                    after, before,
                    "driver {driver}, {configuration}, crash before change {at}"
                );
                assert_eq!(
                    world.leftovers(),
                    [""; 0],
                    "driver {driver}, {configuration}, crash before change {at}"
                );
                cells += 1;
                if !died {
                    break;
                }
            }
        }
    }
    assert!(cells > 40, "{cells} cells");
}

#[test]
fn add_killed_before_any_change_leaves_nothing_that_is_not_healed() {
    matrix(
        |_, _| {},
        |world, configuration| drop(world.add("c1", NETNS, configuration).unwrap()),
    );
}

#[test]
fn del_killed_before_any_change_leaves_nothing_that_is_not_healed() {
    matrix(
        |world, configuration| drop(world.add("c1", NETNS, configuration).unwrap()),
        |world, _| world.del("c1", NETNS).unwrap(),
    );
}

#[test]
fn a_rollback_killed_before_any_change_leaves_nothing_that_is_not_healed() {
    matrix(
        |world, _| world.ipam("[ \"$CNI_COMMAND\" = DEL ]"),
        |world, _| {
            let refused =
                json!({ "vlan": 100, "mac": "02:00:00:00:00:77", "ipam": { "type": "test-ipam" } });
            world.add("c1", NETNS, &refused).unwrap_err();
            world.ipam(GIVES_AN_ADDRESS);
        },
    );
}

fn vf_configuration() -> impl Strategy<Value = Value> {
    let switch = || prop_oneof![Just(json!(null)), Just(json!("on")), Just(json!("off"))];
    (0..3u16, switch(), switch(), 0..3u8, 0..3u8).prop_map(|(vlan, trust, spoofchk, mac, rate)| {
        let mut configuration = json!({ "trust": trust, "spoofchk": spoofchk });
        if vlan > 0 {
            configuration["vlan"] = json!(vlan - 1);
        }
        if mac > 0 {
            configuration["mac"] = json!(MacAddress([2, 0, 0, 0, 0, mac]));
        }
        if rate > 0 {
            configuration["max_tx_rate"] = json!(rate - 1);
        }
        configuration
    })
}

/// A VF as an administrator may have left it.
fn dirty_vf() -> impl Strategy<Value = Vec<VfAttribute>> {
    let vlan = (0..3u16).prop_map(|id| {
        VfAttribute::Vlan(host::netlink::vf::Vlan {
            id,
            ..Default::default()
        })
    });
    let mac = prop_oneof![
        Just(MacAddress([2, 0, 0, 0, 0, 1])),
        Just(MacAddress([2, 0, 0, 0, 0, 9]))
    ];
    let one = prop_oneof![
        vlan,
        mac.prop_map(VfAttribute::Mac),
        any::<bool>().prop_map(VfAttribute::Trust),
        any::<bool>().prop_map(VfAttribute::SpoofCheck),
    ];
    prop::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn undo_after_apply_is_identity(configuration in vf_configuration(), dirt in dirty_vf(), driver in 0..2usize, at in 0..12usize) {
        let mut world = worlds().remove(driver);
        let pf = world.machine.pf();
        for attribute in &dirt {
            world.machine.control.set_vf(&pf, INDEX, &[*attribute]).unwrap();
            if let VfAttribute::Mac(mac) = attribute {
                // The VF's driver starts anew and takes the address over.
                let trust = world.machine.control.vf(&pf, INDEX).unwrap().unwrap().trust.unwrap();
                world.machine.control.set_vf(&pf, INDEX, &[VfAttribute::Trust(true)]).unwrap();
                world.machine.control.set_own_mac(INDEX, *mac).unwrap();
                world.machine.control.set_vf(&pf, INDEX, &[VfAttribute::Trust(trust)]).unwrap();
            }
        }
        let before = world.machine.baseline();
        dies(&mut world, at, |world| drop(world.add("c1", NETNS, &configuration).unwrap()));
        world.del("c1", NETNS).unwrap();
        let after = world.machine.baseline();
        // A trusted VF may choose its address in any case, so whether it was pinned cannot be learnt.
        let trusted = before.0.trust == Some(true);
        prop_assert_eq!((&after.0, &after.1, &after.2), (&before.0, &before.1, &before.2));
        prop_assert!(trusted || after.3 == before.3, "may choose its address: {} before, {} after", before.3, after.3);
        prop_assert_eq!(world.leftovers(), Vec::<String>::new());
    }
}
