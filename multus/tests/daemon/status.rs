//! network-status and events after a report, and for pods that nobody reports.

use serde_json::{Value, json};

use super::node::{MACVLAN, Node, report, until};

#[tokio::test]
async fn row_27_a_report_becomes_network_status_and_events() {
    let node = Node::new().await;
    node.api.pod(
        "p",
        &json!({"k8s.v1.cni.cncf.io/networks": "a", "other": "kept"}),
    );
    let daemon = node.start().await;
    daemon.report(&report("p")).await.ok();
    let status = node.api.until_status("p").await;
    assert_eq!(
        status,
        json!([
            {"name": "cbr0", "interface": "eth0", "ips": ["10.1.0.5"], "mac": "02:00:00:00:00:01",
             "default": true, "dns": {}},
            {"name": "d/a", "interface": "net1", "ips": ["10.2.0.5"], "mac": "02:00:00:00:00:01", "dns": {}}
        ])
    );
    assert_eq!(
        node.api.pod_value("p")["metadata"]["annotations"]["other"],
        "kept"
    );
    let text = node.api.until_event("AddedInterface").await;
    assert_eq!(text, "Add eth0 [10.1.0.5/24] from cbr0");
    let kept = node.path("state/reports");
    until("the written status is not kept", async || {
        host::file::list(&kept).unwrap().is_empty()
    })
    .await;
    let calls = node.api.state().calls.clone();
    assert_eq!(
        calls
            .iter()
            .filter(|call| call.starts_with("PATCH"))
            .count(),
        1,
        "{calls:#?}"
    );
}

#[tokio::test]
async fn row_28_a_device_and_gateways_that_were_set_are_told_and_an_unreadable_device_is_left_out()
{
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    let info = json!({"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:3b:02.1"}});
    let mut report = report("p");
    report["attachments"][0]["device_info"] = json!({"type": 7});
    report["attachments"][1]["device_info"] = info.clone();
    report["attachments"][1]["gateways"] = json!(["10.2.0.1"]);
    daemon.report(&report).await.ok();
    let status = node.api.until_status("p").await;
    assert_eq!(status[0].get("device-info"), None);
    assert_eq!(
        (&status[1]["device-info"], &status[1]["gateway"]),
        (&info, &json!(["10.2.0.1"]))
    );
}

#[tokio::test]
async fn a_failure_is_told_by_an_event_with_its_reason_and_no_status() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    let mut failed = report("p");
    failed["error"] = json!({"attachment": "d/a", "code": 999, "msg": "attach network d/a: VF 3 is taken", "reason": "VFInUse"});
    daemon.report(&failed).await.ok();
    assert_eq!(
        node.api.until_event("VFInUse").await,
        "attach network d/a: VF 3 is taken"
    );
    assert_eq!(node.api.status("p"), None);
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    node.api.state().conflicts = 3;
    let daemon = node.start().await;
    daemon.report(&report("p")).await.ok();
    node.api.until_status("p").await;
}

#[tokio::test]
async fn the_status_of_a_pod_is_never_written_to_its_successor() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    let mut old = report("p");
    old["pod"]["uid"] = json!("uid-of-the-old-one");
    daemon.report(&old).await.ok();
    let kept = node.path("state/reports");
    until("the old pod's status is given up", async || {
        host::file::list(&kept).unwrap().is_empty()
    })
    .await;
    assert_eq!(node.api.status("p"), None);
}

#[tokio::test]
async fn a_report_without_a_uid_is_written_to_the_pod_of_that_name() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    let mut without = report("p");
    without["pod"].as_object_mut().unwrap().remove("uid");
    daemon.report(&without).await.ok();
    node.api.until_status("p").await;
}

#[tokio::test]
async fn a_static_pod_gets_its_status_under_the_uid_of_the_api() {
    let node = Node::new().await;
    node.api
        .pod("p", &json!({"kubernetes.io/config.source": "file"}));
    let daemon = node.start().await;
    let mut of_file = report("p");
    of_file["pod"]["uid"] = json!("0123456789abcdef0123456789abcdef");
    daemon.report(&of_file).await.ok();
    node.api.until_status("p").await;
}

#[tokio::test]
async fn a_pod_with_the_longest_name_that_kubernetes_allows_gets_its_status() {
    let node = Node::new().await;
    let name = "p".repeat(253);
    node.api.pod(&name, &json!({}));
    let daemon = node.start().await;
    daemon.report(&report(&name)).await.ok();
    node.api.until_status(&name).await;
}

