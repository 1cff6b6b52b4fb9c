//! STATUS and GC.

use super::*;

const NET: &str =
    r#"{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"first"},{"type":"second"}]}"#;

fn node() -> Node {
    let node = Node::new();
    node.prints("first", "{}");
    node.prints("second", "{}");
    node
}

fn add(node: &Node, network: &NetworkList, container_id: &str) {
    let target = Target {
        container_id: container_id.into(),
        ..target()
    };
    node.runtime().add(network, &target).unwrap();
}

fn valid(container_id: &str) -> Attachment {
    Attachment {
        container_id: container_id.into(),
        ifname: "net1".into(),
    }
}

#[test]
fn status_asks_every_plugin_and_returns_the_first_error() {
    let node = node();
    node.runtime().status(&network(NET)).unwrap();
    assert_eq!(node.order(), ["first STATUS", "second STATUS"]);
    assert!(!node.seen()[0].env.contains("CNI_CONTAINERID"));
    node.plugin("first", r#"echo '{"code":50,"msg":"no uplink"}'; exit 1"#);
    let error = node.runtime().status(&network(NET)).unwrap_err();
    assert_eq!(error.code(), 50);
    assert_eq!(error.delegate().unwrap().msg, "no uplink");
    assert_eq!(node.order().len(), 3);
}

#[test]
fn status_below_1_1_asks_nobody() {
    let node = node();
    node.runtime()
        .status(&network(&NET.replace("1.1.0", "1.0.0")))
        .unwrap();
    assert!(node.order().is_empty());
}

#[test]
fn gc_deletes_stale_attachments_and_hands_the_valid_ones_on() {
    let node = node();
    let net = network(NET);
    add(&node, &net, "c1");
    add(&node, &net, "c9");
    let before = node.order().len();
    node.runtime().gc(&net, &[valid("c1")]).unwrap();
    assert_eq!(
        node.order()[before..],
        ["second DEL", "first DEL", "first GC", "second GC"]
    );
    let seen = node.seen();
    assert!(
        seen[before].env.contains("CNI_CONTAINERID=c9 "),
        "{}",
        seen[before].env
    );
    assert!(
        seen[before]
            .env
            .contains("CNI_ARGS=IgnoreUnknown=true;K8S_POD_NAME=p ")
    );
    assert!(seen[before].get("prevResult").is_some());
    let wanted = r#"[{"containerID":"c1","ifname":"net1"}]"#;
    assert_eq!(
        seen[before + 2].get("cni.dev/valid-attachments"),
        Some(wanted)
    );
    assert_eq!(seen[before + 2].get("cni.dev/attachments"), Some(wanted));
    assert!(node.cache_file().exists());
}

#[test]
fn gc_does_not_touch_other_networks() {
    let node = node();
    let other = network(&NET.replace("\"net\"", "\"other\""));
    add(&node, &other, "c1");
    let before = node.order().len();
    node.runtime().gc(&network(NET), &[]).unwrap();
    assert_eq!(node.order()[before..], ["first GC", "second GC"]);
}

#[test]
fn gc_before_any_add_works() {
    let node = node();
    node.runtime().gc(&network(NET), &[]).unwrap();
    assert_eq!(node.order(), ["first GC", "second GC"]);
    assert_eq!(node.seen()[0].get("cni.dev/valid-attachments"), Some("[]"));
}

#[test]
fn gc_below_1_1_deletes_stale_attachments_only() {
    let node = node();
    let net = network(&NET.replace("1.1.0", "0.4.0"));
    add(&node, &net, "c1");
    node.runtime().gc(&net, &[]).unwrap();
    assert_eq!(node.order()[2..], ["second DEL", "first DEL"]);
    assert!(!node.cache_file().exists());
}

#[test]
fn gc_can_be_switched_off() {
    let node = node();
    let net = network(&NET.replacen('{', r#"{"disableGC":true,"#, 1));
    add(&node, &net, "c1");
    node.runtime().gc(&net, &[]).unwrap();
    assert_eq!(node.order().len(), 2);
}

#[test]
fn gc_goes_on_after_errors_and_tells_them_all() {
    let node = node();
    let net = network(NET);
    add(&node, &net, "c1");
    node.plugin("second", r#"echo '{"code":7,"msg":"no"}'; exit 1"#);
    let error = node.runtime().gc(&net, &[]).unwrap_err();
    assert_eq!(node.order()[2..], ["second DEL", "first GC", "second GC"]);
    assert_eq!(error.code(), 7);
    assert_eq!(
        error.to_string(),
        "plugin type=\"second\" name=\"net\" failed (del): no / plugin type=\"second\" name=\"net\" failed (gc): no"
    );
}
