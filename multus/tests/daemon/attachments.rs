//! Plans over the socket.

use serde_json::{Value, json};

use super::api;
use super::kubelet;
use super::node::{MACVLAN, Node, until};

/// `name ifname` of each attachment.
fn layout(plan: &Value) -> Vec<String> {
    let attachments = plan["attachments"].as_array().unwrap();
    let of = |a: &Value, key: &str| a[key].as_str().unwrap().to_owned();
    attachments
        .iter()
        .map(|a| format!("{} {}", of(a, "name"), of(a, "ifname")))
        .collect()
}

#[tokio::test]
async fn annotations_of_the_runtime_are_planned_without_a_look_at_the_pod() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    let plan = daemon.plan(&node.request("p", Some("a,a@x"))).await.ok();
    assert_eq!(layout(&plan), ["cbr0 eth0", "d/a net1", "d/a x"]);
    let calls = node.api.state().calls.clone();
    assert!(
        !calls.iter().any(|call| call.contains("/namespaces/d/pods")),
        "{calls:#?}"
    );
}

#[tokio::test]
async fn without_annotations_of_the_runtime_those_of_the_api_count() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    // Of this node and watched, and of another node and so never watched.
    let wish = json!({"k8s.v1.cni.cncf.io/networks": "a"});
    node.api.pod("p", &wish);
    node.api.put("pods", api::pod("q", "n2", &wish));
    for name in ["p", "q"] {
        let plan = daemon.plan(&node.request(name, None)).await.ok();
        assert_eq!(layout(&plan), ["cbr0 eth0", "d/a net1"]);
        assert_eq!(plan["pod"]["uid"], format!("uid-of-{name}"));
    }
}

#[tokio::test]
async fn a_nad_made_a_moment_ago_is_found() {
    let node = Node::new().await;
    let daemon = node.start().await;
    daemon
        .plan(&node.request("p", Some("a")))
        .await
        .refused("NetworkNotFound");
    node.api.nad("d/a", MACVLAN, None);
    daemon.plan(&node.request("p", Some("a"))).await.ok();
}

#[tokio::test]
async fn a_pod_that_is_gone_gets_an_empty_plan_and_a_static_one_is_tried_again() {
    let node = Node::new().await;
    let daemon = node.start().await;
    let plan = daemon.plan(&node.request("gone", None)).await.ok();
    assert_eq!(plan["attachments"], json!([]));
    let mut request = node.request("static", None);
    request["pod"]["uid"] = json!("0123456789abcdef0123456789abcdef");
    daemon.plan(&request).await.refused("DaemonNotReady");
}

#[tokio::test]
async fn a_pod_that_was_replaced_is_not_given_the_new_pods_networks() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    let mut request = node.request("p", None);
    request["pod"]["uid"] = json!("uid-of-the-old-one");
    let text = daemon.plan(&request).await.refused("DaemonNotReady");
    assert!(
        text.contains("uid-of-the-old-one") && text.contains("uid-of-p"),
        "{text}"
    );
}

#[tokio::test]
async fn a_static_pods_uid_need_not_be_that_of_the_api() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api.pod(
        "p",
        &json!({"kubernetes.io/config.source": "file", "k8s.v1.cni.cncf.io/networks": "a"}),
    );
    let daemon = node.start().await;
    let mut request = node.request("p", None);
    request["pod"]["uid"] = json!("0123456789abcdef0123456789abcdef");
    let plan = daemon.plan(&request).await.ok();
    assert_eq!(layout(&plan), ["cbr0 eth0", "d/a net1"]);
}

#[tokio::test]
async fn a_default_network_may_be_a_folder_and_a_missing_conf_dir_is_no_network() {
    let node = Node::new().await;
    node.write(
        "net.d/05-first.conf",
        r#"{"cniVersion":"1.0.0","name":"first","type":"bridge"}"#,
    );
    node.api.nad("d/on-disk", "", None);
    node.write_config(&json!({"confDir": node.path("nowhere")}));
    let daemon = node.start().await;
    let mut request = node.request("p", Some(""));
    request["config"] = node.conf(&json!({
        "clusterNetwork": node.path("net.d"), "defaultNetworks": [node.path("net.d/10-cbr0.conflist")]
    }));
    let plan = daemon.plan(&request).await.ok();
    assert_eq!(layout(&plan), ["first eth0", "cbr0 net1"]);
    let request = node.request("p", Some("on-disk"));
    let text = daemon.plan(&request).await.refused("NetworkNotFound");
    assert!(
        text.contains("d/on-disk") && text.contains("nowhere"),
        "{text}"
    );
}

