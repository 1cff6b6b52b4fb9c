//! Rows 56 and 58: tokens that are rotated, certificates of nodes, and who may ask at the socket.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::unistd::Uid;
use serde_json::{Value, json};

use super::node::{Node, report, until};

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
async fn row_49_the_socket_serves_no_other_user_even_if_the_files_let_him() {
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

/// A token of a pod, with `exp` and something that tells it from others.
fn bound(exp: u64, mark: &str) -> String {
    let payload = json!({"exp": exp, "jti": mark, "kubernetes.io": {"namespace": "kube-system", "pod": {"name": "multus-x"}}});
    let payload = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        payload.to_string(),
    );
    format!("e30.{payload}.c2ln")
}

#[tokio::test]
async fn row_58_a_resident_pod_keeps_the_kubeconfig_fresh_and_leaves_it_at_sigterm() {
    let node = Node::new().await;
    for dir in ["account", "bin"] {
        host::file::create_dir(&node.path(dir), 0o755).unwrap();
    }
    node.write("plugin", "the plugin");
    node.write("account/token", &bound(4_102_444_800, "one"));
    node.write("account/ca.crt", "the ca");
    let kubeconfig = node.path("net.d/multus.d/multus.kubeconfig");
    let of = |name: &str| node.path(name).display().to_string();
    let options = [
        format!("--cni-bin-dir={}", of("bin")),
        format!("--cni-conf-dir={}", of("net.d")),
        format!("--multus-bin-file={}", of("plugin")),
        format!("--multus-daemon-bin-file={}", of("plugin")),
        format!("--service-account-dir={}", of("account")),
        format!("--multus-kubeconfig-file-host={}", kubeconfig.display()),
        "--api-server=https://10.0.0.1".to_owned(),
    ];
    let resident = node.resident("thin", &options);
    let holds = |mark: &str| {
        let text = host::file::read_text(&kubeconfig)
            .unwrap()
            .unwrap_or_default();
        text.contains(&bound(4_102_444_800, mark))
    };
    until("the kubeconfig is there", async || holds("one")).await;
    node.write("account/token", &bound(4_102_444_800, "two"));
    until("the token of the pod is in it", async || holds("two")).await;
    let ours = node.path("net.d/00-multus.conflist");
    host::file::remove(&ours).unwrap();
    until("the configuration is guarded", async || ours.exists()).await;
    assert!(resident.stop().await.success());
    assert!(holds("two") && ours.exists());
}

#[tokio::test]
async fn row_58_a_plan_with_the_token_of_a_pod_that_is_gone_names_that_pod() {
    let node = Node::new().await;
    node.api.state().token = Some("another".into());
    let token = bound(1000, "old");
    node.write(
        "thin.kubeconfig",
        &kubeconfig(&node, &json!({"token": token})),
    );
    let mut request = node.request("p", None);
    request["config"]["kubeconfig"] = json!(node.path("thin.kubeconfig"));
    let output = node.one_shot("plan", &[], &request).await;
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = error["msg"].as_str().unwrap();
    assert_eq!(error["code"], 11, "{error}");
    for word in [
        "thin.kubeconfig",
        "ended at 1970-01-01T00:16:40Z",
        "kube-system/multus-x",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}
