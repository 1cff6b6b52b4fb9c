//! Resource claims: which calls are made, and what becomes of their answers.

use serde_json::{Value, json};

use super::kubelet;
use super::node::{Answer, Node};

const SRIOV: &str = r#"{"cniVersion":"1.0.0","type":"sriov"}"#;

async fn node(dra: bool) -> Node {
    let node = Node::new().await;
    node.write_config(&json!({ "dra": dra }));
    node.api.nad("d/r-net", SRIOV, Some("intel.com/r"));
    for (name, on, ids) in [
        ("s1", "n1", ["02.0", "02.1"]),
        ("s2", "n2", ["09.0", "09.1"]),
    ] {
        let devices: Vec<Value> = ids
            .iter()
            .map(|id| {
                json!({"name": format!("vf-{}", id.replace('.', "-")), "attributes": {
                    "k8s.cni.cncf.io/deviceID": {"string": id},
                    "k8s.cni.cncf.io/resourceName": {"string": "intel.com/r"},
                    "example.com/numa": {"int": 0}
                }})
            })
            .collect();
        node.api.put(
            "resourceslices",
            json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name},
                "spec": {"driver": "sriov.example", "nodeName": on, "pool": {"name": on, "generation": 1,
                "resourceSliceCount": 1}, "devices": devices}}),
        );
    }
    node
}

/// A claim with a device of node `pool`; without one if `device` is empty.
fn claim(node: &Node, namespace: &str, name: &str, pool: &str, device: &str) {
    let mut claim = json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
        "metadata": {"namespace": namespace, "name": name}, "spec": {}});
    if !device.is_empty() {
        claim["status"] = json!({"allocation": {"devices": {"results": [
            {"request": "q", "driver": "sriov.example", "pool": pool, "device": device}]}}});
    }
    node.api.put("resourceclaims", claim);
}

/// Pod `d/p` with these claims, as they were made from a template.
fn pod(node: &Node, claims: &[&str]) {
    let mut pod = super::api::pod("p", "n1", &json!({}));
    let name = |i: usize| format!("claim{i}");
    let asked: Vec<Value> = (0..claims.len())
        .map(|i| json!({"name": name(i), "resourceClaimTemplateName": "t"}))
        .collect();
    let made: Vec<Value> = claims
        .iter()
        .enumerate()
        .map(|(i, claim)| json!({"name": name(i), "resourceClaimName": claim}))
        .collect();
    pod["spec"]["resourceClaims"] = json!(asked);
    pod["status"] = json!({ "resourceClaimStatuses": made });
    node.api.put("pods", pod);
}

async fn plan(node: &Node, networks: &str) -> Answer {
    let daemon = node.start().await;
    daemon.plan(&node.request("p", Some(networks))).await
}

fn ids(plan: &Value) -> Vec<String> {
    let attachments = plan["attachments"].as_array().unwrap();
    let of = |a: &Value| a["device"]["id"].as_str().map(str::to_owned);
    attachments.iter().filter_map(of).collect()
}

fn calls(node: &Node) -> Vec<String> {
    let calls = node.api.state().calls.clone();
    let ours = |call: &String| call.contains("/resource.k8s.io/v1/");
    calls.into_iter().filter(ours).collect()
}

#[tokio::test]
async fn row_38_each_claim_is_got_once_and_each_driver_listed_once_for_this_node() {
    let node = node(true).await;
    claim(&node, "d", "c1", "n1", "vf-02-1");
    claim(&node, "d", "c2", "n1", "vf-02-0");
    pod(&node, &["c1", "c2"]);
    let answer = plan(&node, "r-net,r-net").await.ok();
    assert_eq!(ids(&answer), ["02.1", "02.0"]);
    let mut calls = calls(&node);
    calls.sort();
    let base = "/apis/resource.k8s.io/v1";
    assert_eq!(
        calls,
        [
            format!("GET {base}/namespaces/d/resourceclaims/c1?"),
            format!("GET {base}/namespaces/d/resourceclaims/c2?"),
            format!(
                "GET {base}/resourceslices?&fieldSelector=spec.nodeName=n1,spec.driver=sriov.example"
            ),
        ]
    );
}

