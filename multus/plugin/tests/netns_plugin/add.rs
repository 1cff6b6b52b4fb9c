//! ADD of a plan: order, what each delegate is given, the record, undo.

use host::netlink::create::NewLink;
use host::testing::netns::TestNetNs;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Reply, accepted, plan, primary, secondary};
use crate::node::Node;

/// A node with a namespace and a daemon that plans these attachments.
pub(crate) fn planned(attachments: &[Value]) -> (Node, TestNetNs, Daemon) {
    planned_with(plan(attachments), accepted())
}

pub(crate) fn planned_with(plan: Reply, report: Reply) -> (Node, TestNetNs, Daemon) {
    let mut node = Node::new();
    let sandbox = host::testing::netns::fresh();
    node.netns = sandbox.netns.path().display().to_string();
    let daemon = Daemon::start(&node.path("run/multus.sock"), plan, report);
    (node, sandbox, daemon)
}

pub(crate) fn three() -> [Value; 3] {
    [
        primary(),
        secondary("one", "net1"),
        secondary("two", "net2"),
    ]
}

#[test]
fn attachments_are_made_in_order_and_the_default_networks_result_is_returned() {
    let (node, _sandbox, daemon) = planned(&three());
    node.behave(
        "one",
        "ADD",
        r#"echo '{"cniVersion":"1.0.0","interfaces":[{"name":"net1"}],"ips":[]}'; exit 0"#,
    );
    let result = node.call("ADD", &node.asking()).ok().json();
    assert_eq!(result["ips"][0]["address"], "10.1.0.5/24");
    assert_eq!(
        node.order(),
        ["ADD primary eth0", "ADD one net1", "ADD two net2"]
    );
    let report = &daemon.asked("/report")[0];
    let names: Vec<_> = report["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["name"])
        .collect();
    assert_eq!(names, ["cbr0", "d/one", "d/two"]);
    assert_eq!(report["attachments"][1]["result"]["cniVersion"], "1.1.0");
    assert_eq!(report["pod"]["uid"], "u-of-api");
    assert!(report.get("error").is_none());
}

#[test]
fn the_daemon_is_asked_with_annotations_configuration_and_the_default_network_of_the_host() {
    let (node, _sandbox, daemon) = planned(&three());
    let conf = node.asking();
    node.call("ADD", &conf).ok();
    let request = &daemon.asked("/plan")[0];
    assert_eq!(request["version"], 1);
    assert_eq!(
        request["pod"],
        json!({"namespace": "d", "name": "p", "uid": "u"})
    );
    assert_eq!(
        request["annotations"],
        json!({"k8s.v1.cni.cncf.io/networks": "one,two"})
    );
    assert_eq!(request["config"], conf);
    assert_eq!(request["primary"]["name"], "cbr0");
    assert_eq!(request["primary"]["config"]["plugins"][0]["kept"], 1.5);
}

#[test]
fn a_delegate_gets_declared_capabilities_the_pods_identity_and_its_own_arguments_on_add_only() {
    let mut one = secondary("one", "net1");
    one["cni_args"] = json!([["MAC", "02:00:00:00:00:09"], ["EXTRA", "c"]]);
    let (node, _sandbox, _daemon) = planned(&[primary(), one]);
    node.call("ADD", &node.asking()).ok();
    node.call("DEL", &node.asking()).ok();
    let stdin = node.stdin_of("ADD", "one", "net1");
    assert_eq!(stdin["runtimeConfig"], json!({"mac": "02:00:00:00:00:09"}));
    let args = |verb: &str| node.env_of(verb, "one", "net1", "CNI_ARGS").unwrap();
    let base = "IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u;EXTRA=";
    assert_eq!(args("ADD"), format!("{base}c;MAC=02:00:00:00:00:09"));
    assert_eq!(args("DEL"), format!("{base}a=b"));
    let stdin = node.stdin_of("DEL", "one", "net1");
    assert_eq!(stdin["runtimeConfig"], json!({"mac": "02:00:00:00:00:09"}));
    assert_eq!(stdin["prevResult"]["interfaces"][0]["name"], "net1");
}

#[test]
fn the_record_is_on_disk_before_the_first_delegate_runs() {
    let (node, _sandbox, _daemon) = planned(&three());
    let records = node.path("state/journal");
    let seen = node.path("seen");
    node.behave(
        "primary",
        "ADD",
        &format!("ls {} > {}\n", records.display(), seen.display()),
    );
    node.call("ADD", &node.asking()).ok();
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "c1\n");
}

