//! Two releases that meet: an upgrade in either order, and one that is taken back.

use std::fs;

use serde_json::{Value, json};

use crate::add::{planned, planned_with, three};
use crate::daemon::{Reply, accepted, plan};
use crate::node::{Answer, Node};

/// A plan as no release makes it yet: none of the keys that ours reads.
fn unknown_plan() -> Value {
    json!({"version": 2, "sandbox": {"of": "d/p"}, "steps": [["attach", "cbr0"]]})
}

fn is_told_to_wait(answer: &Answer, words: [&str; 3]) {
    let (code, msg, details) = answer.error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"), "{msg}");
    for word in words {
        assert!(msg.contains(word), "{word:?} is missing in: {msg}");
    }
}

/// What must go on whatever the daemon speaks: plain pods, and every DEL.
fn plain_pods_and_deletions_go_on(node: &Node) {
    node.forget_order();
    node.call_for("plain", "ADD", &node.plain()).ok();
    node.call_for("plain", "DEL", &node.plain()).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "DEL primary eth0"]);
}

#[test]
fn i7_a_daemon_of_a_newer_release_is_named_and_neither_plain_pods_nor_deletions_wait_for_it() {
    let (node, _sandbox, daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    drop(daemon);
    fs::remove_file(node.path("run/multus.sock")).unwrap();
    let newer = Reply::Say(200, unknown_plan());
    let _daemon = crate::daemon::Daemon::start(&node.path("run/multus.sock"), newer, accepted());
    node.forget_order();
    let answer = node.call_for("c2", "ADD", &node.asking());
    is_told_to_wait(&answer, ["pod d/p", "version 2", "this plugin version 1"]);
    assert!(node.order().is_empty(), "{:?}", node.order());
    plain_pods_and_deletions_go_on(&node);
    node.forget_order();
    node.call("DEL", &node.asking()).ok();
    assert_eq!(
        node.order(),
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
    let left = node.state();
    assert!(left.iter().all(|file| file == "lock/.gc"), "{left:?}");
}

/// As `multus-daemon` refuses a plugin of another release (`multus::service::read`).
fn refusal() -> Reply {
    Reply::Say(
        503,
        json!({"code": 11, "details": "DaemonNotReady",
            "msg": "the plugin speaks version 1, this daemon version 2; wait for the upgrade to finish"}),
    )
}

#[test]
fn i7_a_daemon_that_refuses_an_older_plugin_blocks_neither_plain_pods_nor_deletions() {
    let (node, _sandbox, _daemon) = planned_with(refusal(), refusal());
    let answer = node.call("ADD", &node.asking());
    is_told_to_wait(
        &answer,
        ["plugin speaks version 1", "daemon version 2", "upgrade"],
    );
    assert!(node.order().is_empty() && node.state().is_empty());
    node.call("DEL", &node.asking()).ok();
    plain_pods_and_deletions_go_on(&node);
}

#[test]
fn i7_a_daemon_replaced_by_a_newer_one_between_plan_and_report_leaves_no_half_pod() {
    let (node, _sandbox, _daemon) = planned_with(plan(&three()), refusal());
    let answer = node.call("ADD", &node.asking());
    is_told_to_wait(
        &answer,
        ["plugin speaks version 1", "daemon version 2", "upgrade"],
    );
    assert_eq!(
        node.order()[3..],
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
    let left = node.state();
    assert!(
        left.iter().all(|file| file.starts_with("lock/")),
        "{left:?}"
    );
}

/// Rewrites the record of `c1` as another release would have written it.
fn rewrite_record(node: &Node, change: impl FnOnce(&mut Value)) {
    let path = node.path("state/journal/c1");
    let text = fs::read_to_string(&path).unwrap();
    let mut record: Value = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
    change(&mut record);
    let json = record.to_string();
    let sum = json.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fs::write(path, format!("ferrovia-multus-record {sum:016x}\n{json}\n")).unwrap();
}

#[test]
fn i7_a_record_of_a_newer_release_is_deleted_by_what_is_known_of_it_after_a_downgrade() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    rewrite_record(&node, |record| {
        record["version"] = 2.into();
        record["later"] = json!({"key": true});
        record["attachments"][1]["later"] = json!([1]);
        record["failure"] = json!({"reason": "AReasonOfLater", "msg": "x"});
    });
    node.forget_order();
    node.call("DEL", &node.asking()).ok();
    assert_eq!(
        node.order(),
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
}

#[test]
fn i7_a_record_of_which_nothing_is_known_is_put_aside_and_del_goes_by_the_cache() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    rewrite_record(&node, |record| {
        *record = json!({"version": 3, "sandbox": "c1"});
    });
    node.forget_order();
    node.call("DEL", &node.asking()).ok();
    let mut order = node.order();
    order.sort();
    assert_eq!(
        order,
        ["DEL one net1", "DEL primary eth0", "DEL two net2"],
        "what libcni's cache holds is deleted"
    );
    assert!(node.path("state/damaged/c1").exists());
}
