//! Delegates that print nothing, print garbage, hang, or are not there: one clear error each, and undo.

use serde_json::json;

use crate::add::{planned, three};
use crate::node::Node;

fn refused(setup: impl FnOnce(&Node)) -> (Node, u64, String, String) {
    let (node, _sandbox, _daemon) = planned(&three());
    setup(&node);
    let mut conf = node.asking();
    conf["delegateTimeoutSeconds"] = json!(1);
    let (code, msg, details) = node.call("ADD", &conf).error();
    assert!(msg.contains("network d/one on net1"), "{msg}");
    assert_eq!(node.order().last().unwrap(), "DEL primary eth0");
    (node, code, msg, details)
}

#[test]
fn a_delegate_that_prints_nothing_is_named() {
    let (_, _, msg, details) = refused(|node| node.behave("one", "ADD", "exit 0"));
    assert_eq!(details, "DelegateFailed");
    assert!(msg.contains("empty"), "{msg}");
}

#[test]
fn a_delegate_that_prints_garbage_is_named_and_quoted() {
    let (_, _, msg, details) = refused(|node| node.behave("one", "ADD", "echo segfault; exit 0"));
    assert_eq!(details, "DelegateFailed");
    assert!(msg.contains("segfault"), "{msg}");
}

#[test]
fn a_delegate_that_fails_with_garbage_is_named_and_quoted() {
    let (_, code, msg, _) = refused(|node| node.behave("one", "ADD", "echo oops; exit 3"));
    assert_eq!(code, 999);
    assert!(msg.contains("oops"), "{msg}");
}

#[test]
fn a_delegate_that_fails_silently_is_quoted_from_stderr() {
    let (_, _, msg, _) =
        refused(|node| node.behave("one", "ADD", "echo 'out of luck' >&2; exit 3"));
    assert!(msg.contains("out of luck"), "{msg}");
}

#[test]
fn row_70_a_delegate_that_hangs_is_killed_with_its_children_and_undone() {
    let (node, code, _, details) = refused(|node| {
        let pid = node.path("pid");
        node.behave(
            "one",
            "ADD",
            &format!("sleep 600 & echo $! > {}; wait\n", pid.display()),
        );
    });
    assert_eq!((code, details.as_str()), (11, "DelegateTimeout"));
    let pid = std::fs::read_to_string(node.path("pid")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(
        stat.is_empty() || stat.contains(" Z "),
        "still running: {stat}"
    );
}

#[test]
fn a_delegate_that_is_not_there_is_named_with_the_folders_searched() {
    let (node, _sandbox, _daemon) = planned(&three());
    std::fs::remove_file(node.path("bin/one")).unwrap();
    let (_, msg, _) = node.call("ADD", &node.asking()).error();
    assert!(msg.contains("\"one\"") && msg.contains("/bin"), "{msg}");
}

#[test]
fn a_reason_that_a_delegate_gives_in_its_details_is_passed_on() {
    let (_, code, _, details) = refused(|node| {
        let error = json!({"code": 106, "msg": "vf is taken", "details": "VFInUse: by d/other"});
        node.behave("one", "ADD", &format!("echo '{error}'; exit 1\n"));
    });
    assert_eq!((code, details.as_str()), (106, "VFInUse: by d/other"));
}
