//! GC: stale sandboxes are deleted, every network is told its own valid attachments.

use std::fs;

use serde_json::{Value, json};

use crate::add::planned;
use crate::daemon::{primary, secondary};
use crate::node::Node;

/// A plan whose networks all have GC.
fn with_gc() -> [Value; 2] {
    let mut plan = [primary(), secondary("one", "net1")];
    for attachment in &mut plan {
        attachment["config"]["cniVersion"] = json!("1.1.0");
    }
    plan
}

pub(crate) fn gc_conf(node: &Node, valid: &[&str]) -> Value {
    node.write(
        "conf/10-primary.conflist",
        r#"{"cniVersion":"1.1.0","name":"cbr0","plugins":[{"type":"primary"}]}"#,
    );
    let valid: Vec<_> = valid
        .iter()
        .map(|id| json!({"containerID": id, "ifname": "eth0"}))
        .collect();
    node.conf(&json!({ "cni.dev/valid-attachments": valid }))
}

pub(crate) fn valid_of(node: &Node, delegate: &str) -> Value {
    node.stdin_of("GC", delegate, "")["cni.dev/valid-attachments"].clone()
}

/// Makes a record look an hour old and of another boot.
pub(crate) fn age(node: &Node, container: &str) {
    use multus_plugin::journal::Record;
    let path = node.path("state/journal").join(container);
    let mut record = Record::parse(&fs::read(&path).unwrap()).unwrap();
    record.created -= 3600;
    record.boot_id = "another".into();
    fs::write(&path, record.to_bytes().unwrap()).unwrap();
}

#[test]
fn row_4_networks_are_told_of_their_own_attachments_and_stale_sandboxes_are_deleted() {
    let (node, _sandbox, _daemon) = planned(&with_gc());
    for id in ["c1", "c9"] {
        node.call_for(id, "ADD", &node.asking()).ok();
    }
    age(&node, "c9");
    node.forget_order();
    node.call("GC", &gc_conf(&node, &["c1"])).ok();
    assert_eq!(
        node.order(),
        ["DEL one net1", "DEL primary eth0", "GC primary ", "GC one "]
    );
    assert_eq!(
        node.env_of("DEL", "one", "net1", "CNI_CONTAINERID")
            .unwrap(),
        "c9"
    );
    assert_eq!(
        valid_of(&node, "primary"),
        json!([{"containerID": "c1", "ifname": "eth0"}])
    );
    assert_eq!(
        valid_of(&node, "one"),
        json!([{"containerID": "c1", "ifname": "net1"}])
    );
    assert!(!node.path("state/journal/c9").exists());
}

#[test]
fn a_young_sandbox_and_one_with_a_live_namespace_are_left_alone_and_protected() {
    let (node, _sandbox, _daemon) = planned(&with_gc());
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("GC", &gc_conf(&node, &[])).ok();
    assert_eq!(node.order(), ["GC primary ", "GC one "]);
    assert_eq!(
        valid_of(&node, "one"),
        json!([{"containerID": "c1", "ifname": "net1"}])
    );
}

#[test]
fn row_4_two_networks_with_one_name_share_one_list() {
    let mut plan = with_gc();
    plan[1]["config"]["name"] = json!("cbr0");
    let (node, _sandbox, _daemon) = planned(&plan);
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("GC", &gc_conf(&node, &["c1"])).ok();
    assert_eq!(node.order(), ["GC primary "]);
    assert_eq!(
        valid_of(&node, "primary"),
        json!([{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c1", "ifname": "net1"}])
    );
}

#[test]
fn an_unreadable_record_of_a_valid_sandbox_stops_the_collection_of_secondaries_and_is_named() {
    let (node, _sandbox, _daemon) = planned(&with_gc());
    for id in ["c1", "c2"] {
        node.call_for(id, "ADD", &node.asking()).ok();
    }
    fs::write(node.path("state/journal/c2"), "torn").unwrap();
    node.forget_order();
    let (_, msg, _) = node.call("GC", &gc_conf(&node, &["c1", "c2"])).error();
    assert!(msg.contains("journal/c2"), "{msg}");
    assert_eq!(node.order(), ["GC primary "]);
}

#[test]
fn row_4_gc_does_nothing_while_an_add_is_at_work() {
    let (node, _sandbox, _daemon) = planned(&with_gc());
    let journal = multus_plugin::journal::Journal::new(&node.path("state"));
    let add = journal.lock_out_gc(std::time::Duration::ZERO).unwrap();
    let answer = node.call("GC", &gc_conf(&node, &[])).ok();
    assert!(node.order().is_empty());
    assert!(
        answer.stderr.contains("GC does nothing"),
        "{}",
        answer.stderr
    );
    drop(add);
    node.call("GC", &gc_conf(&node, &[])).ok();
    assert_eq!(node.order(), ["GC primary "]);
}