#[test]
fn row_44_a_failure_undoes_everything_in_reverse_order_and_leaves_nothing() {
    let (node, _sandbox, daemon) = planned(&three());
    node.fail("two", "ADD", 42, "the switch is on fire");
    let (code, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (42, "DelegateFailed"));
    assert!(
        msg.contains("network d/two on net2") && msg.ends_with("the switch is on fire"),
        "{msg}"
    );
    assert_eq!(
        node.order(),
        [
            "ADD primary eth0",
            "ADD one net1",
            "ADD two net2",
            "DEL two net2",
            "DEL one net1",
            "DEL primary eth0"
        ]
    );
    assert_only_locks_are_left(&node);
    let report = &daemon.asked("/report")[0];
    assert_eq!(report["error"]["attachment"], "d/two");
    assert_eq!(report["error"]["reason"], "DelegateFailed");
    assert_eq!(report["attachments"], json!([]));
}

fn assert_only_locks_are_left(node: &Node) {
    let left: Vec<_> = node
        .state()
        .into_iter()
        .filter(|file| !file.starts_with("lock/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn row_44_a_report_that_is_refused_undoes_everything() {
    let refusal = json!({"code": 7, "msg": "pod has another uid", "details": "AnnotationInvalid"});
    let (node, _sandbox, _daemon) = planned_with(plan(&three()), Reply::Say(400, refusal));
    let (code, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (7, "AnnotationInvalid"));
    assert!(msg.ends_with("pod has another uid"), "{msg}");
    assert_eq!(
        &node.order()[3..],
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
    assert_only_locks_are_left(&node);
}

#[test]
fn a_daemon_that_dies_between_plan_and_report_undoes_everything() {
    let (node, _sandbox, _daemon) = planned(&three());
    let socket = node.path("run/multus.sock");
    node.behave("two", "ADD", &format!("rm {}\n", socket.display()));
    let (code, _, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"));
    assert_eq!(
        &node.order()[3..],
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
}

#[test]
fn row_44_what_undo_cannot_delete_stays_recorded_for_del() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.fail("two", "ADD", 42, "no");
    node.fail("one", "DEL", 5, "stuck");
    let (_, msg, _) = node.call("ADD", &node.asking()).error();
    assert!(
        msg.contains("undo is not complete") && msg.contains("stuck"),
        "{msg}"
    );
    node.recover("one", "DEL");
    node.forget_order();
    node.call("DEL", &node.asking()).ok();
    assert_eq!(node.order(), ["DEL one net1"]);
}

#[test]
fn a_half_done_sandbox_is_undone_before_it_is_added_again() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("ADD", &node.asking()).ok();
    assert_eq!(
        node.order(),
        [
            "DEL two net2",
            "DEL one net1",
            "DEL primary eth0",
            "ADD primary eth0",
            "ADD one net1",
            "ADD two net2"
        ]
    );
}

#[test]
fn row_22_an_interface_name_that_exists_is_refused_and_that_interface_survives() {
    let (node, sandbox, _daemon) = planned(&three());
    let mut netlink = sandbox.netns.netlink().unwrap();
    netlink.create_link("net1", NewLink::Bridge).unwrap();
    let (code, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (7, "InterfaceExists"));
    assert!(msg.contains("interface name net1 already exists"), "{msg}");
    // The delegate of that network never ran, and its DEL would hit an interface that is not its own.
    assert_eq!(node.order(), ["ADD primary eth0", "DEL primary eth0"]);
}

#[test]
fn a_pod_that_turns_out_to_have_the_default_network_only_is_reported_and_not_recorded() {
    let (node, _sandbox, daemon) = planned(&[primary()]);
    let conf = node.conf(&json!({}));
    let config = primary()["config"].to_string();
    node.write("conf/10-primary.conflist", &config);
    let (records, seen) = (node.path("state/journal"), node.path("seen"));
    let script = format!("ls {} > {} 2>&1\n", records.display(), seen.display());
    node.behave("primary", "ADD", &script);
    node.call("ADD", &conf).ok();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("No such file"), "{seen}");
    assert_eq!(daemon.asked("/report")[0]["attachments"][0]["name"], "cbr0");
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "DEL primary eth0"]);
}

