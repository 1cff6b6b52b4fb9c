//! Networks of namespaces: asked of the API server only where the configuration says so.

use serde_json::{Value, json};

use super::node::{MACVLAN, Node};

/// A request whose plugin's configuration lets namespace `d` give networks; the pod asks for none.
fn request(node: &Node) -> Value {
    let mut request = node.request("p", Some(""));
    request["config"] = node.conf(&json!({"namespaceDefaults": ["d"]}));
    request
}

fn names(plan: &Value) -> Vec<&str> {
    let attachments = plan["attachments"].as_array().unwrap();
    attachments
        .iter()
        .map(|a| a["name"].as_str().unwrap())
        .collect()
}

fn asked(node: &Node) -> Vec<String> {
    let calls = node.api.state().calls.clone();
    let path = "GET /api/v1/namespaces/d?";
    calls
        .into_iter()
        .filter(|call| call.starts_with(path))
        .collect()
}

#[tokio::test]
async fn row_67_the_metadata_of_the_pods_namespace_is_read_and_its_networks_are_attached() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api
        .namespace("d", &json!({"k8s.v1.cni.cncf.io/networks": "a"}));
    let daemon = node.start().await;
    let plan = daemon.plan(&request(&node)).await.ok();
    assert_eq!(names(&plan), ["cbr0", "d/a"]);
    let asked = asked(&node);
    assert!(
        asked.len() == 1 && asked[0].ends_with("(metadata only)"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn row_67_no_namespace_is_asked_for_by_default_so_that_no_right_is_needed() {
    let node = Node::new().await;
    let daemon = node.start().await;
    let plan = daemon.plan(&node.request("p", Some(""))).await.ok();
    assert_eq!(names(&plan), ["cbr0"]);
    assert!(asked(&node).is_empty());
}

#[tokio::test]
async fn row_67_without_the_right_the_pod_is_refused_with_what_to_grant() {
    let node = Node::new().await;
    let daemon = node.start().await;
    let text = daemon.plan(&request(&node)).await.refused("DaemonNotReady");
    for word in [
        "namespace d",
        "grant get on namespaces",
        "namespaceDefaults",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn row_67_during_an_outage_the_namespace_is_as_it_was_last_seen_even_after_a_restart() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api
        .namespace("d", &json!({"k8s.v1.cni.cncf.io/networks": "a"}));
    let daemon = node.start().await;
    daemon.plan(&request(&node)).await.ok();
    node.api
        .until("the NAD is on disk", |_| {
            node.path("state/nads/d/a.json").exists()
        })
        .await;
    node.api.set_down(true);
    let plan = daemon.plan(&request(&node)).await.ok();
    assert_eq!(names(&plan), ["cbr0", "d/a"]);
    drop(daemon);
    let daemon = node.start().await;
    let plan = daemon.plan(&request(&node)).await.ok();
    assert_eq!(names(&plan), ["cbr0", "d/a"]);
    let mut never_seen = request(&node);
    never_seen["pod"]["namespace"] = json!("other");
    never_seen["config"]["namespaceDefaults"] = json!(true);
    daemon.plan(&never_seen).await.refused("DaemonNotReady");
}
