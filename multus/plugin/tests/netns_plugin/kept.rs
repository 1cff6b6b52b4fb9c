//! What DEL waits for, and in which order kept DELs are tried again.

use std::fs;
use std::time::Duration;

use host::file::Durability;
use multus_plugin::journal::{Journal, Shelf};

use crate::add::{planned, three};

#[test]
fn a_del_waits_for_another_command_on_its_sandbox_and_is_then_tried_again() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    let journal = Journal::new(&node.path("state"));
    let other = journal.lock_sandbox("c1", Duration::ZERO).unwrap();
    let (code, msg, _) = node.call("DEL", &node.asking()).error();
    assert_eq!(code, 11);
    assert!(msg.contains("another command"), "{msg}");
    drop(other);
    node.call("DEL", &node.asking()).ok();
}

#[test]
fn of_kept_dels_the_one_whose_last_try_is_longest_ago_comes_first() {
    let (node, _sandbox, _daemon) = planned(&three());
    let journal = Journal::new(&node.path("state"));
    node.fail("one", "DEL", 5, "stuck");
    for (container, tried) in [("c1", 200), ("c2", 100)] {
        node.call_for(container, "ADD", &node.asking()).ok();
        for _ in 0..3 {
            node.call_for(container, "DEL", &node.asking()).error();
        }
        node.call_for(container, "DEL", &node.asking()).ok();
        let mut kept = journal.read(Shelf::Kept, container).unwrap().unwrap();
        kept.tried = tried;
        journal
            .write(Shelf::Kept, &kept, Durability::Process)
            .unwrap();
    }
    // Trying the second one's DELs has tried the first one again.
    let mut first = journal.read(Shelf::Kept, "c1").unwrap().unwrap();
    first.tried = 200;
    journal
        .write(Shelf::Kept, &first, Durability::Process)
        .unwrap();
    let order = node.path("order-of-kept");
    node.behave(
        "one",
        "DEL",
        &format!("echo $CNI_CONTAINERID >> {}\n", order.display()),
    );
    node.call_for("c3", "ADD", &node.plain()).ok();
    assert_eq!(fs::read_to_string(order).unwrap(), "c2\nc1\n");
}
