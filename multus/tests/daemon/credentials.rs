//! Rows 56 and 58: tokens that are rotated, certificates of nodes, and who may ask at the socket.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::unistd::Uid;
use serde_json::{Value, json};

use super::node::{Node, report};

fn kubeconfig(node: &Node, user: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": node.api.url}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]
    })
    .to_string()
}

#[tokio::test]
async fn row_58_a_rotated_token_file_is_read_again_after_a_401() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    node.write("token", "old");
    let file = node.path("token");
    node.write(
        "kubeconfig",
        &kubeconfig(&node, &json!({"tokenFile": file})),
    );
    node.api.state().token = Some("old".into());
    let daemon = node.start().await;
    node.api.state().token = Some("new".into());
    daemon.report(&report("p")).await.ok();
    node.api
        .until("the old token is refused", |state| state.unauthorized > 0)
        .await;
    assert_eq!(node.api.status("p"), None);
    node.write("token", "new");
    node.api.until_status("p").await;
}

#[tokio::test]
async fn row_58_a_kubeconfig_that_was_written_anew_is_read_again_after_a_401() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    node.write("kubeconfig", &kubeconfig(&node, &json!({"token": "old"})));
    node.api.state().token = Some("old".into());
    let daemon = node.start().await;
    node.api.state().token = Some("new".into());
    daemon.report(&report("p")).await.ok();
    node.api
        .until("the old token is refused", |state| state.unauthorized > 0)
        .await;
    node.write("kubeconfig", &kubeconfig(&node, &json!({"token": "new"})));
    node.api.until_status("p").await;
}

/// Needs root, as the daemon does: another user's process has to be made.
#[tokio::test]
async fn the_socket_serves_no_other_user_even_if_the_files_let_him() {
    if !Uid::effective().is_root() {
        return;
    }
    let node = Node::new().await;
    let daemon = node.start().await;
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&node.path(""), 0o755);
    open(&node.path("run"), 0o755);
    open(daemon.socket(), 0o666);
    // The program's own path may be closed to others.
    let program = node.path("multus-daemon");
    std::fs::copy(env!("CARGO_BIN_EXE_multus-daemon"), &program).unwrap();
    open(&program, 0o755);
    let probe = |uid: u32| {
        tokio::process::Command::new(&program)
            .args(["probe", "live", "--config", "/nonexistent", "--socket-dir"])
            .arg(node.path("run"))
            .env_clear()
            .uid(uid)
            .stderr(Stdio::piped())
            .output()
    };
    let own = probe(0).await.unwrap();
    assert!(own.status.success(), "{own:?}");
    let other = probe(65534).await.unwrap();
    let text = String::from_utf8_lossy(&other.stderr).into_owned();
    // It reaches the socket, and is hung up on.
    assert!(
        !other.status.success() && !text.contains("Permission"),
        "{text}"
    );
    assert!(probe(0).await.unwrap().status.success());
}