#[test]
fn another_default_network_than_the_configured_one_is_recorded() {
    let mut other = secondary("one", "eth0");
    other["default"] = json!(true);
    let (node, _sandbox, _daemon) = planned(&[other]);
    node.call("ADD", &node.asking()).ok();
    node.call("DEL", &node.asking()).ok();
    assert_eq!(node.order(), ["ADD one eth0", "DEL one eth0"]);
}

#[test]
fn a_plan_with_one_interface_name_twice_is_refused_before_any_delegate() {
    let (node, _sandbox, _daemon) = planned(&[primary(), secondary("one", "eth0")]);
    let (_, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!(details, "InterfaceExists");
    assert!(msg.contains("cbr0 and d/one"), "{msg}");
    assert!(node.order().is_empty());
}

#[test]
fn a_namespace_that_is_not_there_is_refused_before_any_delegate() {
    let (mut node, _sandbox, _daemon) = planned(&three());
    node.netns = node.path("netns/gone").display().to_string();
    assert_eq!(node.call("ADD", &node.asking()).error().0, 8);
    assert!(node.order().is_empty());
    assert_only_locks_are_left(&node);
}

#[test]
fn row_45_a_pod_that_is_gone_gets_an_empty_result_and_no_delegate() {
    let (node, _sandbox, _daemon) = planned(&[]);
    let result = node.call("ADD", &node.asking()).ok().json();
    assert_eq!(result["ips"][0]["address"], "0.0.0.0/32");
    assert_eq!(result["interfaces"][0]["name"], "eth0");
    assert!(node.order().is_empty());
}

#[test]
fn m12_check_after_a_pod_was_gone_says_what_the_default_network_says_and_del_cleans_up_after_nothing()
 {
    let (node, _sandbox, _daemon) = planned(&[]);
    node.call("ADD", &node.asking()).ok();
    node.fail("primary", "CHECK", 100, "eth0 is not there");
    let mut conf = node.asking();
    conf["prevResult"] = json!({"cniVersion": "1.1.0", "interfaces": [{"name": "eth0"}]});
    let (code, msg, _) = node.call("CHECK", &conf).error();
    assert!(code == 100 && msg.contains("eth0 is not there"), "{msg}");
    node.call("DEL", &node.asking()).ok();
    assert_eq!(node.order(), ["CHECK primary eth0", "DEL primary eth0"]);
    assert_only_locks_are_left(&node);
}

#[test]
fn device_info_is_copied_for_the_delegate_shown_to_the_daemon_and_removed_at_del() {
    let mut node = Node::new();
    let sandbox = host::testing::netns::fresh();
    node.netns = sandbox.netns.path().display().to_string();
    let (source, target) = (
        node.path("devinfo/dp/x.json"),
        node.path("devinfo/cni/d-one-c1_net1"),
    );
    let info = json!({"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:3b:02.1"}});
    node.write("devinfo/dp/x.json", &info.to_string());
    let mut one = secondary("one", "net1");
    one["device_info"] = json!({"source": source, "target": target});
    let daemon = Daemon::start(
        &node.path("run/multus.sock"),
        plan(&[primary(), one]),
        accepted(),
    );
    node.behave(
        "one",
        "ADD",
        &format!("test -r {} || exit 9\n", target.display()),
    );
    node.call("ADD", &node.asking()).ok();
    assert_eq!(
        daemon.asked("/report")[0]["attachments"][1]["device_info"],
        info
    );
    assert!(target.exists());
    node.call("DEL", &node.asking()).ok();
    assert!(!target.exists());
    assert!(source.exists());
}
