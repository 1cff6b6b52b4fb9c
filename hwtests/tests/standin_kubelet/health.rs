//! Probes, and volumes whose content comes from the API.

use std::fs;
use std::path::{Path, PathBuf};

use hwtests::standin::api::{Part, Resource, object};
use serde_json::{Value, json};

use crate::bench::{Bench, until};

fn probed(name: &str, probes: &Value) -> Value {
    let mut manifest = Bench::manifest(name, 1);
    for (kind, probe) in probes.as_object().unwrap() {
        manifest["spec"]["containers"][0][kind] = probe.clone();
    }
    manifest
}

fn asking(command: &str, failures: u32) -> Value {
    json!({"exec": {"command": [command]}, "periodSeconds": 1, "failureThreshold": failures})
}

fn is_ready(bench: &Bench) -> bool {
    let pod = bench.pod("p").unwrap();
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

#[tokio::test]
async fn a_container_is_ready_when_its_probes_say_so() {
    let bench = Bench::start().await;
    let probes = json!({"startupProbe": asking("start", 60), "readinessProbe": asking("ready", 1)});
    bench.create(probed("p", &probes));
    bench.phase("p", "Running").await;
    until("a failure is told", || {
        !bench.events("Unhealthy").is_empty()
    })
    .await;
    assert_eq!(
        bench.events("Unhealthy"),
        ["Startup probe failed: start ended with 127"]
    );
    bench.runtime.command("start", 0);
    until("the start is told", || {
        bench.pod("p").unwrap()["status"]["containerStatuses"][0]["started"] == true
    })
    .await;
    assert!(!is_ready(&bench));
    bench.runtime.command("ready", 0);
    until("it is ready", || is_ready(&bench)).await;
    bench.runtime.command("ready", 1);
    until("it is not ready any more", || !is_ready(&bench)).await;
    assert_eq!(
        bench.runtime.calls("StopContainer"),
        0,
        "it serves nobody and lives"
    );
}

#[tokio::test]
async fn a_container_that_does_not_live_is_started_anew() {
    let bench = Bench::start().await;
    bench.runtime.command("live", 0);
    bench.create(probed("p", &json!({"livenessProbe": asking("live", 2)})));
    bench.phase("p", "Running").await;
    bench.runtime.command("live", 3);
    until("it is started again", || {
        bench.runtime.calls("StartContainer") == 2
    })
    .await;
    assert_eq!(bench.runtime.calls("StopContainer"), 1);
    let told = "Container main failed liveness probe, will be restarted";
    assert!(
        bench.events("Killing").contains(&told.to_owned()),
        "{:?}",
        bench.events("Killing")
    );
}

fn host_path(bench: &Bench, at: &str) -> PathBuf {
    let container = bench.runtime.container();
    let mount = container
        .mounts
        .iter()
        .find(|mount| mount.container_path == at);
    let mount = mount.unwrap();
    assert!(
        mount.readonly,
        "content of the API is not the pod's to change"
    );
    PathBuf::from(&mount.host_path)
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn a_volume_follows_its_config_map_while_the_pod_runs() {
    let bench = Bench::start().await;
    let store = bench.api.store();
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "pools"}}]);
    manifest["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "v", "mountPath": "/etc/pools"}]);
    bench.create(manifest);
    until("its absence is told", || {
        !bench.events("FailedMount").is_empty()
    })
    .await;
    assert!(
        bench.events("FailedMount")[0].contains("\"pools\" not found"),
        "{:?}",
        bench.events("FailedMount")
    );
    let map = json!({"metadata": {"name": "pools"}, "data": {"config.json": "one"}});
    store.create(Resource::ConfigMaps, "default", map).unwrap();
    bench.phase("p", "Running").await;
    let folder = host_path(&bench, "/etc/pools");
    assert_eq!(text(&folder, "config.json"), "one");
    let other = |map: &Value| {
        let mut map = map.clone();
        map["data"]["config.json"] = json!("two");
        Ok(map)
    };
    store
        .update(Resource::ConfigMaps, "default", "pools", Part::Main, other)
        .unwrap();
    until("the file follows", || text(&folder, "config.json") == "two").await;
    assert_eq!(bench.runtime.calls("StartContainer"), 1);
}

#[tokio::test]
async fn a_pod_of_a_service_account_finds_token_authority_and_server() {
    let bench = Bench::with_service().await;
    let account = json!({"metadata": {"name": "a"}});
    bench
        .api
        .store()
        .create(Resource::ServiceAccounts, "default", account)
        .unwrap();
    let mut manifest = Bench::manifest("p", 1);
    manifest["spec"]["serviceAccountName"] = json!("a");
    bench.create(manifest);
    let pod = bench.phase("p", "Running").await;
    let folder = host_path(&bench, "/var/run/secrets/kubernetes.io/serviceaccount");
    assert!(text(&folder, "token").starts_with("standin."));
    assert!(text(&folder, "ca.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(text(&folder, "namespace"), "default");
    assert!(object::text(&pod, "/spec/volumes/0/name").starts_with("kube-api-access-"));
    let variables = bench.runtime.container().envs;
    let host = variables
        .iter()
        .find(|one| one.key == "KUBERNETES_SERVICE_HOST");
    assert_eq!(host.unwrap().value, "127.0.0.1");
}
