//! An API server that is not there.

use serde_json::json;

use super::node::{MACVLAN, Node, report, until};

#[tokio::test]
async fn row_63_attachments_go_on_from_the_copy_on_disk_even_after_a_restart() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    let copy = node.path("state/nads/d/a.json");
    until("the NAD is on disk", async || copy.exists()).await;
    assert!(daemon.stop().await.success());

    node.api.set_down(true);
    let daemon = node.start().await;
    let plan = daemon.plan(&node.request("p", Some("a"))).await.ok();
    assert_eq!(plan["attachments"][1]["name"], "d/a");
    // One that is not known is refused with the reason, not left out.
    let text = daemon
        .plan(&node.request("p", Some("unknown")))
        .await
        .refused("DaemonNotReady");
    assert!(text.contains("d/unknown"), "{text}");
}

#[tokio::test]
async fn a_pod_whose_annotations_nobody_knows_is_refused_and_tried_again() {
    let node = Node::new().await;
    node.api.set_down(true);
    let daemon = node.start().await;
    let answer = daemon.plan(&node.request("p", None)).await;
    assert_eq!(answer.code, 503);
    let text = answer.refused("DaemonNotReady");
    assert_eq!(text.matches("ServiceUnavailable").count(), 1, "{text}");
    assert_eq!(answer.json()["code"], 11);
}

#[tokio::test]
async fn a_status_accepted_during_an_outage_is_written_after_it_and_after_a_restart() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    node.api.pod("q", &json!({}));
    node.api.set_down(true);
    let daemon = node.start().await;
    daemon.report(&report("p")).await.ok();
    assert!(daemon.stop().await.success());
    let daemon = node.start().await;
    daemon.report(&report("q")).await.ok();
    node.api.set_down(false);
    node.api.until_status("p").await;
    node.api.until_status("q").await;
    drop(daemon);
}

#[tokio::test]
async fn a_deleted_nad_is_gone_from_the_copy_once_the_api_says_so() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let stale = node.path("state/nads/d/stale.json");
    host::file::create_dir(stale.parent().unwrap(), 0o700).unwrap();
    node.write("state/nads/d/stale.json", r#"{"config":"{}"}"#);
    let daemon = node.start().await;
    until("the stale copy is removed", async || !stale.exists()).await;
    daemon
        .plan(&node.request("p", Some("stale")))
        .await
        .refused("NetworkNotFound");
}

#[tokio::test]
async fn a_nad_whose_name_is_too_long_for_a_file_does_not_keep_others_from_the_disk() {
    let node = Node::new().await;
    node.api
        .nad(&format!("d/{}", "a".repeat(253)), MACVLAN, None);
    node.api.nad("d/z", MACVLAN, None);
    let daemon = node.start().await;
    let copy = node.path("state/nads/d/z.json");
    until("the NAD is on disk", async || copy.exists()).await;
    drop(daemon);
}

/// Go multus cuts each call at 250 ms and fails plain pods, too (K8, Q18).
#[tokio::test]
async fn c5_an_api_server_that_takes_400_ms_for_each_answer_delays_no_plan_and_loses_no_status() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api
        .pod("p", &json!({"k8s.v1.cni.cncf.io/networks": "a"}));
    let daemon = node.start().await;
    let copy = node.path("state/nads/d/a.json");
    until("the NAD is on disk", async || copy.exists()).await;
    node.api.state().latency = std::time::Duration::from_millis(400);
    for _ in 0..3 {
        // Within the second that the plugin waits, or this would be refused.
        daemon.plan(&node.request("p", Some("a"))).await.ok();
        daemon.plan(&node.request("p", None)).await.ok();
    }
    daemon.report(&report("p")).await.ok();
    node.api.until_status("p").await;
    // 400 ms is just what one look-up waits; longer than that, nobody knows.
    node.api.state().latency = std::time::Duration::from_secs(2);
    let text = daemon
        .plan(&node.request("p", Some("unknown")))
        .await
        .refused("DaemonNotReady");
    assert!(text.contains("d/unknown"), "{text}");
}

#[tokio::test]
async fn c5_a_token_that_has_expired_stops_no_network_that_is_known_and_loses_no_status() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    let copy = node.path("state/nads/d/a.json");
    until("the NAD is on disk", async || copy.exists()).await;
    node.api.state().expired = true;
    daemon.plan(&node.request("p", Some("a"))).await.ok();
    daemon.report(&report("p")).await.ok();
    let text = daemon
        .plan(&node.request("p", Some("unknown")))
        .await
        .refused("DaemonNotReady");
    assert!(text.contains("Unauthorized"), "{text}");
    // Nothing of the node's configuration goes because of it, and the daemon lives on.
    assert!(node.api.status("p").is_none());
    node.api.state().expired = false;
    node.api.until_status("p").await;
    assert!(daemon.stop().await.success());
}
