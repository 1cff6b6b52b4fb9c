//! The steps, each with what it observed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::super::{
    demo::{
        all_is_back,
        networks::{KERNEL, kernel_vf},
        start,
    },
    installation,
    load::{DELETION, has, running},
};
use crate::guest::{
    cluster::{NODE, POD_START},
    containerd::CNI_CONF_DIR,
    node::{Node, Options, start_multus_daemon},
    pod::{PodSpec, network},
};

pub(super) async fn install(node: &mut Node, options: &Options) -> Result<String> {
    node.multus_daemon
        .terminate(Duration::from_secs(10))
        .await?;
    for file in &installation::FILES[..4] {
        let _ = fs::remove_file(file);
    }
    // Left by an older multus: it would shadow ours.
    fs::write(
        installation::FILES[1],
        r#"{"cniVersion":"0.3.1","name":"old","type":"multus-shim"}"#,
    )
    .context("write an old configuration")?;
    installation::install(options)?;
    ensure!(
        !Path::new(installation::FILES[1]).exists(),
        "the old configuration is still there"
    );
    node.multus_daemon = start_multus_daemon(options, &node.cluster).await?;
    let list: Value = read_json(installation::FILES[0])?;
    ensure!(
        list["plugins"][0]["clusterNetwork"] == format!("{CNI_CONF_DIR}/10-bridge.conflist"),
        "the generated configuration: {list}"
    );
    Ok(format!(
        "{}, versions {}",
        list["name"], list["cniVersions"]
    ))
}

pub(super) async fn pods(node: &Node) -> Result<String> {
    let vf = json!({
        "cniVersion": "1.0.0", "name": "vf", "type": "sriov", "vlan": 300,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.60.0.0/24"}]]},
    });
    let macvlan = json!({
        "cniVersion": "1.0.0", "name": "mv", "type": "macvlan", "master": "ens5",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}]]},
    });
    let client = &node.cluster.client;
    client
        .create(&network("vf", Some(KERNEL), &vf.to_string()))
        .await?;
    client
        .create(&network("mv", None, &macvlan.to_string()))
        .await?;
    start(node, &PodSpec::new("plain-1")).await?;
    start(node, &with_vf("vf-1")).await?;
    start(node, &PodSpec::new("mv-1").networks("mv")).await?;
    let row = kernel_vf(node, "vf-1", "net1", 300).await?;
    has(node, "mv-1", "net1").await?;
    Ok(row)
}

pub(super) async fn deleted(node: &Node) -> Result<String> {
    let client = &node.cluster.client;
    client.delete_pod("vf-1", DELETION).await?;
    client.delete_pod("plain-2", DELETION).await?;
    let now = node.hardware.observe()?;
    let different = crate::guest::hardware::differences(&node.baseline, &now);
    ensure!(
        different.is_empty(),
        "not as it was:\n{}",
        different.join("\n")
    );
    Ok(format!("{} VFs as before the first pod", now.len()))
}

pub(super) async fn back(node: &mut Node, options: &Options) -> Result<String> {
    node.multus_daemon = start_multus_daemon(options, &node.cluster).await?;
    running(node, "vf-2").await?;
    kernel_vf(node, "vf-2", "net1", 300).await
}

pub(super) async fn uninstall(node: &mut Node) -> Result<String> {
    let (done, text) = installation::multus(&["uninstall"])?;
    ensure!(
        !done && text.contains("1 sandboxes"),
        "multus uninstall with one pod that has a network: {text}"
    );
    node.multus_daemon
        .terminate(Duration::from_secs(10))
        .await?;
    start(node, &PodSpec::new("plain-4")).await?;
    let pod = PodSpec::new("mv-2").networks("mv").manifest(NODE);
    node.cluster.client.create(&pod).await?;
    let event = refused(node, "mv-2", "being removed").await?;
    node.cluster.client.delete_pod("mv-2", DELETION).await?;
    node.cluster.client.delete_pod("plain-1", DELETION).await?;
    ensure!(
        Path::new(installation::FILES[0]).exists(),
        "it left before the last pod with a network"
    );
    Ok(event)
}

pub(super) async fn last(node: &Node) -> Result<String> {
    node.cluster.client.delete_pod("vf-2", DELETION).await?;
    let left = installation::files()?;
    ensure!(left.is_empty(), "still on the node: {left:?}");
    Ok("configuration, programs and state are gone".to_owned())
}

pub(super) async fn clean(node: &Node) -> Result<String> {
    start(node, &PodSpec::new("plain-5")).await?;
    for name in ["plain-3", "plain-4", "plain-5"] {
        node.cluster.client.delete_pod(name, DELETION).await?;
    }
    let left = installation::files()?;
    ensure!(left.is_empty(), "on the node again: {left:?}");
    all_is_back(node)
}

pub(super) fn with_vf(name: &str) -> PodSpec {
    PodSpec::new(name).networks("vf").devices(KERNEL, 1)
}

/// The kubelet's event that says why the sandbox was refused; the pod must not run.
pub(super) async fn refused(node: &Node, name: &str, says: &str) -> Result<String> {
    let deadline = Instant::now() + POD_START;
    loop {
        let events = node.cluster.client.events(name).await?;
        let told = events
            .iter()
            .rev()
            .find(|event| event.starts_with("FailedCreatePodSandBox") && event.contains(says));
        let pod = node.cluster.client.pod(name).await?.unwrap_or_default();
        ensure!(
            pod["status"]["phase"] != "Running",
            "pod {name} runs without its network"
        );
        if let Some(event) = told {
            let start = event.find("multus:").unwrap_or(0);
            return Ok(event[start..].chars().take(150).collect());
        }
        if Instant::now() > deadline {
            bail!("no event of {name} says {says:?}:\n{}", events.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) fn read_json(path: &str) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("read {path}: {text}"))
}
