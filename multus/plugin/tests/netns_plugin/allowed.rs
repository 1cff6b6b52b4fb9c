//! `allowedPlugins`, enforced by the plugin whatever the plan was made of.

use serde_json::{Value, json};

use crate::add::{planned, three};
use crate::node::Node;

fn allowing(node: &Node, types: &[&str]) -> Value {
    let mut conf = node.asking();
    conf["allowedPlugins"] = json!(types);
    conf
}

#[test]
fn row_68_a_plan_with_a_type_that_is_not_allowed_is_refused_before_anything_runs() {
    let (node, _sandbox, daemon) = planned(&three());
    let conf = allowing(&node, &["one", "primary"]);
    let (code, msg, details) = node.call("ADD", &conf).error();
    assert_eq!((code, details.as_str()), (7, "NetworkInvalid"));
    for word in ["d/two", "\"two\"", "one, primary", "allowedPlugins"] {
        assert!(msg.contains(word), "{word}: {msg}");
    }
    assert!(node.order().is_empty());
    let state = node.state();
    assert!(
        !state.iter().any(|file| file.starts_with("journal/c1")),
        "{state:?}"
    );
    let told = &daemon.asked("/report")[0]["error"];
    assert_eq!(
        (&told["attachment"], &told["reason"]),
        (&json!("d/two"), &json!("NetworkInvalid"))
    );
}

#[test]
fn row_68_the_default_network_of_the_nodes_own_file_needs_no_permission() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &allowing(&node, &["one", "two"])).ok();
    let mut plain = node.plain();
    plain["allowedPlugins"] = json!([]);
    node.call_for("c2", "DEL", &plain).ok();
}

#[test]
fn row_68_a_type_that_is_forbidden_later_is_still_deleted() {
    let (node, _sandbox, _daemon) = planned(&three());
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("DEL", &allowing(&node, &[])).ok();
    assert_eq!(
        node.order(),
        ["DEL two net2", "DEL one net1", "DEL primary eth0"]
    );
}

#[test]
fn row_68_a_default_network_kept_of_a_nad_is_checked_too_and_still_deleted() {
    let mut node = Node::new();
    let sandbox = host::testing::netns::fresh();
    node.netns = sandbox.netns.path().display().to_string();
    node.write(
        "state/primary/kube-system/cbr0.json",
        r#"{"cniVersion":"1.0.0","name":"cbr0","type":"primary"}"#,
    );
    let mut conf = node.plain();
    conf["clusterNetwork"] = json!("cbr0");
    conf["allowedPlugins"] = json!(["other"]);
    assert_eq!(node.call("ADD", &conf).error().2, "NetworkInvalid");
    assert!(node.order().is_empty());
    node.call("DEL", &conf).ok();
    assert_eq!(node.order(), ["DEL primary eth0"]);
}
