//! Registration and health of device plugins.

use hwtests::standin::api::{Resource, object};

use crate::bench::{Bench, NET, until};
use crate::plugin::{FakePlugin, device};

#[tokio::test]
async fn a_plugin_that_registers_is_offered_by_the_node() {
    let bench = Bench::start().await;
    let _plugin = FakePlugin::serve(&bench.root().join("device-plugins/net.sock"), &["a", "b"]);
    FakePlugin::register(&bench.root(), "net.sock", "v1beta1")
        .await
        .unwrap();
    bench.counts(2, 2).await;
    let allocatable = format!("/status/allocatable/{}", NET.replace('/', "~1"));
    let node = || bench.api.store().get(Resource::Nodes, "", "node").unwrap();
    until("the node shows it", || {
        object::text(&node(), &allocatable) == "2"
    })
    .await;
    assert_eq!(object::text(&node(), "/status/conditions/0/status"), "True");
    assert_eq!(
        object::text(&node(), "/status/nodeInfo/containerRuntimeVersion"),
        "fake://1"
    );
}

#[tokio::test]
async fn a_plugin_of_another_version_is_refused() {
    let bench = Bench::start().await;
    let _plugin = FakePlugin::serve(&bench.root().join("device-plugins/net.sock"), &["a"]);
    let refusal = FakePlugin::register(&bench.root(), "net.sock", "v1alpha")
        .await
        .unwrap_err();
    assert!(refusal.message().contains("v1alpha"), "{refusal}");
    assert!(bench.kubelet.devices().is_empty());
}

#[tokio::test]
async fn a_plugin_whose_socket_does_not_answer_is_refused() {
    let bench = Bench::start().await;
    assert!(
        FakePlugin::register(&bench.root(), "nobody.sock", "v1beta1")
            .await
            .is_err()
    );
    assert!(bench.kubelet.devices().is_empty());
}

#[tokio::test]
async fn a_socket_in_the_registry_folder_is_asked_and_told() {
    let bench = Bench::start().await;
    let socket = bench.root().join("plugins_registry/net.sock");
    let plugin = FakePlugin::serve(&socket, &["a"]);
    bench.counts(1, 1).await;
    until("the plugin is told", || !plugin.asked().told.is_empty()).await;
    assert!(plugin.asked().told[0].plugin_registered);
    drop(plugin);
    bench.counts(1, 0).await;
    // Another plugin at the same path is another registration.
    let _again = FakePlugin::serve(&socket, &["a", "b"]);
    bench.counts(2, 2).await;
}

#[tokio::test]
async fn a_plugin_in_the_registry_folder_that_speaks_another_version_is_told_why_not() {
    let bench = Bench::start().await;
    let socket = bench.root().join("plugins_registry/net.sock");
    let plugin = FakePlugin::serve_as(&socket, &["a"], "v2", None);
    until("the plugin is told", || !plugin.asked().told.is_empty()).await;
    let told = &plugin.asked().told[0];
    assert!(
        !told.plugin_registered && told.error.contains("[v2]"),
        "{told:?}"
    );
    assert!(bench.kubelet.devices().is_empty());
}

#[tokio::test]
async fn health_follows_the_plugin() {
    let bench = Bench::start().await;
    let socket = bench.root().join("plugins_registry/net.sock");
    let plugin = FakePlugin::serve(&socket, &["a", "b"]);
    bench.counts(2, 2).await;
    plugin.set(vec![device("a", "Healthy"), device("b", "Unhealthy")]);
    bench.counts(2, 1).await;
    plugin.set(vec![device("a", "Healthy")]);
    bench.counts(1, 1).await;
    drop(plugin);
    bench.counts(1, 0).await;
}

#[tokio::test]
async fn a_restart_wipes_the_sockets_and_forgets_the_plugins() {
    let bench = Bench::start().await;
    let folder = bench.root().join("device-plugins");
    assert!(!folder.join("stale.sock").exists());
    let plugin = FakePlugin::serve(&folder.join("net.sock"), &["a"]);
    FakePlugin::register(&bench.root(), "net.sock", "v1beta1")
        .await
        .unwrap();
    bench.counts(1, 1).await;
    bench.kubelet.restart().await.unwrap();
    assert!(!folder.join("net.sock").exists());
    assert!(folder.join("kubelet.sock").exists());
    bench.counts(1, 0).await;
    drop(plugin);
    let _again = FakePlugin::serve(&folder.join("net.sock"), &["a"]);
    FakePlugin::register(&bench.root(), "net.sock", "v1beta1")
        .await
        .unwrap();
    bench.counts(1, 1).await;
}

#[tokio::test]
async fn a_restart_asks_the_sockets_of_the_registry_folder_again() {
    let bench = Bench::start().await;
    let plugin = FakePlugin::serve(&bench.root().join("plugins_registry/net.sock"), &["a"]);
    bench.counts(1, 1).await;
    bench.kubelet.restart().await.unwrap();
    until("the plugin is told again", || {
        plugin.asked().told.len() == 2
    })
    .await;
    bench.counts(1, 1).await;
}
