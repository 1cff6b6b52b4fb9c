//! Another program and our configuration; and what deleted sandboxes still have.

use host::file::{self, Durability};
use multus_plugin::journal::{Journal, LastFailure, Record, Shelf};
use multus_plugin::wire::{PodRef, Reason};
use serde_json::json;

use super::guard::installed;
use super::node::{Daemon, Node, until};

const OURS: &str = "net.d/00-multus.conflist";

async fn page(daemon: &Daemon) -> String {
    daemon.ask("GET", "/metrics", "").await.text
}

async fn until_state(daemon: &Daemon, state: &str) {
    until(&format!("the configuration is {state}"), async || {
        page(daemon)
            .await
            .contains(&format!("net_conf_state{{state=\"{state}\"}} 1\n"))
    })
    .await;
}

/// As Cilium does with `cni.exclusive`.
fn rename(node: &Node) {
    let ours = node.path(OURS);
    file::rename(&ours, &node.path(&format!("{OURS}.cilium_bak"))).unwrap();
}

#[tokio::test]
async fn a_configuration_that_cilium_renames_is_told_on_the_node_and_put_back() {
    let node = installed().await;
    let daemon = node.start().await;
    until_state(&daemon, "active").await;
    rename(&node);
    let text = node.api.until_event("CNIConfHijacked").await;
    assert!(
        text.contains("00-multus.conflist.cilium_bak") && text.contains("cni.exclusive"),
        "{text}"
    );
    until("it is there again, and its double gone", async || {
        node.path(OURS).exists() && !node.path(&format!("{OURS}.cilium_bak")).exists()
    })
    .await;
    until_state(&daemon, "active").await;
    let state = node.api.state();
    let event = state
        .events
        .iter()
        .find(|e| e["reason"] == "CNIConfHijacked")
        .unwrap();
    assert_eq!(
        (
            &event["involvedObject"]["kind"],
            &event["involvedObject"]["name"],
            &event["metadata"]["namespace"]
        ),
        (&json!("Node"), &json!("n1"), &json!("default"))
    );
}

#[tokio::test]
async fn a_program_that_takes_it_away_again_and_again_is_not_fought_without_end() {
    let node = installed().await;
    let daemon = node.start().await;
    until_state(&daemon, "active").await;
    // Whenever it is there it is taken away, until the guard pauses: then it stays away for some seconds.
    until("the guard pauses", async || {
        if node.path(OURS).exists() {
            rename(&node);
        }
        let told = node.api.state().events.iter().any(|event| {
            event["message"]
                .as_str()
                .is_some_and(|text| text.contains("it is put back in"))
        });
        told && page(&daemon)
            .await
            .contains("net_conf_state{state=\"hijacked\"} 1\n")
    })
    .await;
    assert!(!node.path(OURS).exists());
    let text = page(&daemon).await;
    assert!(
        text.contains("multus_conf_displacements_total 2\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_configuration_that_comes_before_ours_is_told_until_it_is_gone() {
    let node = installed().await;
    let daemon = node.start().await;
    until_state(&daemon, "active").await;
    node.write(
        "net.d/00-aaa.conflist",
        r#"{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"}]}"#,
    );
    let text = node.api.until_event("CNIConfHijacked").await;
    assert!(text.contains("00-aaa.conflist"), "{text}");
    until_state(&daemon, "hijacked").await;
    file::remove(&node.path("net.d/00-aaa.conflist")).unwrap();
    until_state(&daemon, "active").await;
}

#[tokio::test]
async fn without_a_primary_the_state_is_told_and_ours_stays() {
    let node = installed().await;
    let daemon = node.start().await;
    until_state(&daemon, "active").await;
    file::remove(&node.path("net.d/10-cbr0.conflist")).unwrap();
    until_state(&daemon, "primary_invalid").await;
    assert!(node.path(OURS).exists());
}

#[tokio::test]
async fn a_kept_del_is_a_metric_and_an_event_with_its_reason() {
    let node = installed().await;
    let entry = json!({"name": "d/a", "ifname": "net1", "config": {"name": "a", "type": "macvlan"}, "capabilities": {}});
    let record = Record {
        version: 1,
        container_id: "c1".into(),
        netns: String::new(),
        ifname: "eth0".into(),
        network: "multus-cni-network".into(),
        pod: Some(PodRef {
            namespace: "d".into(),
            name: "p".into(),
            uid: None,
        }),
        boot_id: String::new(),
        namespace: None,
        created: 0,
        cni_args: Vec::new(),
        attachments: vec![serde_json::from_value(entry).unwrap()],
        tries: 4,
        tried: 0,
        failure: Some(LastFailure {
            reason: Reason::IPAMFailed,
            msg: "delete network d/a on net1: no lease server".into(),
        }),
    };
    let journal = Journal::new(&node.path("state"));
    journal
        .write(Shelf::Kept, &record, Durability::Process)
        .unwrap();
    let daemon = node.start().await;
    let text = node.api.until_event("IPAMFailed").await;
    assert!(
        text.contains("d/p") && text.contains("no lease server"),
        "{text}"
    );
    let told = page(&daemon).await;
    assert!(
        told.contains("cni_pending_deletes{plugin=\"multus\"} 1\n"),
        "{told}"
    );
    journal.remove(Shelf::Kept, "c1").unwrap();
    let told = page(&daemon).await;
    assert!(
        told.contains("cni_pending_deletes{plugin=\"multus\"} 0\n"),
        "{told}"
    );
}
