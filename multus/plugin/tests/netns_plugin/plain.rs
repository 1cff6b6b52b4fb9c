//! Plain pods: straight to the default network's plugin, with nobody else involved.

use serde_json::json;

use crate::node::Node;

#[test]
fn a_plain_pod_needs_no_daemon_and_leaves_no_file() {
    let node = Node::new();
    let answer = node.call("ADD", &node.plain()).ok().json();
    assert_eq!(answer["cniVersion"], "1.1.0");
    assert_eq!(answer["ips"][0]["address"], "10.1.0.5/24");
    assert_eq!(node.order(), ["ADD primary eth0"]);
    assert!(node.state().is_empty(), "{:?}", node.state());
    assert!(!node.path("state").exists());
}

#[test]
fn a_plain_pod_with_null_annotations_is_plain_too() {
    let node = Node::new();
    node.call("ADD", &node.conf_with_annotations(&json!(null)))
        .ok();
    assert_eq!(node.order(), ["ADD primary eth0"]);
}

#[test]
fn the_default_network_gets_the_runtimes_capabilities_and_environment_and_its_own_configuration() {
    let node = Node::new();
    node.call("ADD", &node.plain()).ok();
    let stdin = node.stdin_of("ADD", "primary", "eth0");
    assert_eq!(stdin["name"], "cbr0");
    assert_eq!(stdin["cniVersion"], "1.0.0");
    assert_eq!(
        stdin["runtimeConfig"],
        json!({"portMappings": [{"hostPort": 80, "containerPort": 80}]})
    );
    let env = |name: &str| node.env_of("ADD", "primary", "eth0", name).unwrap();
    assert_eq!(env("OF_THE_RUNTIME"), "kept");
    assert_eq!(env("CNI_CONTAINERID"), "c1");
    let path = format!(
        "{}:{}",
        node.path("bin").display(),
        node.path("other-bin").display()
    );
    assert_eq!(env("CNI_PATH"), path);
    assert_eq!(
        env("CNI_ARGS"),
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u;EXTRA=a=b"
    );
}

#[test]
fn a_pod_whose_annotations_are_unknown_is_refused_while_the_daemon_is_down() {
    let node = Node::new();
    let (code, msg, details) = node.call("ADD", &node.conf(&json!({}))).error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"), "{msg}");
    assert!(node.order().is_empty());
}

#[test]
fn an_annotated_pod_is_refused_with_the_reason_while_the_daemon_is_down_and_a_plain_one_runs() {
    let node = Node::new();
    let (code, msg, details) = node.call("ADD", &node.asking()).error();
    assert_eq!((code, details.as_str()), (11, "DaemonNotReady"));
    assert!(
        msg.contains("pod d/p") && msg.contains("multus.sock"),
        "{msg}"
    );
    assert!(
        node.order().is_empty(),
        "no network at all rather than a part"
    );
    node.call_for("c2", "ADD", &node.plain()).ok();
    assert_eq!(node.order(), ["ADD primary eth0"]);
}

#[test]
fn default_networks_make_a_quiet_pod_ask() {
    let node = Node::new();
    let mut conf = node.plain();
    conf["defaultNetworks"] = json!(["extra"]);
    assert_eq!(node.call("ADD", &conf).error().2, "DaemonNotReady");
}

#[test]
fn the_plugin_answers_to_its_other_name() {
    let mut node = Node::new();
    let other = node.path("multus-shim");
    std::fs::hard_link(&node.program, &other)
        .or_else(|_| std::fs::copy(&node.program, &other).map(drop))
        .unwrap();
    node.program = other;
    node.call("ADD", &node.plain()).ok();
    node.call("DEL", &node.plain()).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "DEL primary eth0"]);
}

#[test]
fn del_of_a_plain_pod_goes_to_the_default_network_with_the_runtimes_result() {
    let node = Node::new();
    let result = node.call("ADD", &node.plain()).ok().json();
    let mut conf = node.plain();
    conf["prevResult"] = result;
    node.call("DEL", &conf).ok();
    node.call("DEL", &conf).ok();
    assert_eq!(
        node.order(),
        ["ADD primary eth0", "DEL primary eth0", "DEL primary eth0"]
    );
    let stdin = node.stdin_of("DEL", "primary", "eth0");
    assert_eq!(stdin["prevResult"]["cniVersion"], "1.0.0");
    assert_eq!(stdin["prevResult"]["ips"][0]["address"], "10.1.0.5/24");
    assert!(node.state().is_empty(), "{:?}", node.state());
}

#[test]
fn a_failed_plain_add_is_undone_and_keeps_the_delegates_code() {
    let node = Node::new();
    node.fail("primary", "ADD", 117, "no addresses left");
    let (code, msg, details) = node.call("ADD", &node.plain()).error();
    assert_eq!((code, details.as_str()), (117, "DelegateFailed"));
    assert!(
        msg.contains("network cbr0 on eth0") && msg.ends_with("no addresses left"),
        "{msg}"
    );
    assert_eq!(node.order(), ["ADD primary eth0", "DEL primary eth0"]);
}

#[test]
fn row_46_inline_delegates_are_all_attached_and_recorded_without_a_daemon() {
    let mut node = Node::new();
    let sandbox = host::testing::netns::fresh();
    node.netns = sandbox.netns.path().display().to_string();
    let delegate = |kind: &str| json!({"cniVersion": "1.0.0", "name": kind, "type": kind});
    let conf = node.conf(&json!({
        "clusterNetwork": null, "daemonSocketDir": null, "capabilities": null, "type": "multus",
        "delegates": [delegate("primary"), delegate("one")],
    }));
    node.call("ADD", &conf).ok();
    node.call("DEL", &conf).ok();
    assert_eq!(
        node.order(),
        [
            "ADD primary eth0",
            "ADD one net1",
            "DEL one net1",
            "DEL primary eth0"
        ]
    );
}

#[test]
fn a_default_network_that_is_multus_itself_is_refused() {
    let node = Node::new();
    let conf = node.conf(&json!({
        "clusterNetwork": null,
        "delegates": [{"name": "x", "type": "multus-shim"}],
        "runtimeConfig": {"io.kubernetes.cri.pod-annotations": null},
    }));
    let (code, msg, details) = node.call("ADD", &conf).error();
    assert_eq!((code, details.as_str()), (7, "NetworkInvalid"));
    assert!(msg.contains("multus itself"), "{msg}");
}

#[test]
fn row_11_add_does_not_wait_for_the_readiness_file() {
    let node = Node::new();
    let mut conf = node.plain();
    conf["readinessindicatorfile"] = json!(node.path("ready"));
    assert_eq!(node.call("ADD", &conf).error().2, "PrimaryNotReady");
    assert!(node.order().is_empty());
    node.write("ready", "");
    node.call("ADD", &conf).ok();
}
