//! Pods that go.

use hwtests::standin::api::{DeleteOptions, Resource};
use serde_json::json;

use crate::bench::{Bench, until};
use crate::plugin::FakePlugin;

async fn running() -> (Bench, FakePlugin) {
    let bench = Bench::start().await;
    let plugin = FakePlugin::serve(&bench.root().join("plugins_registry/net.sock"), &["a"]);
    bench.counts(1, 1).await;
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["volumes"] = json!([{"name": "scratch", "emptyDir": {}}]);
    bench.create(manifest);
    bench.phase("p", "Running").await;
    (bench, plugin)
}

#[tokio::test]
async fn a_deleted_pod_is_taken_down_in_order_and_frees_its_devices() {
    let (bench, _plugin) = running().await;
    let folders = || {
        std::fs::read_dir(bench.root().join("pods"))
            .unwrap()
            .count()
    };
    assert_eq!(folders(), 1);
    bench.delete("p");
    bench.gone("p").await;
    let calls = bench.runtime.state().calls.clone();
    let end = [
        "StopContainer",
        "StopPodSandbox",
        "RemoveContainer",
        "RemovePodSandbox",
    ];
    assert_eq!(calls[calls.len() - 4..], end);
    assert!(bench.runtime.state().sandboxes.is_empty());
    assert_eq!(folders(), 0);
    bench.create(Bench::manifest("q", 1));
    bench.phase("q", "Running").await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_stopped_keeps_its_pod_and_its_devices() {
    let (bench, _plugin) = running().await;
    bench
        .runtime
        .refuse("StopPodSandbox", "failed to destroy network");
    bench
        .runtime
        .refuse("StopPodSandbox", "failed to destroy network");
    bench.delete("p");
    until("it is told", || !bench.events("FailedKillPod").is_empty()).await;
    assert!(bench.pod("p").is_some());
    bench.create(Bench::manifest("q", 1));
    bench.phase("q", "Failed").await;
    bench.gone("p").await;
    assert_eq!(bench.runtime.calls("StopPodSandbox"), 3);
    assert!(bench.events("FailedKillPod")[0].contains("failed to destroy network"));
}

#[tokio::test]
async fn a_pod_that_the_api_forgot_is_taken_down() {
    let (bench, _plugin) = running().await;
    let at_once = DeleteOptions {
        grace: Some(0),
        ..DeleteOptions::default()
    };
    bench
        .api
        .store()
        .delete(Resource::Pods, "default", "p", &at_once)
        .unwrap();
    until("its sandbox is gone", || {
        bench.runtime.state().sandboxes.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_pod_deleted_while_its_sandbox_fails_goes() {
    let bench = Bench::start().await;
    for _ in 0..50 {
        bench.runtime.refuse("RunPodSandbox", "no network");
    }
    bench.create(Bench::manifest("p", 1));
    until("it is told", || {
        !bench.events("FailedCreatePodSandBox").is_empty()
    })
    .await;
    bench.delete("p");
    bench.gone("p").await;
    assert_eq!(bench.runtime.calls("StopPodSandbox"), 0);
}

#[tokio::test]
async fn a_pod_of_the_same_name_is_another_pod() {
    let (bench, plugin) = running().await;
    bench.delete("p");
    bench.gone("p").await;
    bench.create(Bench::manifest("p", 1));
    bench.phase("p", "Running").await;
    assert_eq!(plugin.asked().allocated.len(), 2);
    assert_eq!(bench.runtime.state().sandboxes.len(), 1);
}

#[tokio::test]
async fn a_pod_that_is_over_frees_its_devices() {
    let bench = Bench::start().await;
    let _plugin = FakePlugin::serve(&bench.root().join("plugins_registry/net.sock"), &["a"]);
    bench.counts(1, 1).await;
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["restartPolicy"] = json!("Never");
    bench.create(manifest);
    bench.phase("p", "Running").await;
    bench.runtime.exit(0);
    bench.phase("p", "Succeeded").await;
    until("its sandbox is gone", || {
        bench.runtime.state().sandboxes.is_empty()
    })
    .await;
    bench.create(Bench::manifest("q", 1));
    bench.phase("q", "Running").await;
    bench.delete("p");
    assert!(bench.pod("p").is_none());
}
