//! CHECK, STATUS, VERSION, and calls that are no calls.

use serde_json::json;

use crate::add::{planned, three};
use crate::node::Node;

#[test]
fn row_2_check_asks_every_recorded_delegate_with_its_own_result() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("CHECK", &node.asking()).ok();
    assert_eq!(
        node.order(),
        ["CHECK primary eth0", "CHECK one net1", "CHECK two net2"]
    );
    assert_eq!(
        node.stdin_of("CHECK", "two", "net2")["prevResult"]["interfaces"][0]["name"],
        "net2"
    );
}

#[test]
fn check_names_the_network_that_is_not_as_it_was() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    node.fail("one", "CHECK", 120, "address is gone");
    let (code, msg, _) = node.call("CHECK", &node.asking()).error();
    assert_eq!(code, 120);
    assert!(
        msg.contains("network d/one on net1") && msg.ends_with("address is gone"),
        "{msg}"
    );
}

#[test]
fn check_of_a_plain_pod_uses_the_runtimes_result() {
    let node = Node::new();
    let result = node.call("ADD", &node.plain()).ok().json();
    let mut conf = node.plain();
    conf["prevResult"] = result;
    node.call("CHECK", &conf).ok();
    assert_eq!(
        node.stdin_of("CHECK", "primary", "eth0")["prevResult"]["ips"][0]["address"],
        "10.1.0.5/24"
    );
}

#[test]
fn row_2_check_passes_over_networks_too_old_for_it() {
    let mut attachments = three();
    attachments[1]["config"]["cniVersion"] = json!("0.3.1");
    let (node, _sandbox, _daemon) = planned(&attachments);
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("CHECK", &node.asking()).ok();
    assert_eq!(node.order(), ["CHECK primary eth0", "CHECK two net2"]);
}

/// A configuration whose default network has STATUS and GC.
fn new_enough(node: &Node) -> serde_json::Value {
    node.write(
        "conf/10-primary.conflist",
        r#"{"cniVersion":"1.1.0","name":"cbr0","plugins":[{"type":"primary"}]}"#,
    );
    node.plain()
}

#[test]
fn row_3_status_asks_the_default_network_only_and_needs_no_daemon() {
    let node = Node::new();
    let conf = new_enough(&node);
    node.call("STATUS", &conf).ok();
    assert_eq!(node.order(), ["STATUS primary "]);
    node.fail("primary", "STATUS", 51, "half the way");
    assert_eq!(node.call("STATUS", &conf).error().0, 51);
    assert!(node.state().is_empty());
}

#[test]
fn row_3_status_of_a_default_network_that_cannot_be_found_is_50_with_the_reason() {
    let node = Node::new();
    let conf = node.conf(&json!({"clusterNetwork": "nowhere"}));
    let (code, msg, details) = node.call("STATUS", &conf).error();
    assert_eq!((code, details.as_str()), (50, "PrimaryNotReady"));
    assert!(msg.contains("nowhere"), "{msg}");
}

#[test]
fn row_1_version_lists_every_version() {
    let node = Node::new();
    let versions = node.call("VERSION", &json!({})).ok().json();
    assert_eq!(
        versions["supportedVersions"],
        json!([
            "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"
        ])
    );
}

#[test]
fn a_configuration_with_a_wrong_type_is_one_clear_error() {
    let node = Node::new();
    let (code, msg, _) = node.call("ADD", &node.conf(&json!({"cniDir": 7}))).error();
    assert_eq!(code, 7);
    assert!(
        msg.contains("multus configuration") && msg.contains("invalid type"),
        "{msg}"
    );
}

#[test]
fn a_configuration_without_a_default_network_says_what_to_set() {
    let node = Node::new();
    let mut conf = node.plain();
    conf.as_object_mut().unwrap().remove("clusterNetwork");
    let (code, msg, _) = node.call("ADD", &conf).error();
    assert_eq!(code, 7);
    assert!(msg.contains("clusterNetwork"), "{msg}");
}