#[tokio::test]
async fn a_runtime_that_tells_no_uid_gets_the_plan_of_the_pod_that_is_there() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api
        .pod("p", &json!({"k8s.v1.cni.cncf.io/networks": "a"}));
    let daemon = node.start().await;
    let mut request = node.request("p", None);
    request["pod"].as_object_mut().unwrap().remove("uid");
    let plan = daemon.plan(&request).await.ok();
    assert_eq!(layout(&plan), ["cbr0 eth0", "d/a net1"]);
    assert_eq!(plan["pod"]["uid"], "uid-of-p");
}

#[tokio::test]
async fn a_device_that_no_pool_knows_passes_and_is_told_by_an_event() {
    let node = Node::new().await;
    kubelet::start(&node.path("kubelet.sock"), &[("q", &["0000:3b:02.5"])]);
    node.api.nad(
        "d/own",
        r#"{"type":"host-device","pciBusID":"0000:3b:02.1"}"#,
        None,
    );
    let daemon = node.start().await;
    let plan = daemon.plan(&node.request("p", Some("own"))).await.ok();
    assert_eq!(layout(&plan), ["cbr0 eth0", "d/own net1"]);
    node.api
        .until("the event", |state| {
            state.events.iter().any(|event| {
                let text = event["message"].as_str().unwrap_or_default();
                event["reason"] == "DeviceNotAllocated"
                    && event["type"] == "Warning"
                    && text.contains("d/own")
                    && text.contains("0000:3b:02.1")
            })
        })
        .await;
}

#[tokio::test]
async fn row_34_devices_come_from_the_kubelet() {
    let node = Node::new().await;
    kubelet::start(
        &node.path("kubelet.sock"),
        &[
            ("p", &["0000:3b:02.3", "0000:3b:02.1"]),
            ("q", &["0000:3b:02.5"]),
        ],
    );
    node.api
        .nad("d/r", r#"{"type":"sriov"}"#, Some("intel.com/r"));
    node.api.nad(
        "d/thief",
        r#"{"type":"host-device","pciBusID":"0000:3b:02.5"}"#,
        None,
    );
    let daemon = node.start().await;
    let plan = daemon.plan(&node.request("p", Some("r,r"))).await.ok();
    assert_eq!(plan["attachments"][1]["config"]["deviceID"], "0000:3b:02.1");
    assert_eq!(plan["attachments"][2]["config"]["deviceID"], "0000:3b:02.3");
    let text = daemon
        .plan(&node.request("p", Some("r,r,r")))
        .await
        .refused("PoolExhausted");
    assert!(
        text.contains("d/r") && text.contains("at least 3"),
        "{text}"
    );
    daemon
        .plan(&node.request("none", Some("r")))
        .await
        .refused("PoolNotRequested");
    daemon
        .plan(&node.request("p", Some("thief")))
        .await
        .refused("DeviceNotAllocated");
}

#[tokio::test]
async fn row_54_two_hundred_pods_with_three_networks_each_are_planned_at_once() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api
        .nad("d/r", r#"{"type":"sriov"}"#, Some("intel.com/r"));
    let names: Vec<String> = (0..200).map(|i| format!("p{i}")).collect();
    let pods: Vec<(&str, &[&str])> = names
        .iter()
        .map(|n| (n.as_str(), &["d1", "d2"][..]))
        .collect();
    kubelet::start(&node.path("kubelet.sock"), &pods);
    let daemon = node.start().await;
    let copies = ["a", "r"].map(|name| node.path(&format!("state/nads/d/{name}.json")));
    until("the NADs are known", async || {
        copies.iter().all(|copy| copy.exists())
    })
    .await;
    let before = node.api.state().calls.len();
    let asked = names.iter().map(async |name| {
        let plan = daemon.plan(&node.request(name, Some("a,r,r"))).await.ok();
        assert_eq!(plan["attachments"].as_array().unwrap().len(), 4);
    });
    futures::future::join_all(asked).await;
    let calls = node.api.state().calls.split_off(before);
    let asked = calls.iter().filter(|call| !call.contains("watch=")).count();
    assert_eq!(asked, 0, "{calls:#?}");
}

#[tokio::test]
async fn row_54_a_connection_limit_of_one_makes_requests_wait_and_fails_none() {
    let node = Node::new().await;
    node.write_config(&json!({"connectionLimit": 1}));
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    let asked = (0..6).map(async |i| {
        daemon
            .plan(&node.request(&format!("p{i}"), Some("a")))
            .await
            .ok();
    });
    futures::future::join_all(asked).await;
}

#[tokio::test]
async fn row_50_policy_of_the_daemons_file_holds_for_every_request() {
    let node = Node::new().await;
    node.write_config(&json!({"namespaceIsolation": true}));
    node.api.nad("other/a", MACVLAN, None);
    let daemon = node.start().await;
    let text = daemon
        .plan(&node.request("p", Some("other/a")))
        .await
        .refused("AnnotationInvalid");
    assert!(text.contains("namespaceIsolation"), "{text}");
}
