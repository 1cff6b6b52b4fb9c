//! DEL: from the journal alone.

use std::fs;

use serde_json::{Value, json};

use crate::add::{planned, three};
use crate::node::Node;

/// A node where `c1` is up with three networks, and neither daemon nor namespace any more.
fn orphaned() -> (Node, Value) {
    let (mut node, sandbox, daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    fs::remove_file(node.path("run/multus.sock")).unwrap();
    drop((sandbox, daemon));
    node.netns = node.path("netns/gone").display().to_string();
    node.forget_order();
    let conf = node.asking();
    (node, conf)
}

const REVERSE: [&str; 3] = ["DEL two net2", "DEL one net1", "DEL primary eth0"];

fn left(node: &Node) -> Vec<String> {
    node.state()
        .into_iter()
        .filter(|file| file != "lock/.gc")
        .collect()
}

#[test]
fn row_42_del_needs_neither_daemon_nor_namespace_and_leaves_nothing() {
    let (node, conf) = orphaned();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), REVERSE);
    assert_eq!(
        node.stdin_of("DEL", "two", "net2")["prevResult"]["interfaces"][0]["name"],
        "net2"
    );
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn row_43_del_uses_the_recorded_configuration_when_the_files_have_changed() {
    let (node, conf) = orphaned();
    node.write(
        "conf/10-primary.conflist",
        r#"{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"two"}]}"#,
    );
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), REVERSE);
    assert_eq!(node.stdin_of("DEL", "primary", "eth0")["name"], "cbr0");
}

#[test]
fn a_second_del_goes_to_the_default_network_and_succeeds() {
    let (node, conf) = orphaned();
    node.call("DEL", &conf).ok();
    node.forget_order();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL primary eth0"]);
}

#[test]
fn row_41_every_attachment_is_tried_and_only_what_failed_is_tried_again() {
    let (node, conf) = orphaned();
    node.fail("two", "DEL", 5, "no such file or directory");
    let (code, msg, _) = node.call("DEL", &conf).error();
    assert_eq!(code, 5);
    assert!(!msg.contains("no such file"), "{msg}");
    assert!(msg.contains("network d/two on net2"), "{msg}");
    assert_eq!(node.order(), REVERSE);
    node.recover("two", "DEL");
    node.forget_order();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL two net2"]);
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn row_14_a_secondary_that_never_deletes_is_told_three_times_then_kept_and_replayed_by_later_commands()
 {
    let (node, conf) = orphaned();
    node.fail("one", "DEL", 5, "stuck");
    for _ in 0..3 {
        node.call("DEL", &conf).error();
    }
    node.call("DEL", &conf).ok();
    assert!(
        node.state().contains(&"kept/c1".to_owned()),
        "{:?}",
        node.state()
    );
    node.forget_order();
    // A later command of another, plain pod tries again after its own work.
    node.call_for("c2", "ADD", &node.plain()).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "DEL one net1"]);
    node.recover("one", "DEL");
    node.forget_order();
    node.call_for("c2", "DEL", &node.plain()).ok();
    assert_eq!(node.order(), ["DEL primary eth0", "DEL one net1"]);
    assert_eq!(
        node.env_of("DEL", "one", "net1", "CNI_CONTAINERID")
            .unwrap(),
        "c1"
    );
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn del_of_a_sandbox_whose_rest_is_kept_succeeds_without_calling_the_default_network_again() {
    let (node, conf) = orphaned();
    node.fail("one", "DEL", 5, "stuck");
    for _ in 0..3 {
        node.call("DEL", &conf).error();
    }
    node.call("DEL", &conf).ok();
    node.forget_order();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL one net1"]);
}

#[test]
fn a_secondary_of_the_configuration_that_never_deletes_does_not_block_the_del_of_a_sandbox_without_record()
 {
    let node = Node::new();
    let conf = node.conf(&json!({"clusterNetwork": null, "delegates": [
        {"cniVersion": "1.0.0", "name": "inline", "type": "primary"},
        {"cniVersion": "1.0.0", "name": "extra", "type": "one"}
    ]}));
    node.fail("one", "DEL", 5, "stuck");
    for _ in 0..3 {
        node.call("DEL", &conf).error();
    }
    node.call("DEL", &conf).ok();
    assert!(
        node.state().contains(&"kept/c1".to_owned()),
        "{:?}",
        node.state()
    );
}

#[test]
fn an_error_of_the_default_network_is_always_returned() {
    let (node, conf) = orphaned();
    node.fail("primary", "DEL", 11, "busy");
    for _ in 0..5 {
        let (code, msg, _) = node.call("DEL", &conf).error();
        assert_eq!(code, 11);
        assert!(msg.contains("network cbr0 on eth0"), "{msg}");
    }
    node.recover("primary", "DEL");
    node.call("DEL", &conf).ok();
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn a_corrupt_record_is_set_aside_and_libcnis_cache_takes_its_place() {
    let (node, conf) = orphaned();
    let record = node.path("state/journal/c1");
    let mut bytes = fs::read(&record).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&record, bytes).unwrap();
    let answer = node.call("DEL", &conf).ok();
    assert!(
        answer.stderr.contains("state/journal/c1"),
        "{}",
        answer.stderr
    );
    let mut order = node.order();
    assert_eq!(order.pop().unwrap(), "DEL primary eth0");
    order.sort();
    assert_eq!(order, ["DEL one net1", "DEL two net2"]);
    assert_eq!(left(&node), ["damaged/c1"]);
}

