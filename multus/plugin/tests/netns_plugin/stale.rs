//! What nobody comes for: records of sandboxes that are gone, and damaged ones of what is kept.

use std::fs;

use multus_plugin::journal::Record;
use serde_json::json;

use crate::add::{planned, three};
use crate::gc::age;
use crate::node::Node;

/// Changes the record of a sandbox.
fn change(node: &Node, container: &str, change: impl FnOnce(&mut Record)) {
    let path = node.path("state/journal").join(container);
    let mut record = Record::parse(&fs::read(&path).unwrap()).unwrap();
    change(&mut record);
    fs::write(&path, record.to_bytes().unwrap()).unwrap();
}

#[test]
fn row_4_the_record_of_a_sandbox_that_is_gone_is_collected_by_a_later_add_or_del() {
    for verb in ["ADD", "DEL"] {
        let (node, _sandbox, _daemon) = planned(&three());
        node.call_for("gone", "ADD", &node.asking()).ok();
        age(&node, "gone");
        node.forget_order();
        node.call_for("other", verb, &node.plain()).ok();
        let own = format!("{verb} primary eth0");
        let order = [&own, "DEL two net2", "DEL one net1", "DEL primary eth0"];
        assert_eq!(node.order(), order);
        let netns = node.env_of("DEL", "two", "net2", "CNI_NETNS").unwrap();
        assert!(netns.is_empty(), "{netns}");
        assert!(!node.path("state/journal/gone").exists());
    }
}

#[test]
fn row_4_a_record_that_is_young_or_alive_or_that_the_runtime_deletes_is_left_alone() {
    let (node, _sandbox, _daemon) = planned(&three());
    for id in ["young", "alive", "tried"] {
        node.call_for(id, "ADD", &node.asking()).ok();
    }
    change(&node, "young", |record| record.boot_id = "another".into());
    change(&node, "alive", |record| record.created -= 3600);
    change(&node, "tried", |record| {
        record.boot_id = "another".into();
        record.tried = record.created;
        record.created -= 3600;
    });
    node.forget_order();
    for other in ["a", "b", "c", "d"] {
        node.call_for(other, "DEL", &node.plain()).ok();
    }
    assert_eq!(node.order(), ["DEL primary eth0"; 4]);
}

#[test]
fn what_cannot_be_collected_is_kept_and_replayed() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call_for("gone", "ADD", &node.asking()).ok();
    age(&node, "gone");
    node.fail("two", "DEL", 5, "stuck");
    node.call_for("other", "DEL", &node.plain()).ok();
    assert!(node.path("state/kept/gone").exists());
    assert!(!node.path("state/journal/gone").exists());
    node.recover("two", "DEL");
    node.forget_order();
    node.call_for("other", "DEL", &node.plain()).ok();
    assert_eq!(node.order(), ["DEL primary eth0", "DEL two net2"]);
    assert!(!node.path("state/kept/gone").exists());
}

#[test]
fn one_command_looks_at_a_few_records_only_and_later_ones_at_the_others() {
    let (node, _sandbox, _daemon) = planned(&three());
    let ids: Vec<String> = (0..8).map(|n| format!("gone{n}")).collect();
    for id in &ids {
        node.call_for(id, "ADD", &node.asking()).ok();
    }
    for id in &ids {
        age(&node, id);
    }
    let left = || fs::read_dir(node.path("state/journal")).unwrap().count();
    node.call_for("a", "DEL", &node.plain()).ok();
    assert!((5..8).contains(&left()), "{}", left());
    for n in 0..40 {
        node.call_for(&format!("x{n}"), "DEL", &node.plain()).ok();
    }
    assert_eq!(left(), 0);
}

#[test]
fn a_damaged_record_of_what_is_kept_is_set_aside_and_told_once() {
    let node = Node::new();
    node.write("state/kept/c7", "torn");
    let first = node.call("ADD", &node.plain()).ok();
    assert!(first.stderr.contains("state/kept/c7"), "{first:?}");
    assert_eq!(node.state(), ["damaged/c7"]);
    let second = node.call("ADD", &node.plain()).ok();
    assert!(second.stderr.is_empty(), "{second:?}");
}

#[test]
fn row_14_retry_delete_on_error_changes_nothing_because_nothing_is_forgotten_without_it() {
    for key in [json!(null), json!(false), json!(true)] {
        let (node, _sandbox, _daemon) = planned(&three());
        let mut conf = node.asking();
        conf["retryDeleteOnError"] = key;
        node.call("ADD", &conf).ok();
        node.fail("one", "DEL", 5, "stuck");
        for _ in 0..3 {
            assert_eq!(node.call("DEL", &conf).error().0, 5);
        }
        node.call("DEL", &conf).ok();
        assert!(node.path("state/kept/c1").exists());
    }
}

#[test]
fn row_13_the_log_goes_where_the_keys_say_and_a_refused_file_fails_no_call() {
    let node = Node::new();
    let quiet = node.call("ADD", &node.plain()).ok();
    assert!(quiet.stderr.is_empty(), "{quiet:?}");
    let mut conf = node.plain();
    conf["logLevel"] = json!("debug");
    let told = node.call("ADD", &conf).ok().stderr;
    assert!(told.contains("[verbose] ADD c1 d/p: done"), "{told}");
    conf["logToStderr"] = json!(false);
    assert!(node.call("ADD", &conf).ok().stderr.is_empty());
    conf["logFile"] = json!(node.path("multus.log"));
    let told = node.call("ADD", &conf).ok().stderr;
    assert!(
        told.contains("must be an absolute path below /var/log"),
        "{told}"
    );
    assert!(!node.path("multus.log").exists());
}
