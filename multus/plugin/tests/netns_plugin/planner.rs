//! The ways to a planner, and planners that do not do their part.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use serde_json::json;

use crate::add::{planned_with, three};
use crate::daemon::{Reply, accepted, plan};
use crate::node::Node;

#[test]
fn a_refusal_of_the_daemon_is_passed_on_with_code_and_reason() {
    let refusal = json!({"code": 7, "msg": "pod d/p: network d/x does not exist", "details": "NetworkNotFound"});
    let (node, _sandbox, _daemon) = planned_with(Reply::Say(404, refusal), accepted());
    let (code, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (7, "NetworkNotFound"));
    assert!(msg.ends_with("network d/x does not exist"), "{msg}");
    assert!(node.order().is_empty() && node.state().is_empty());
}

#[test]
fn a_daemon_that_never_answers_costs_a_second_and_no_more() {
    let (node, _sandbox, _daemon) = planned_with(Reply::Hang, accepted());
    let (code, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"));
    assert!(msg.contains("no answer in time"), "{msg}");
}

#[test]
fn a_daemon_whose_queue_is_full_does_not_block_the_plugin() {
    let node = Node::new();
    let socket = node.path("run/multus.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    // Nobody accepts: connections queue up until connecting would block.
    let mut queued = Vec::new();
    let (full, is_full) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        loop {
            queued.push(std::os::unix::net::UnixStream::connect(&socket).unwrap());
            full.send(()).unwrap();
        }
    });
    while is_full.recv_timeout(Duration::from_millis(500)).is_ok() {}
    let (code, _, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"));
}

#[test]
fn a_report_that_hangs_undoes_the_add() {
    let (node, _sandbox, _daemon) = planned_with(plan(&three()), Reply::Hang);
    assert_eq!(node.call("ADD", &node.asking()).error().2, "DaemonNotReady");
    assert_eq!(node.order().last().unwrap(), "DEL primary eth0");
}

#[test]
fn something_that_is_no_daemon_is_told_from_one() {
    let (node, _sandbox, _daemon) = planned_with(Reply::Noise, accepted());
    let (code, msg, _) = node.call("ADD", &node.asking()).error();
    assert_eq!(code, 11);
    assert!(msg.contains("not HTTP"), "{msg}");
}

#[test]
fn a_plan_of_another_version_is_refused() {
    let newer = json!({"version": 2, "pod": {"namespace": "d", "name": "p"}, "attachments": []});
    let (node, _sandbox, _daemon) = planned_with(Reply::Say(200, newer), accepted());
    let (code, msg, _) = node.call("ADD", &node.asking()).error();
    assert_eq!(code, 11);
    assert!(msg.contains("version 2"), "{msg}");
}

/// A thin node: no socket, a kubeconfig, and `multus-daemon` in binDir that runs `shell`.
fn thin(shell: &str) -> (Node, host::testing::netns::TestNetNs, serde_json::Value) {
    let mut node = Node::new();
    let sandbox = host::testing::netns::fresh();
    node.netns = sandbox.netns.path().display().to_string();
    let folder = node.path("").display().to_string();
    let script = format!("#!/bin/sh\necho $1 >> {folder}/verbs\ncat > {folder}/$1.json\n{shell}");
    node.program_in_bin("multus-daemon", &script);
    let mut conf = node.conf(&json!({"daemonSocketDir": null, "kubeconfig": "/etc/kubeconfig"}));
    conf["type"] = json!("multus");
    (node, sandbox, conf)
}

#[test]
fn without_a_socket_the_planner_is_a_child_for_plan_and_report() {
    let Reply::Say(_, plan) = plan(&three()) else {
        unreachable!()
    };
    let (node, _sandbox, conf) =
        thin("if [ $1 = plan ]; then cat $(dirname $0)/../plan.answer; fi\n");
    node.write("plan.answer", &plan.to_string());
    // Beside the test's plugin there is another multus-daemon or none; this one must be alone.
    let mut node = node;
    let alone = node.path("alone/multus");
    std::fs::create_dir(node.path("alone")).unwrap();
    std::fs::copy(&node.program, &alone).unwrap();
    node.program = alone;
    node.call("ADD", &conf).ok();
    assert_eq!(
        node.order(),
        ["ADD primary eth0", "ADD one net1", "ADD two net2"]
    );
    assert_eq!(
        std::fs::read_to_string(node.path("verbs")).unwrap(),
        "plan\nreport\n"
    );
    let request: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(node.path("plan.json")).unwrap()).unwrap();
    assert_eq!(request["config"]["kubeconfig"], "/etc/kubeconfig");
}

fn thin_error(shell: &str) -> (u64, String, String) {
    let (mut node, _sandbox, conf) = thin(shell);
    let alone = node.path("alone/multus");
    std::fs::create_dir(node.path("alone")).unwrap();
    std::fs::copy(&node.program, &alone).unwrap();
    node.program = alone;
    if shell.is_empty() {
        std::fs::remove_file(node.path("bin/multus-daemon")).unwrap();
    }
    let error = node.call("ADD", &conf).error();
    assert!(node.order().is_empty());
    error
}

#[test]
fn a_child_that_refuses_gives_code_and_reason() {
    let (code, msg, details) = thin_error(
        "echo '{\"code\":7,\"msg\":\"no such pool\",\"details\":\"PoolNotRequested\"}'; exit 1\n",
    );
    assert_eq!((code, details.as_str()), (7, "PoolNotRequested"));
    assert!(msg.ends_with("no such pool"), "{msg}");
}

#[test]
fn a_child_that_dies_is_quoted_from_stderr() {
    let (code, msg, _) = thin_error("echo 'cannot reach the API' >&2; exit 2\n");
    assert_eq!(code, 11);
    assert!(msg.contains("cannot reach the API"), "{msg}");
}

#[test]
fn a_child_that_hangs_is_killed() {
    let (code, msg, details) = thin_error("sleep 600\n");
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"));
    assert!(msg.contains("no answer in time"), "{msg}");
}

#[test]
fn a_child_that_is_not_installed_is_named_with_the_folder() {
    let (code, msg, _) = thin_error("");
    assert_eq!(code, 11);
    assert!(
        msg.contains("multus-daemon") && msg.contains("/bin"),
        "{msg}"
    );
}