#[tokio::test]
async fn row_38_without_the_key_no_claim_is_read_so_that_no_right_is_needed() {
    let node = node(false).await;
    claim(&node, "d", "c1", "n1", "vf-02-1");
    pod(&node, &["c1"]);
    kubelet::start(&node.path("kubelet.sock"), &[("p", &["02.7"])]);
    let answer = plan(&node, "r-net").await.ok();
    assert_eq!(ids(&answer), ["02.7"]);
    assert!(calls(&node).is_empty());
}

#[tokio::test]
async fn row_38_device_plugins_and_claims_are_used_together() {
    let node = node(true).await;
    claim(&node, "d", "c1", "n1", "vf-02-1");
    pod(&node, &["c1"]);
    kubelet::start(&node.path("kubelet.sock"), &[("p", &["02.7"])]);
    let answer = plan(&node, "r-net,r-net").await.ok();
    assert_eq!(ids(&answer), ["02.7", "02.1"]);
}

#[tokio::test]
async fn row_38_claims_of_one_name_in_two_namespaces_are_two_claims() {
    let node = node(true).await;
    claim(&node, "other", "c1", "n1", "vf-02-0");
    claim(&node, "d", "c1", "n1", "vf-02-1");
    pod(&node, &["c1"]);
    assert_eq!(ids(&plan(&node, "r-net").await.ok()), ["02.1"]);
}

#[tokio::test]
async fn row_38_a_device_of_another_node_is_not_included() {
    let node = node(true).await;
    claim(&node, "d", "c1", "n2", "vf-09-0");
    pod(&node, &["c1"]);
    let text = plan(&node, "r-net").await.refused("PoolNotRequested");
    assert!(
        text.contains("vf-09-0") && text.contains("not published for this node"),
        "{text}"
    );
}

#[tokio::test]
async fn row_38_a_claim_that_is_named_by_the_pod_itself_counts_too() {
    let node = node(true).await;
    claim(&node, "d", "shared", "n1", "vf-02-0");
    let mut pod = super::api::pod("p", "n1", &json!({}));
    pod["spec"]["resourceClaims"] = json!([{"name": "nic", "resourceClaimName": "shared"}]);
    node.api.put("pods", pod);
    assert_eq!(ids(&plan(&node, "r-net").await.ok()), ["02.0"]);
}

#[tokio::test]
async fn row_38_extended_resources_are_mapped_by_the_pods_status() {
    let node = node(true).await;
    claim(&node, "d", "ext", "n1", "vf-02-0");
    let mut pod = super::api::pod("p", "n1", &json!({}));
    let mapping = |request: &str| {
        json!({"extendedResourceClaimStatus": {"resourceClaimName": "ext", "requestMappings": [
            {"containerName": "c", "resourceName": "intel.com/r", "requestName": request}]}})
    };
    pod["status"] = mapping("q");
    node.api.put("pods", pod.clone());
    assert_eq!(ids(&plan(&node, "r-net").await.ok()), ["02.0"]);
    pod["status"] = mapping("other");
    node.api.put("pods", pod);
    let text = plan(&node, "r-net").await.refused("DeviceNotAllocated");
    assert!(text.contains("request other"), "{text}");
}

#[tokio::test]
async fn row_38_a_missing_or_unallocated_claim_and_an_api_failure_are_errors() {
    let node = node(true).await;
    pod(&node, &["c1"]);
    let text = plan(&node, "r-net").await.refused("DaemonNotReady");
    assert!(text.contains("claim c1 does not exist"), "{text}");
    claim(&node, "d", "c1", "n1", "");
    let text = plan(&node, "r-net").await.refused("DeviceNotAllocated");
    assert!(text.contains("claim c1"), "{text}");
    let daemon = node.start().await;
    daemon
        .plan(&node.request("p", Some("r-net")))
        .await
        .refused("DeviceNotAllocated");
    node.api
        .until("the NAD is on disk", |_| {
            node.path("state/nads/d/r-net.json").exists()
        })
        .await;
    node.api.set_down(true);
    let text = daemon
        .plan(&node.request("p", Some("r-net")))
        .await
        .refused("DaemonNotReady");
    assert!(text.contains("resource claims of pod d/p"), "{text}");
}
