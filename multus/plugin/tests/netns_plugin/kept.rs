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
fn a_delegate_left_in_the_background_by_a_killed_add_is_named_and_holds_del_up_for_its_own_deadline_only()
 {
    let (node, _sandbox, _daemon) = planned(&three());
    let folder = node.path("");
    node.behave(
        "one",
        "ADD",
        &format!(
            "sleep 10000 </dev/null >/dev/null 2>&1 & echo $! > {}/left; kill -9 $PPID; exit 0\n",
            folder.display()
        ),
    );
    assert!(!node.call("ADD", &node.asking()).success);
    let left = fs::read_to_string(node.path("left")).unwrap();
    let left = left.trim();
    // Within the 90 s that a delegate has it may be at work still.
    let (code, msg, _) = node.call("DEL", &node.asking()).error();
    assert_eq!(code, 11);
    assert!(
        msg.contains(&format!("held by sleep (process {left}")) && msg.contains("was killed"),
        "{msg}"
    );
    // No other sandbox waits for it.
    node.recover("one", "ADD");
    node.call_for("c2", "ADD", &node.asking()).ok();
    node.call_for("c2", "DEL", &node.asking()).ok();
    node.forget_order();
    let mut impatient = node.asking();
    impatient["delegateTimeoutSeconds"] = 1.into();
    let told = node.call("DEL", &impatient).ok();
    assert!(
        told.stderr.contains(&format!("sleep (process {left}")),
        "{told:?}"
    );
    assert_eq!(
        node.order(),
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
    assert!(node.state().iter().all(|file| file.starts_with("lock/.")));
    let pid = nix::unistd::Pid::from_raw(left.parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).expect("it was not ended for us");
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
