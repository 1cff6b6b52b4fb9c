//! The process dies at any point of a slot's life.

use super::*;
use crate::fake::Crash;

/// Every point of every verb, and what a runtime may do next: in the end the plugin's last word is DEL or was none.
#[test]
fn a_slot_killed_at_any_point_is_not_leaked() {
    let next: [fn(&mut World); 4] = [
        |world| world.del_with("c1", NETNS, &asked(&json!({}))).unwrap(),
        |world| {
            world.del_with("c1", NETNS, &asked(&json!({}))).unwrap();
            world.del_with("c1", NETNS, &asked(&json!({}))).unwrap();
        },
        |world| {
            world.machine.kill_pod(NETNS);
            assert!(world.recover(false).iter().all(|line| line.is_done));
        },
        |world| {
            world.machine.kill_pod(NETNS);
            world.machine.start_pod("/run/netns/b");
            world.add("c2", "/run/netns/b", &asked(&json!({}))).unwrap();
            world.del_with("c1", NETNS, &asked(&json!({}))).unwrap();
            assert!(world.leftovers().contains(&"ledger/c2@net1".to_owned()));
            world
                .del_with("c2", "/run/netns/b", &asked(&json!({})))
                .unwrap();
        },
    ];
    let mut cells = 0;
    for listed in crate::crash::list() {
        if listed.mode != "fallback" || listed.when.is_some() {
            continue;
        }
        for next in next {
            let mut world = super::world();
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                die_at(&mut world, &listed.point);
            }));
            assert!(
                ended.is_err_and(|panic| panic.is::<Crash>()),
                "{} is not passed",
                listed.point
            );
            world.delegate(WORKS);
            next(&mut world);
            assert_eq!(world.leftovers(), [""; 0], "{}", listed.point);
            let noted = world.delegate_calls();
            let of_first: Vec<_> = noted.iter().filter(|call| call.contains(" c1 ")).collect();
            assert!(
                of_first.last().is_none_or(|call| call.starts_with("DEL")),
                "{}: {noted:?}",
                listed.point
            );
            cells += 1;
        }
    }
    assert!(cells > 100, "{cells} cells");
}

fn die_at(world: &mut World, point: &str) {
    let add = |world: &mut World| drop(world.add("c1", NETNS, &asked(&json!({}))));
    match point.split('.').next().unwrap() {
        "add" => {}
        "rollback" => world.delegate("[ \"$CNI_COMMAND\" = DEL ]"),
        _ => add(world),
    }
    crate::crash::arm(point).unwrap();
    match point.split('.').next().unwrap() {
        "del" => world.del("c1", NETNS).unwrap(),
        "gc" => super::super::gc::gc(world, "net", &json!([])).unwrap(),
        "recover" => {
            world.machine.kill_pod(NETNS);
            world.machine.start_pod(NETNS);
            world.recover(false);
        }
        _ => add(world),
    }
}
