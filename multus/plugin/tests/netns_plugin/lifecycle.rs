//! The way in, out, and what an admin does by hand.

use std::fs;
use std::process::Command;

use multus_plugin::lifecycle::generated::Settings;
use multus_plugin::lifecycle::heal::heal;
use multus_plugin::lifecycle::intent::{Installation, Intent, Store, UninstallPolicy};
use serde_json::{Map, Value, json};

use crate::add::{planned, three};
use crate::node::Node;

/// Installs as the daemon does, with this intent; returns the store.
fn installed(node: &Node, intent: Intent, policy: UninstallPolicy) -> Store {
    let store = Store::new(&node.path("state"));
    let mut installation = Installation {
        intent: Intent::Serve,
        uninstall_policy: policy,
        conf_dir: node.path("conf"),
        conf_file: "00-multus.conflist".into(),
        programs: vec![node.path("bin/multus")],
        settings: serde_json::Map::new(),
    };
    node.conf(&json!({}));
    node.program_in_bin("multus", "#!/bin/sh\n");
    store.write(&installation).unwrap();
    heal(&store, &node.path("conf"), &Settings::of(&Map::new())).unwrap();
    installation.intent = intent;
    store.write(&installation).unwrap();
    store
}

/// The generated configuration for this pod, as a runtime hands it over, with this test's folders.
fn generated(node: &Node, annotations: &Value) -> Value {
    let text = fs::read_to_string(node.path("conf/00-multus.conflist")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let mut conf = node.conf_with_annotations(annotations);
    conf["type"] = list["plugins"][0]["type"].clone();
    conf["clusterNetwork"] = list["plugins"][0]["clusterNetwork"].clone();
    conf
}

fn admin(node: &Node, words: &[&str]) -> (bool, String) {
    let output = Command::new(&node.program)
        .env_clear()
        .args(words)
        .arg("--cni-dir")
        .arg(node.path("state"))
        .arg("--cni-path")
        .arg(node.path("bin"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn i1_the_generated_configuration_serves_a_plain_pod_and_its_del_with_the_programs_alone() {
    let node = Node::new();
    installed(&node, Intent::Serve, UninstallPolicy::Block);
    let conf = generated(&node, &json!(null));
    node.call("ADD", &conf).ok();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "DEL primary eth0"]);
}

#[test]
fn a_primary_whose_file_is_away_serves_pods_all_the_same() {
    let node = Node::new();
    installed(&node, Intent::Serve, UninstallPolicy::Block);
    let conf = generated(&node, &json!({}));
    for broken in [None, Some(""), Some("{")] {
        let primary = node.path("conf/10-primary.conflist");
        match broken {
            None => fs::remove_file(&primary).unwrap(),
            Some(text) => fs::write(&primary, text).unwrap(),
        }
        node.forget_order();
        node.call("ADD", &conf).ok();
        node.call("DEL", &conf).ok();
        assert_eq!(
            node.order(),
            ["ADD primary eth0", "DEL primary eth0"],
            "{broken:?}"
        );
    }
}

#[test]
fn a_default_network_that_nobody_can_find_does_not_block_del_for_ever() {
    let node = Node::new();
    let conf = node.conf(&json!({"clusterNetwork": node.path("conf/99-gone.conflist")}));
    for _ in 0..3 {
        let (code, msg, _) = node.call("DEL", &conf).error();
        assert_eq!(code, 11, "{msg}");
        assert!(!msg.contains("no such file"), "{msg}");
    }
    let answer = node.call("DEL", &conf).ok();
    assert!(
        answer.stderr.contains("given up after 3 tries"),
        "{answer:?}"
    );
    node.call("DEL", &conf).error();
}

#[test]
fn a_default_network_that_comes_back_is_deleted_and_the_count_of_tries_goes() {
    let node = Node::new();
    let primary = node.path("conf/99-late.conflist");
    let conf = node.conf(&json!({"clusterNetwork": primary}));
    node.call("DEL", &conf).error();
    fs::copy(node.path("conf/10-primary.conflist"), &primary).unwrap();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL primary eth0"]);
    assert!(
        !node.state().iter().any(|file| file.starts_with("journal/")),
        "{:?}",
        node.state()
    );
}

#[test]
fn while_draining_plain_pods_are_served_and_others_refused_with_the_reason() {
    let node = Node::new();
    installed(&node, Intent::Drain, UninstallPolicy::Block);
    // A DEL that finds no record would leave at once.
    node.write("state/kept/x", "{}");
    let plain = generated(&node, &json!({}));
    node.call("ADD", &plain).ok();
    let asking = generated(&node, &json!({"k8s.v1.cni.cncf.io/networks": "one"}));
    let (code, msg, details) = node.call("ADD", &asking).error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"));
    assert!(msg.contains("being removed"), "{msg}");
    assert_eq!(node.order(), ["ADD primary eth0"]);
}

#[test]
fn while_draining_the_auxiliary_chain_is_left_out_or_its_record_would_keep_multus_for_ever() {
    let node = Node::new();
    installed(&node, Intent::Drain, UninstallPolicy::Block);
    node.write("state/kept/x", "{}");
    node.write("conf/vendor/a.conf", r#"{"type":"one"}"#);
    let mut plain = generated(&node, &json!({}));
    plain["auxiliaryCNIChainName"] = json!("vendor");
    node.call("ADD", &plain).ok();
    assert_eq!(node.order(), ["ADD primary eth0"]);
}

#[test]
fn while_draining_with_primary_only_every_pod_gets_the_default_network() {
    let node = Node::new();
    installed(&node, Intent::Drain, UninstallPolicy::PrimaryOnly);
    let asking = generated(&node, &json!({"k8s.v1.cni.cncf.io/networks": "one"}));
    node.call("ADD", &asking).ok();
    assert_eq!(node.order(), ["ADD primary eth0"]);
}

#[test]
fn row_64_the_del_of_the_last_sandbox_of_a_draining_node_removes_configuration_program_and_state() {
    let (node, _sandbox, _daemon) = planned(&three());
    let store = installed(&node, Intent::Serve, UninstallPolicy::Block);
    let conf = generated(&node, &json!({"k8s.v1.cni.cncf.io/networks": "one,two"}));
    node.call("ADD", &conf).ok();
    let mut installation = store.read().unwrap().unwrap();
    installation.intent = Intent::Drain;
    store.write(&installation).unwrap();
    node.call_for("plain", "DEL", &generated(&node, &json!({})))
        .ok();
    assert!(node.path("conf/00-multus.conflist").exists());
    node.fail("two", "DEL", 7, "busy");
    node.call("DEL", &conf).error();
    assert!(node.path("conf/00-multus.conflist").exists());
    node.recover("two", "DEL");
    node.call("DEL", &conf).ok();
    for gone in ["conf/00-multus.conflist", "bin/multus", "state"] {
        assert!(!node.path(gone).exists(), "{gone}");
    }
    assert!(node.path("conf/10-primary.conflist").exists());
}

#[test]
fn uninstall_by_hand_leaves_at_once_or_says_what_it_waits_for() {
    let (node, _sandbox, _daemon) = planned(&three());
    let (done, text) = admin(&node, &["uninstall"]);
    assert!(!done && text.contains("not installed"), "{text}");
    installed(&node, Intent::Serve, UninstallPolicy::Block);
    let conf = generated(&node, &json!({"k8s.v1.cni.cncf.io/networks": "one,two"}));
    node.call("ADD", &conf).ok();
    let (done, text) = admin(&node, &["uninstall"]);
    assert!(
        !done && text.contains("1 sandboxes") && text.contains("c1"),
        "{text}"
    );
    node.call("DEL", &conf).ok();
    assert!(!node.path("state").exists());
    installed(&node, Intent::Serve, UninstallPolicy::Block);
    let (done, text) = admin(&node, &["uninstall"]);
    assert!(done && text.contains("has left"), "{text}");
}

#[test]
fn repair_deletes_what_is_kept_and_tells_what_it_would_do() {
    let (node, _sandbox, _daemon) = planned(&three());
    let conf = node.asking();
    node.call("ADD", &conf).ok();
    node.fail("two", "DEL", 7, "busy");
    for _ in 0..3 {
        node.call("DEL", &conf).error();
    }
    node.call("DEL", &conf).ok();
    assert!(node.state().contains(&"kept/c1".to_owned()));
    let (done, text) = admin(&node, &["repair", "--dry-run"]);
    assert!(
        done && text.contains("would delete d/two on net2"),
        "{text}"
    );
    let (done, text) = admin(&node, &["repair"]);
    assert!(
        !done && text.contains("could not delete all") && text.contains("busy"),
        "{text}"
    );
    node.recover("two", "DEL");
    let (done, text) = admin(&node, &["repair"]);
    assert!(done && text.contains("deleted d/two on net2"), "{text}");
    let (done, text) = admin(&node, &["repair"]);
    assert!(done && text.contains("nothing to repair"), "{text}");
}
