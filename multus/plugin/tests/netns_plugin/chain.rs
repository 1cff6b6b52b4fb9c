//! The auxiliary chain and the plugin `passthru`.

use std::fs;

use serde_json::{Value, json};

use crate::add::{planned, three};
use crate::node::Node;

/// Gives the node a chain `vendor` of one plugin, `tuning`, and returns `conf` with it.
fn with_chain(node: &Node, mut conf: Value) -> Value {
    fs::copy(node.path("bin/one"), node.path("bin/tuning")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_multus"), node.path("bin/passthru")).unwrap();
    node.write("conf/vendor/10-tuning.conf", r#"{"type":"tuning"}"#);
    conf["auxiliaryCNIChainName"] = json!("vendor");
    conf
}

#[test]
fn row_60_the_chain_runs_after_all_networks_from_an_empty_result_and_is_deleted_first() {
    let (node, _sandbox, daemon) = planned(&three());
    let conf = with_chain(&node, node.asking());
    let result = node.call("ADD", &conf).ok().json();
    assert_eq!(result["ips"][0]["address"], "10.1.0.5/24");
    let added = [
        "ADD primary eth0",
        "ADD one net1",
        "ADD two net2",
        "ADD tuning net3",
    ];
    assert_eq!(node.order(), added);
    let stdin = node.stdin_of("ADD", "tuning", "net3");
    assert_eq!(stdin["name"], "vendor");
    assert_eq!(stdin["prevResult"]["cniVersion"], "1.0.0");
    assert!(stdin["prevResult"].get("ips").is_none(), "{stdin}");
    let report = &daemon.asked("/report")[0]["attachments"];
    assert_eq!(report[3]["name"], "vendor");
    node.forget_order();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order()[..2], ["DEL tuning net3", "DEL two net2"]);
}

#[test]
fn row_60_a_plain_pod_gets_the_chain_without_a_daemon_and_its_del_needs_no_chain_file() {
    let (node, _sandbox, daemon) = planned(&three());
    let conf = with_chain(&node, node.plain());
    node.call("ADD", &conf).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "ADD tuning net1"]);
    assert!(daemon.asked("/plan").is_empty());
    fs::remove_dir_all(node.path("conf/vendor")).unwrap();
    node.forget_order();
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL tuning net1", "DEL primary eth0"]);
}

#[test]
fn row_60_a_chain_that_cannot_be_loaded_fails_add_before_anything_is_attached_and_no_del() {
    let (node, _sandbox, _daemon) = planned(&three());
    let conf = with_chain(&node, node.plain());
    node.write("conf/vendor/20-bad.conf", "{");
    let (code, msg, _) = node.call("ADD", &conf).error();
    assert!(code == 7 && msg.contains("20-bad.conf"), "{msg}");
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL primary eth0"]);
}

#[test]
fn row_60_the_program_is_passthru_under_that_name() {
    let (mut node, _sandbox, _daemon) = planned(&three());
    let _chain = with_chain(&node, json!({}));
    node.program = node.path("bin/passthru");
    for version in ["0.3.0", "0.4.0", "1.0.0", "1.1.0"] {
        let conf = json!({"cniVersion": version, "name": "x", "type": "passthru"});
        let result = node.call("ADD", &conf).ok().json();
        assert_eq!(result["cniVersion"], version);
        assert!(result.get("ips").is_none(), "{result}");
        node.call("DEL", &conf).ok();
    }
    let old = json!({"cniVersion": "0.2.0", "name": "x", "type": "passthru"});
    assert_eq!(node.call("ADD", &old).error().0, 1);
    let versions = node.call("VERSION", &json!({})).ok().json();
    assert_eq!(versions["supportedVersions"][0], "0.3.0");
}
