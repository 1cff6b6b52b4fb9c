//! Installed, guarded, drained: the CNI configuration over the daemon's life.

use multus_plugin::lifecycle::intent::{Intent, Store};
use serde_json::json;

use super::node::{Daemon, MACVLAN, Node, until};

const OURS: &str = "net.d/00-multus.conflist";

/// A node with the plugin installed, and a DaemonSet in the API.
pub(crate) async fn installed() -> Node {
    let node = Node::new().await;
    node.write("plugin", "the plugin");
    host::file::create_dir(&node.path("bin"), 0o755).unwrap();
    install(&node).await;
    node.api.put(
        "daemonsets",
        json!({"metadata": {"namespace": "kube-system", "name": "multus"}}),
    );
    node
}

async fn install(node: &Node) {
    let (bin, conf, plugin) = (node.path("bin"), node.path("net.d"), node.path("plugin"));
    let output = node
        .one_shot(
            "install",
            &[
                "--cni-bin-dir",
                bin.to_str().unwrap(),
                "--cni-conf-dir",
                conf.to_str().unwrap(),
                "--multus-bin-file",
                plugin.to_str().unwrap(),
            ],
            &json!(null),
        )
        .await;
    assert!(output.status.success(), "{output:?}");
}

fn text(node: &Node) -> Option<String> {
    host::file::read_text(&node.path(OURS)).unwrap()
}

fn intent(node: &Node) -> Option<Intent> {
    let installed = Store::new(&node.path("state")).read().unwrap();
    installed.map(|installed| installed.intent)
}

/// The daemon with its watch of the DaemonSet open.
async fn watching(node: &Node) -> Daemon {
    let daemon = node.start().await;
    node.api
        .until("the DaemonSet is watched", |state| {
            let watch = |call: &String| call.contains("daemonsets") && call.contains("watch=");
            state.calls.iter().any(watch)
        })
        .await;
    daemon
}

#[tokio::test]
async fn i2_a_damaged_or_removed_configuration_is_written_again() {
    let node = installed().await;
    let good = text(&node).unwrap();
    let daemon = node.start().await;
    for damage in [Some(""), Some("{"), None] {
        match damage {
            Some(text) => node.write(OURS, text),
            None => drop(host::file::remove(&node.path(OURS)).unwrap()),
        }
        until("it is whole again", async || {
            text(&node).as_ref() == Some(&good)
        })
        .await;
    }
    node.write(
        "net.d/00-multus.conf",
        r#"{"name":"x","type":"multus-shim"}"#,
    );
    until("what Go multus left is gone", async || {
        !node.path("net.d/00-multus.conf").exists()
    })
    .await;
    drop(daemon);
}

#[tokio::test]
async fn row_51_a_changed_primary_is_followed() {
    let node = installed().await;
    let daemon = node.start().await;
    node.write(
        "net.d/05-calico.conflist",
        r#"{"cniVersion":"1.0.0","name":"calico","plugins":[{"type":"calico"}]}"#,
    );
    until("calico is the default network", async || {
        text(&node).is_some_and(|text| text.contains("05-calico.conflist"))
    })
    .await;
    drop(daemon);
}

#[tokio::test]
async fn i3_neither_sigterm_nor_sigkill_nor_a_forbidden_api_touches_the_configuration() {
    let node = installed().await;
    let good = text(&node);
    assert!(watching(&node).await.stop().await.success());
    assert_eq!(text(&node), good);
    drop(watching(&node).await);
    node.api.set_down(true);
    let daemon = node.start().await;
    assert!(daemon.stop().await.success());
    assert_eq!((text(&node), intent(&node)), (good, Some(Intent::Serve)));
}

#[tokio::test]
async fn row_64_the_deletion_of_our_daemonset_removes_multus_from_a_node_without_sandboxes() {
    let node = installed().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = watching(&node).await;
    node.api.delete("daemonsets", "kube-system", "multus");
    until("the configuration is gone", async || text(&node).is_none()).await;
    assert!(daemon.stop().await.success());
    for gone in ["bin/multus", "bin/multus-shim", "state"] {
        let left = host::file::list(&node.path(gone)).unwrap_or_default();
        assert!(!node.path(gone).exists(), "{gone}: {left:?}");
    }
    assert!(node.path("net.d/10-cbr0.conflist").exists());
}

#[tokio::test]
async fn with_a_recorded_sandbox_the_deletion_only_drains() {
    let node = installed().await;
    host::file::create_dir(&node.path("state/journal"), 0o700).unwrap();
    node.write("state/journal/c1", "a record");
    let daemon = watching(&node).await;
    node.api.delete("daemonsets", "kube-system", "multus");
    until("the node drains", async || {
        intent(&node) == Some(Intent::Drain)
    })
    .await;
    assert!(daemon.stop().await.success());
    assert!(text(&node).is_some() && node.path("bin/multus").exists());
    let daemon = node.start().await;
    node.write(OURS, "{}");
    host::file::remove(&node.path("state/journal/c1")).unwrap();
    assert!(daemon.stop().await.success());
    assert!(!node.path("state").exists(), "nobody heals while it drains");
}

#[tokio::test]
async fn a_daemonset_that_is_missing_from_the_start_means_nothing() {
    let node = installed().await;
    node.api.delete("daemonsets", "kube-system", "multus");
    let daemon = watching(&node).await;
    assert!(daemon.stop().await.success());
    assert_eq!(intent(&node), Some(Intent::Serve));
    assert!(text(&node).is_some());
}
