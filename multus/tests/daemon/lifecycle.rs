//! Start, health, stop, and what is never touched.

use std::os::unix::fs::MetadataExt;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::node::{MACVLAN, Node, PATIENCE, until};

#[tokio::test]
async fn row_49_health_readiness_and_the_endpoints_that_are_not_served() {
    let node = Node::new().await;
    let daemon = node.start().await;
    for (method, path, code) in [
        ("GET", "/healthz", 200),
        ("POST", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("DELETE", "/healthz", 405),
        ("GET", "/plan", 405),
        ("POST", "/delegate", 501),
        ("POST", "/cni", 501),
        ("GET", "/other", 404),
    ] {
        let answer = daemon.ask(method, path, "").await;
        assert_eq!(answer.code, code, "{method} {path}");
    }
    let text = daemon.ask("POST", "/delegate", "{}").await.text;
    assert!(text.contains("executes nothing"), "{text}");
}

#[tokio::test]
async fn row_65_sigterm_ends_cleanly_and_leaves_the_cni_configuration_alone() {
    let node = Node::new().await;
    node.write("net.d/00-multus.conflist", "{}");
    let before = std::fs::metadata(node.path("net.d/00-multus.conflist")).unwrap();
    let daemon = node.start().await;
    let socket = daemon.socket().to_path_buf();
    let status = daemon.stop().await;
    assert!(status.success(), "{status}");
    assert!(!socket.exists());
    let after = std::fs::metadata(node.path("net.d/00-multus.conflist")).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
    assert_eq!(host::file::list(&node.path("net.d")).unwrap().len(), 2);
}

#[tokio::test]
async fn row_65_a_new_daemon_takes_over_before_the_old_one_ends() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let old = node.start().await;
    let inode = std::fs::symlink_metadata(old.socket()).unwrap().ino();
    let new = node.start().await;
    until("the socket is the new daemon's", async || {
        std::fs::symlink_metadata(new.socket()).is_ok_and(|meta| meta.ino() != inode)
    })
    .await;
    assert!(old.stop().await.success());
    new.plan(&node.request("p", Some("a"))).await.ok();
}

#[tokio::test]
async fn a_default_network_that_is_a_nad_is_kept_as_a_file_and_kept_up_to_date() {
    let node = Node::new().await;
    node.api.nad("kube-system/flannel", MACVLAN, None);
    let conf = node.conf(&json!({"clusterNetwork": "flannel"}));
    let installed = json!({"cniVersion": "1.0.0", "name": "n", "plugins": [conf]});
    node.write("net.d/00-multus.conflist", &installed.to_string());
    let daemon = node.start().await;
    let kept = node.path("state/primary/kube-system/flannel.json");
    until("the default network is kept", async || kept.exists()).await;
    let text = host::file::read_text(&kept).unwrap().unwrap();
    assert!(
        text.contains(r#""name":"flannel""#) && text.contains("eth1"),
        "{text}"
    );
    node.api.nad(
        "kube-system/flannel",
        r#"{"type":"macvlan","master":"eth2"}"#,
        None,
    );
    until("the change is kept", async || {
        host::file::read_text(&kept).is_ok_and(|text| text.is_some_and(|t| t.contains("eth2")))
    })
    .await;
    let mut request = node.request("p", Some(""));
    request["config"] = conf;
    let plan = daemon.plan(&request).await.ok();
    assert_eq!(plan["attachments"][0]["name"], "kube-system/flannel");
}

#[tokio::test]
async fn no_file_but_those_of_its_state_is_written() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    until("the NAD is on disk", async || {
        node.path("state/nads/d/a.json").exists()
    })
    .await;
    for _ in 0..3 {
        daemon.plan(&node.request("p", Some("a"))).await.ok();
    }
    assert_eq!(host::file::list(&node.path("state")).unwrap(), ["nads"]);
    assert_eq!(
        host::file::list(&node.path("net.d")).unwrap(),
        ["10-cbr0.conflist"]
    );
    let mode = std::fs::metadata(node.path("state/nads/d/a.json"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn row_63_only_pods_of_this_node_are_listed_and_watched() {
    let node = Node::new().await;
    let daemon = node.start().await;
    daemon.plan(&node.request("p", None)).await;
    let calls = node.api.state().calls.clone();
    let of_all: Vec<&String> = calls
        .iter()
        .filter(|call| call.contains("/api/v1/pods?"))
        .collect();
    assert!(!of_all.is_empty(), "{calls:#?}");
    for call in of_all {
        assert!(call.contains("fieldSelector=spec.nodeName"), "{call}");
    }
}

#[tokio::test]
async fn a_client_that_never_sends_its_body_does_not_keep_its_connection() {
    let node = Node::new().await;
    let daemon = node.start().await;
    let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
    let head = "POST /plan HTTP/1.1\r\nHost: multus\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    ended.expect("the connection is ended").unwrap();
}

#[tokio::test]
async fn the_default_network_is_kept_where_the_plugin_looks_whatever_the_daemons_multus_namespace()
{
    let node = Node::new().await;
    node.write_config(&json!({"multusNamespace": "infra"}));
    node.api.nad("infra/flannel", MACVLAN, None);
    let conf = node.conf(&json!({"clusterNetwork": "flannel"}));
    let installed = json!({"cniVersion": "1.0.0", "name": "n", "plugins": [conf]});
    node.write("net.d/00-multus.conflist", &installed.to_string());
    let daemon = node.start().await;
    let conf = multus_plugin::config::NetConf::parse(conf.to_string().as_bytes()).unwrap();
    let kept = conf.kept_primary().unwrap();
    until("the default network is kept", async || kept.exists()).await;
    drop(daemon);
}
