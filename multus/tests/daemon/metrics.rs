//! Row 55: what Prometheus is told.

use std::net::TcpListener;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::node::{Daemon, MACVLAN, Node, report, until};

#[track_caller]
fn has(page: &str, line: &str) {
    assert!(
        page.contains(&format!("{line}\n")),
        "{line} is not in\n{page}"
    );
}

async fn page(daemon: &Daemon) -> String {
    let answer = daemon.ask("GET", "/metrics", "").await;
    assert_eq!(answer.code, 200);
    answer.text
}

/// An answer over TCP, if anybody listens.
async fn over_tcp(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

#[tokio::test]
async fn row_55_requests_adds_and_networks_are_counted_by_result_and_reason() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    daemon.plan(&node.request("p", Some("a"))).await.ok();
    has(&page(&daemon).await, "cni_inflight{plugin=\"multus\"} 1");
    let mut told = report("p");
    told["attachments"][1]["duration_ms"] = json!(40);
    daemon.report(&told).await.ok();
    daemon
        .plan(&node.request("q", Some("missing")))
        .await
        .refused("NetworkNotFound");
    node.api.until_status("p").await;
    until("the status is counted", async || {
        page(&daemon)
            .await
            .contains("multus_status_writes_total{result=\"written\"} 1\n")
    })
    .await;
    let text = page(&daemon).await;
    for line in [
        "multus_server_request_total{handler=\"/plan\",code=\"200\",method=\"post\"} 1",
        "multus_server_request_total{handler=\"/plan\",code=\"400\",method=\"post\"} 1",
        "multus_server_request_total{handler=\"/report\",code=\"200\",method=\"post\"} 1",
        "cni_inflight{plugin=\"multus\"} 0",
        "cni_request_duration_seconds_count{plugin=\"multus\",command=\"ADD\",result=\"success\",reason=\"\"} 1",
        "cni_request_duration_seconds_count{plugin=\"multus\",command=\"ADD\",result=\"error\",reason=\"NetworkNotFound\"} 1",
        "multus_attachment_duration_seconds_bucket{type=\"macvlan\",le=\"0.05\"} 1",
        "multus_watch_up{kind=\"NetworkAttachmentDefinition\"} 1",
        "multus_watch_stale_seconds{kind=\"NetworkAttachmentDefinition\"} 0",
        "multus_watch_up{kind=\"Pod\"} 1",
        "multus_nads 1",
        "multus_status_waiting 0",
        "cni_pending_deletes{plugin=\"multus\"} 0",
    ] {
        has(&text, line);
    }
    assert!(text.contains("multus_build_info{version="), "{text}");
}

#[tokio::test]
async fn row_55_what_waits_for_the_api_server_is_told_while_it_is_away() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let daemon = node.start().await;
    node.api.set_down(true);
    daemon.report(&report("p")).await.ok();
    until("the outage is told", async || {
        let text = page(&daemon).await;
        text.contains("multus_status_waiting 1\n")
            && text.contains("multus_watch_up{kind=\"Pod\"} 0\n")
            && text.contains("multus_status_writes_total{result=\"failed\"}")
    })
    .await;
    node.api.set_down(false);
    until("the queue is empty", async || {
        page(&daemon).await.contains("multus_status_waiting 0\n")
    })
    .await;
}

#[tokio::test]
async fn row_55_the_port_is_off_unless_asked_for_and_the_debug_page_too() {
    let node = Node::new().await;
    // Nobody else gets it in the moment between, on a machine that hands ports out in turn.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let daemon = node.start().await;
    assert_eq!(over_tcp(port, "/metrics").await, None);
    assert!(daemon.stop().await.success());
    node.write_config(&json!({"metricsPort": port}));
    let daemon = node.start().await;
    until("the port is served", async || {
        over_tcp(port, "/metrics")
            .await
            .is_some_and(|text| text.contains("multus_build_info"))
    })
    .await;
    let debug = over_tcp(port, "/debug/state").await.unwrap();
    assert!(debug.starts_with("HTTP/1.1 404"), "{debug}");
    assert!(daemon.stop().await.success());
    node.write_config(&json!({"metricsPort": port, "enablePprof": true}));
    let daemon = node.start().await;
    until("the port is served again", async || {
        over_tcp(port, "/healthz").await.is_some()
    })
    .await;
    let debug = over_tcp(port, "/debug/state").await.unwrap();
    assert!(debug.contains("\"residentBytes\""), "{debug}");
    // Plans are for the plugin alone, over the socket.
    let plan = over_tcp(port, "/plan").await.unwrap();
    assert!(plan.starts_with("HTTP/1.1 404"), "{plan}");
    drop(daemon);
}
