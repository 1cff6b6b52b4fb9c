//! Pods that start, and pods that do not.

use hwtests::standin::api::object;
use serde_json::json;

use crate::bench::{Bench, until};
use crate::plugin::FakePlugin;

async fn with_plugin(ids: &[&str]) -> (Bench, FakePlugin) {
    let bench = Bench::start().await;
    let plugin = FakePlugin::serve(&bench.root().join("plugins_registry/net.sock"), ids);
    bench.counts(ids.len(), ids.len()).await;
    (bench, plugin)
}

#[tokio::test]
async fn a_pod_runs_with_its_devices() {
    let (bench, plugin) = with_plugin(&["a", "b", "c"]).await;
    bench.create(Bench::manifest("p", 2));
    let pod = bench.phase("p", "Running").await;
    assert_eq!(object::text(&pod, "/status/podIP"), "10.0.0.2");
    assert_eq!(
        pod["status"]["podIPs"],
        json!([{"ip": "10.0.0.2"}, {"ip": "fd00::2"}])
    );
    assert!(
        object::text(&pod, "/status/containerStatuses/0/containerID")
            .starts_with("containerd://container-")
    );
    let allocated = plugin.asked().allocated[0].clone();
    assert_eq!(allocated.len(), 2);
    let container = bench.runtime.container();
    let variable = container
        .envs
        .iter()
        .find(|one| one.key == "PCIDEVICE_INTEL_COM_SRIOV_NET")
        .unwrap();
    assert_eq!(variable.value, allocated.join(","));
    assert_eq!(container.devices.len(), 2);
    assert_eq!(
        (
            container.mounts[0].host_path.as_str(),
            container.mounts[0].readonly
        ),
        ("/out", true)
    );
    assert_eq!(container.annotations["cdi.k8s.io/test"], "a/b=c");
    assert_eq!(container.cdi_devices[0].name, "a/b=c");
    assert_eq!(container.image.unwrap().image, "sha256:busybox");
}

#[tokio::test]
async fn a_sandbox_knows_its_pod_and_has_a_log_folder() {
    let (bench, _plugin) = with_plugin(&["a"]).await;
    bench.create(Bench::manifest("p", 1));
    let pod = bench.phase("p", "Running").await;
    let (config, _) = bench
        .runtime
        .state()
        .sandboxes
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(config.annotations["k8s.v1.cni.cncf.io/networks"], "net");
    assert_eq!(config.labels["io.kubernetes.pod.uid"], object::uid(&pod));
    assert_eq!(config.labels["io.kubernetes.pod.namespace"], "default");
    assert_eq!(config.hostname, "p");
    assert!(
        std::path::Path::new(&config.log_directory)
            .join("main")
            .is_dir()
    );
}

#[tokio::test]
async fn a_pod_that_wants_more_than_there_is_has_failed() {
    let (bench, plugin) = with_plugin(&["a"]).await;
    bench.create(Bench::manifest("p", 2));
    let pod = bench.phase("p", "Failed").await;
    assert_eq!(
        object::text(&pod, "/status/reason"),
        "UnexpectedAdmissionError"
    );
    let message = object::text(&pod, "/status/message");
    assert!(
        message.contains("unavailable for intel.com/sriov_net. Requested: 2, Available: 1"),
        "{message}"
    );
    assert!(plugin.asked().allocated.is_empty());
    assert_eq!(bench.runtime.calls("RunPodSandbox"), 0);
    // It holds nothing.
    bench.create(Bench::manifest("q", 1));
    bench.phase("q", "Running").await;
}

#[tokio::test]
async fn a_pod_whose_plugin_refuses_has_failed() {
    let (bench, _plugin) = with_plugin(&["refused"]).await;
    bench.create(Bench::manifest("p", 1));
    let pod = bench.phase("p", "Failed").await;
    assert!(
        object::text(&pod, "/status/message").contains("device is broken"),
        "{pod}"
    );
}

#[tokio::test]
async fn a_resource_that_nobody_offers_is_let_pass() {
    let bench = Bench::start().await;
    bench.create(Bench::manifest("p", 1));
    bench.phase("p", "Running").await;
    assert!(bench.runtime.container().devices.is_empty());
}

#[tokio::test]
async fn the_device_that_a_plugin_prefers_is_taken_and_its_start_announced() {
    let bench = Bench::start().await;
    let socket = bench.root().join("plugins_registry/net.sock");
    let plugin = FakePlugin::serve_as(&socket, &["a", "b", "c", "d", "e"], "v1beta1", Some("d"));
    bench.counts(5, 5).await;
    bench.create(Bench::manifest("p", 1));
    bench.phase("p", "Running").await;
    assert_eq!(plugin.asked().allocated, [["d"]]);
    assert_eq!(plugin.asked().started, [["d"]]);
}