#[tokio::test]
async fn a_reported_status_that_a_newer_one_replaced_is_not_kept_for_the_next_start() {
    let node = Node::new().await;
    let daemon = node.start().await;
    runtime_record(&node, "p", "10.1.0.6");
    node.api.state().conflicts = usize::MAX;
    node.api.pod("p", &json!({}));
    daemon.report(&report("p")).await.ok();
    let pod = with_address(&node, "p", &json!({}), "10.1.0.6");
    node.api.put("pods", pod);
    // A second task tries to write now, each attempt of which makes two calls.
    let patches = || {
        let calls = node.api.state().calls.clone();
        calls
            .iter()
            .filter(|call| call.starts_with("PATCH"))
            .count()
    };
    until("the newer one is tried", async || patches() >= 8).await;
    node.api.state().conflicts = 0;
    assert_eq!(
        node.api.until_status("p").await[0]["ips"],
        json!(["10.1.0.6"])
    );
    let kept = node.path("state/reports");
    until("nothing is kept", async || {
        host::file::list(&kept).unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_report_that_makes_no_sense_is_refused() {
    let node = Node::new().await;
    let daemon = node.start().await;
    let mut bad = report("p");
    bad["attachments"][1]["result"] =
        json!({"cniVersion": "1.1.0", "ips": [{"address": "nowhere"}]});
    let answer = daemon.report(&bad).await;
    assert_eq!(answer.code, 400);
    assert!(answer.text.contains("d/a"), "{}", answer.text);
}

/// What containerd's libcni keeps of an ADD of our plugin.
fn runtime_record(node: &Node, name: &str, ip: &str) {
    let conf = json!({"cniVersion": "1.0.0", "name": "multus-cni-network", "plugins": [node.conf(&json!({}))]});
    let record = json!({
        "kind": "cniCacheV1", "containerId": format!("cid-{name}"), "ifName": "eth0",
        "networkName": "multus-cni-network", "netns": "/run/netns/x",
        "config": base64(conf.to_string().as_bytes()),
        "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", "d"], ["K8S_POD_NAME", name],
            ["K8S_POD_INFRA_CONTAINER_ID", format!("cid-{name}")], ["K8S_POD_UID", format!("uid-of-{name}")]],
        "result": {"cniVersion": "1.0.0",
            "interfaces": [{"name": "cbr0"}, {"name": "eth0", "mac": "02:00:00:00:00:07", "sandbox": "/run/netns/x"}],
            "ips": [{"address": format!("{ip}/24"), "gateway": "10.1.0.1", "interface": 1}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]}
    });
    node.write(
        &format!("runtime/results/multus-cni-network-cid-{name}-eth0"),
        &record.to_string(),
    );
}

fn with_address(node: &Node, name: &str, annotations: &Value, ip: &str) -> Value {
    node.api.pod(name, annotations);
    let mut pod = node.api.pod_value(name);
    pod["status"] = json!({"podIPs": [{"ip": ip}]});
    pod
}

#[tokio::test]
async fn a_plain_pods_status_is_made_of_the_runtimes_record() {
    let node = Node::new().await;
    let daemon = node.start().await;
    runtime_record(&node, "p", "10.1.0.5");
    let pod = with_address(&node, "p", &json!({}), "10.1.0.5");
    node.api.put("pods", pod);
    let status = node.api.until_status("p").await;
    assert_eq!(
        status,
        json!([{"name": "cbr0", "interface": "eth0", "ips": ["10.1.0.5"], "mac": "02:00:00:00:00:07",
            "default": true, "dns": {}, "gateway": ["10.1.0.1"]}])
    );
    drop(daemon);
}

#[tokio::test]
async fn a_plain_pod_without_a_record_of_the_runtime_gets_its_published_addresses() {
    let node = Node::new().await;
    let installed = json!({"cniVersion": "1.0.0", "name": "multus-cni-network", "plugins": [node.conf(&json!({}))]});
    node.write("net.d/00-multus.conflist", &installed.to_string());
    // Of another pod with that name, long gone.
    runtime_record(&node, "p", "10.1.0.99");
    let daemon = node.start().await;
    let pod = with_address(&node, "p", &json!({}), "10.1.0.5");
    node.api.put("pods", pod);
    let status = node.api.until_status("p").await;
    assert_eq!(
        status,
        json!([{"name": "cbr0", "interface": "eth0", "ips": ["10.1.0.5"], "default": true, "dns": {}}])
    );
    drop(daemon);
}

#[tokio::test]
async fn a_pod_with_wishes_gets_its_status_from_the_report_alone() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    for name in ["wishes", "plain"] {
        runtime_record(&node, name, "10.1.0.5");
    }
    let wishes = with_address(
        &node,
        "wishes",
        &json!({"k8s.v1.cni.cncf.io/networks": "a"}),
        "10.1.0.5",
    );
    node.api.put("pods", wishes);
    let plain = with_address(&node, "plain", &json!({}), "10.1.0.5");
    node.api.put("pods", plain);
    node.api.until_status("plain").await;
    assert_eq!(node.api.status("wishes"), None);
    daemon.report(&report("wishes")).await.ok();
    assert_eq!(
        node.api
            .until_status("wishes")
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i)) as usize & 63] as char;
            text.push(if i <= chunk.len() { letter } else { '=' });
        }
    }
    text
}