#[test]
fn a_del_with_a_corrupt_record_that_is_killed_is_completed_by_the_next_one() {
    let (node, conf) = orphaned();
    fs::write(node.path("state/journal/c1"), "{}").unwrap();
    node.behave("one", "DEL", "kill -9 $PPID; exit 0\n");
    node.call("DEL", &conf);
    node.recover("one", "DEL");
    node.forget_order();
    node.call("DEL", &conf).ok();
    let order = node.order();
    assert!(order.contains(&"DEL one net1".to_owned()), "{order:?}");
    assert_eq!(left(&node), ["damaged/c1"]);
}

#[test]
fn a_corrupt_record_and_no_cache_still_deletes_the_default_network() {
    let (node, conf) = orphaned();
    fs::write(node.path("state/journal/c1"), "").unwrap();
    fs::remove_dir_all(node.path("state/results")).unwrap();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL primary eth0"]);
    assert_eq!(left(&node), ["damaged/c1"]);
}

#[test]
fn a_damaged_result_cache_does_not_stop_del() {
    let (node, conf) = orphaned();
    for file in ["cbr0-c1-eth0", "one-c1-net1"] {
        fs::write(node.path("state/results").join(file), "{").unwrap();
    }
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), REVERSE);
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn row_39_a_sandbox_of_go_multus_is_deleted_in_reverse_order_from_its_cache_file() {
    let node = Node::new();
    // base64 of {"cniVersion":"1.0.0","name":"cbr0","type":"primary"} and of the same for n and one.
    let file = json!([
        {"Conf": {"ipam": {}}, "ConfList": {}, "Name": "",
            "Bytes": "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoiY2JyMCIsInR5cGUiOiJwcmltYXJ5In0="},
        {"Conf": {"ipam": {}}, "ConfList": {}, "Name": "d/n", "macRequest": "02:00:00:00:00:01",
            "Bytes": "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibiIsInR5cGUiOiJvbmUifQ=="},
    ]);
    node.write("state/c1", &file.to_string());
    node.call("DEL", &node.plain()).ok();
    assert_eq!(node.order(), ["DEL one net1", "DEL primary eth0"]);
    assert!(node.state().is_empty(), "{:?}", node.state());
}

#[test]
fn a_sandbox_of_go_multus_that_fails_is_recorded_as_ours() {
    let node = Node::new();
    let bytes = "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibiIsInR5cGUiOiJvbmUifQ==";
    node.write(
        "state/c1",
        &json!([{"Name": "d/n", "Bytes": bytes}]).to_string(),
    );
    node.fail("one", "DEL", 5, "stuck");
    node.call("DEL", &node.plain()).error();
    assert_eq!(node.state(), ["journal/c1"]);
    node.recover("one", "DEL");
    node.call("DEL", &node.plain()).ok();
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn what_go_multus_left_of_a_sandbox_is_undone_before_its_next_add() {
    let node = Node::new();
    let bytes = "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibiIsInR5cGUiOiJvbmUifQ==";
    node.write(
        "state/c1",
        &json!([{"Name": "d/n", "ifnameRequest": "net1", "Bytes": bytes}]).to_string(),
    );
    node.call("ADD", &node.plain()).ok();
    assert_eq!(node.order(), ["DEL one net1", "ADD primary eth0"]);
    assert!(!node.path("state/c1").exists());
}

#[test]
fn a_plain_pod_in_a_sandbox_of_which_something_is_kept_is_recorded_so_that_del_reaches_it() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    node.fail("one", "DEL", 5, "stuck");
    for _ in 0..3 {
        node.call("DEL", &node.asking()).error();
    }
    node.call("DEL", &node.asking()).ok();
    node.call("ADD", &node.plain()).ok();
    node.forget_order();
    node.call("DEL", &node.plain()).ok();
    assert_eq!(node.order()[0], "DEL primary eth0");
}

#[test]
fn row_70_a_plugin_killed_between_two_delegates_leaves_a_record_from_which_del_cleans_up() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.behave("one", "ADD", "kill -9 $PPID; exit 0\n");
    let answer = node.call("ADD", &node.asking());
    assert!(
        !answer.success && answer.stdout.is_empty(),
        "it was killed: {answer:?}"
    );
    node.forget_order();
    node.call("DEL", &node.asking()).ok();
    assert_eq!(node.order(), REVERSE);
    assert!(left(&node).is_empty(), "{:?}", left(&node));
}

#[test]
fn row_70_an_add_does_not_wait_long_for_another_command_on_its_sandbox() {
    let (node, _sandbox, _daemon) = planned(&three());
    let journal = multus_plugin::journal::Journal::new(&node.path("state"));
    let other = journal
        .lock_sandbox("c1", std::time::Duration::ZERO)
        .unwrap();
    let (code, msg, _) = node.call("ADD", &node.asking()).error();
    assert_eq!(code, 11);
    assert!(msg.contains("another command"), "{msg}");
    assert!(node.order().is_empty());
    node.call_for("c2", "ADD", &node.asking()).ok();
    drop(other);
    node.call("ADD", &node.asking()).ok();
}