#[tokio::test]
async fn a_sandbox_that_fails_is_tried_again_and_the_runtimes_words_are_told() {
    let (bench, plugin) = with_plugin(&["a"]).await;
    bench.runtime.refuse(
        "RunPodSandbox",
        "failed to setup network for sandbox: plugin type=\"multus\" failed (add)",
    );
    bench.create(Bench::manifest("p", 1));
    bench.phase("p", "Running").await;
    let words = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: \
                 plugin type=\"multus\" failed (add)";
    assert_eq!(bench.events("FailedCreatePodSandBox"), [words]);
    assert_eq!(bench.runtime.calls("RunPodSandbox"), 2);
    assert_eq!(plugin.asked().allocated.len(), 1);
}

#[tokio::test]
async fn a_pod_that_needs_what_is_not_offered_says_so() {
    let bench = Bench::start().await;
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
    bench.create(manifest);
    let pod = bench.phase("p", "Failed").await;
    assert_eq!(object::text(&pod, "/status/reason"), "UnsupportedByStandIn");
    assert!(object::text(&pod, "/status/message").contains("spec.volumes[v] of kind secret"));
}

#[tokio::test]
async fn a_container_that_may_not_be_root_is_not_started_as_root() {
    let bench = Bench::start().await;
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["securityContext"] = json!({"runAsNonRoot": true});
    bench.create(manifest);
    until("it is told", || !bench.events("Failed").is_empty()).await;
    assert!(
        bench.events("Failed")[0].contains("runAsNonRoot"),
        "{:?}",
        bench.events("Failed")
    );
    assert_eq!(bench.runtime.calls("CreateContainer"), 0);
    bench.phase("p", "Pending").await;
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let bench = Bench::start().await;
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["containers"][0]["image"] = json!("elsewhere:1");
    bench.create(manifest);
    until("it is told", || !bench.events("Failed").is_empty()).await;
    assert!(bench.events("Failed")[0].contains("\"elsewhere:1\": this kubelet pulls none"));
    bench.delete("p");
    bench.gone("p").await;
}

#[tokio::test]
async fn a_container_that_ends_is_started_again_or_ends_the_pod() {
    let bench = Bench::start().await;
    bench.create(Bench::manifest("again", 1));
    bench.phase("again", "Running").await;
    bench.runtime.exit(1);
    until("it is started again", || {
        bench.runtime.calls("StartContainer") == 2
    })
    .await;
    let mut manifest = Bench::manifest("once", 1);
    manifest["spec"]["restartPolicy"] = json!("Never");
    bench.create(manifest);
    bench.phase("once", "Running").await;
    bench.runtime.exit(0);
    bench.phase("once", "Succeeded").await;
}

#[tokio::test]
async fn a_lost_sandbox_is_made_again_with_the_same_devices() {
    let (bench, plugin) = with_plugin(&["a", "b"]).await;
    bench.create(Bench::manifest("p", 1));
    bench.phase("p", "Running").await;
    let before = bench.runtime.container().envs;
    bench.runtime.break_sandbox();
    until("it runs again", || {
        bench.runtime.calls("StartContainer") == 2
    })
    .await;
    assert_eq!(bench.runtime.container().envs, before);
    assert_eq!(plugin.asked().allocated.len(), 1);
    let (config, _) = bench
        .runtime
        .state()
        .sandboxes
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(config.metadata.unwrap().attempt, 1);
    assert_eq!(bench.events("SandboxChanged").len(), 1);
}

#[tokio::test]
async fn a_pod_without_place_is_nobodys() {
    let bench = Bench::start().await;
    let mut manifest = Bench::manifest("elsewhere", 0);
    manifest["spec"]["nodeName"] = json!("other");
    bench.create(manifest);
    bench.create(Bench::manifest("here", 0));
    bench.phase("here", "Running").await;
    assert_eq!(bench.runtime.calls("RunPodSandbox"), 1);
    assert_eq!(
        object::text(&bench.pod("elsewhere").unwrap(), "/status/phase"),
        "Pending"
    );
}

#[tokio::test]
async fn init_containers_do_their_work_before_the_others_start() {
    let bench = Bench::start().await;
    let mut manifest = Bench::manifest("p", 0);
    let init = json!({"name": "install", "image": "busybox"});
    manifest["spec"]["initContainers"] = json!([init]);
    bench.create(manifest);
    until("the init container runs", || {
        bench.runtime.calls("StartContainer") == 1
    })
    .await;
    let only = bench.runtime.container().metadata.unwrap().name;
    assert_eq!(only, "install");
    // One that fails is tried again, and nothing else starts.
    bench.runtime.exit(1);
    until("it is tried again", || {
        bench.runtime.calls("StartContainer") == 2
    })
    .await;
    assert_eq!(bench.runtime.container().metadata.unwrap().attempt, 1);
    bench.runtime.exit(0);
    let pod = bench.phase("p", "Running").await;
    assert_eq!(pod["status"]["initContainerStatuses"][0]["ready"], true);
    assert_eq!(bench.runtime.calls("StartContainer"), 3);
    // Its end was no end of the pod, whose policy is to restart.
    assert_eq!(bench.runtime.state().containers.len(), 2);
}
