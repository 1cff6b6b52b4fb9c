//! Configurations, names and records that would lead out of CNI_PATH and the state folder, if they were followed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host::testing::netns::TestNetNs;
use serde_json::{Value, json};

use crate::add::planned;
use crate::daemon::{Daemon, primary, secondary};
use crate::node::Node;

/// A program beside the folder of delegates that tells when it was run.
fn evil(node: &Node) -> PathBuf {
    let path = node.path("evil");
    let text = format!(
        "#!/bin/sh\ntouch {}\necho '{{}}'\n",
        node.path("pwned").display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Words for it, and words that are no program at all.
fn types(evil: &Path) -> Vec<String> {
    let evil = evil.display().to_string();
    let others = [
        "../evil",
        "./../evil",
        "bin/../../evil",
        "a/b",
        "",
        ".",
        "..",
        "one\0",
        "/bin/sh",
    ];
    others
        .map(str::to_owned)
        .into_iter()
        .chain([evil])
        .collect()
}

const NAMES: [&str; 9] = ["../x", "../../x", "a/b", "/x", "..", ".x", "x\0", "x y", ""];

/// Every file below the node's folder but locks and what calls leave for the test.
fn files(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![node.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(
                    path.strip_prefix(node.path(""))
                        .unwrap()
                        .display()
                        .to_string(),
                );
            }
        }
    }
    found.retain(|file| !file.starts_with("state/lock/") && !file.starts_with("calls/"));
    found.sort();
    found
}

fn nothing_ran(node: &Node, what: &str) {
    assert!(!node.path("pwned").exists(), "{what}");
    assert!(node.order().is_empty(), "{what}: {:?}", node.order());
}

#[test]
fn no_plugin_type_leads_to_a_program_outside_cni_path() {
    for kind in types(Path::new("/bin/true")) {
        for list in [false, true] {
            let (node, _sandbox, _daemon) = with_type(&kind, list);
            let (code, msg, details) = node.call("ADD", &node.asking()).error();
            assert_eq!(
                (code, details.as_str()),
                (7, "NetworkInvalid"),
                "{kind:?}: {msg}"
            );
            nothing_ran(&node, &kind);
            // And DEL of what was never there goes to the default network alone.
            node.call("DEL", &node.asking()).ok();
            assert_eq!(node.order(), ["DEL primary eth0"], "{kind:?}");
        }
    }
}

fn with_type(kind: &str, list: bool) -> (Node, TestNetNs, Daemon) {
    let mut hostile = secondary("one", "net1");
    hostile["config"] = if list {
        json!({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "one"}, {"type": kind}]})
    } else {
        json!({"cniVersion": "1.0.0", "name": "n", "type": kind})
    };
    let (node, sandbox, daemon) = planned(&[primary(), hostile]);
    evil(&node);
    (node, sandbox, daemon)
}

#[test]
fn no_name_of_a_network_or_an_interface_leads_to_a_file_outside_the_state_folder() {
    let names = NAMES.map(|name| ("name", name));
    // A dot in front is no harm at the end of a file's name, where interfaces are.
    let interfaces = NAMES.map(|name| ("ifname", name));
    let interfaces = interfaces.into_iter().filter(|(_, name)| *name != ".x");
    for (key, name) in names.into_iter().chain(interfaces) {
        let mut hostile = secondary("one", "net1");
        match key {
            "name" => hostile["config"]["name"] = json!(name),
            _ => hostile["ifname"] = json!(name),
        }
        let (node, _sandbox, _daemon) = planned(&[primary(), hostile]);
        let conf = node.asking();
        let before = files(&node);
        let (_, msg, details) = node.call("ADD", &conf).error();
        assert_eq!(details, "NetworkInvalid", "{key} {name:?}: {msg}");
        nothing_ran(&node, name);
        assert_eq!(files(&node), before, "{key} {name:?}");
    }
}

#[test]
fn the_name_of_the_default_network_leads_to_no_folder_outside_its_own() {
    for name in NAMES.iter().filter(|name| !name.is_empty()) {
        let node = Node::new();
        node.write("x/evil.conf", r#"{"type":"one"}"#);
        let list = json!({"cniVersion": "1.0.0", "name": name, "plugins": [{"type": "primary"}]});
        node.write("conf/10-primary.conflist", &list.to_string());
        let (_, msg, _) = node.call("ADD", &node.plain()).error();
        nothing_ran(&node, &format!("{name:?}: {msg}"));
        assert!(!node.path("state").exists());
    }
}

#[test]
fn a_container_id_is_no_path() {
    for id in ["../c1", "a/b", ".", "..", ".x", ""] {
        let node = Node::new();
        let conf = node.asking();
        let before = files(&node);
        for verb in ["ADD", "DEL", "CHECK"] {
            assert_eq!(node.call_for(id, verb, &conf).error().0, 4, "{verb} {id:?}");
            nothing_ran(&node, id);
            assert_eq!(files(&node), before, "{verb} {id:?}");
        }
    }
}

/// What Go multus and libcni would have left of one attachment with this configuration.
fn left_by_go(node: &Node, config: &Value) {
    let bytes = STANDARD.encode(config.to_string());
    let good = STANDARD.encode(r#"{"cniVersion":"1.0.0","name":"cbr0","type":"primary"}"#);
    let file = json!([{"Name": "", "Bytes": good}, {"Name": "d/../../x", "Bytes": bytes, "deviceID": "../../x"}]);
    node.write("state/c1", &file.to_string());
}

#[test]
fn state_of_go_multus_with_hostile_texts_is_deleted_without_following_them() {
    let kinds = types(Path::new("/bin/true"))
        .into_iter()
        .map(|kind| json!({"name": "n", "type": kind}));
    let names = NAMES
        .iter()
        .map(|name| json!({"cniVersion": "1.0.0", "name": name, "type": "one"}));
    for config in kinds.chain(names) {
        let node = Node::new();
        evil(&node);
        left_by_go(&node, &config);
        node.call("DEL", &node.plain()).ok();
        assert!(!node.path("pwned").exists(), "{config}");
        assert_eq!(node.order(), ["DEL primary eth0"], "{config}");
    }
}

#[test]
fn cached_results_with_hostile_names_are_neither_executed_nor_lead_to_other_files() {
    for (network, ifname) in [
        ("../../victim", "net1"),
        ("one", "../../victim"),
        ("../..", "x"),
        ("a/b", "net1"),
    ] {
        let node = Node::new();
        evil(&node);
        let config = json!({"cniVersion": "1.1.0", "name": network, "type": "../evil"}).to_string();
        let cached = json!({"kind": "cniCacheV1", "containerId": "c1", "config": STANDARD.encode(config),
            "ifName": ifname, "networkName": network, "netns": "/x", "result": {"cniVersion": "1.0.0"}});
        node.write("state/results/one-c1-net1", &cached.to_string());
        node.write("victim", "");
        node.write("victim-c1-net1", "");
        // The record is damaged, so that the cache is all there is.
        node.write("state/journal/c1", "{}");
        let conf = node.plain();
        node.call("DEL", &conf).ok();
        assert_eq!(node.order(), ["DEL primary eth0"], "{network} {ifname}");
        node.write(
            "conf/10-primary.conflist",
            r#"{"cniVersion":"1.1.0","name":"cbr0","plugins":[{"type":"primary"}]}"#,
        );
        node.call("GC", &node.conf(&json!({"cni.dev/valid-attachments": []})))
            .ok();
        assert!(!node.path("pwned").exists());
        assert!(node.path("victim").exists() && node.path("victim-c1-net1").exists());
    }
}
