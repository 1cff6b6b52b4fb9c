//! The steps, each with what it observed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
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
    look,
};
use crate::guest::{
    cluster::{NODE, POD_START},
    containerd::{CNI_BIN_DIR, CNI_CONF_DIR},
    node::{Node, Options, start_multus_daemon},
    pod::{PodSpec, network},
};

/// All that multus puts onto a node.
pub(super) const FILES: [&str; 6] = [
    "/etc/cni/net.d/00-multus.conflist",
    "/etc/cni/net.d/00-multus.conf",
    "/opt/cni/bin/multus",
    "/opt/cni/bin/multus-shim",
    "/var/lib/cni/multus",
    "/opt/cni/bin/passthru",
];

/// Where files of ours can be.
const PLACES: [&str; 5] = [
    "/etc/cni",
    "/opt/cni",
    "/var/lib/cni",
    "/run/multus",
    "/var/run/k8s.cni.cncf.io",
];

/// A pod's deletion, several tries of the kubelet included.
pub(super) const DELETION: Duration = Duration::from_mins(1);

pub(super) async fn install(node: &mut Node, options: &Options) -> Result<String> {
    node.multus_daemon
        .terminate(Duration::from_secs(10))
        .await?;
    for file in &FILES[..4] {
        let _ = fs::remove_file(file);
    }
    // Left by an older multus: it would shadow ours.
    fs::write(
        FILES[1],
        r#"{"cniVersion":"0.3.1","name":"old","type":"multus-shim"}"#,
    )
    .context("write an old configuration")?;
    run_install(options)?;
    ensure!(
        !Path::new(FILES[1]).exists(),
        "the old configuration is still there"
    );
    node.multus_daemon = start_multus_daemon(options, &node.cluster).await?;
    let list: Value = read_json(FILES[0])?;
    ensure!(
        list["plugins"][0]["clusterNetwork"] == format!("{CNI_CONF_DIR}/10-bridge.conflist"),
        "the generated configuration: {list}"
    );
    Ok(format!(
        "{}, versions {}",
        list["name"], list["cniVersions"]
    ))
}

/// What the DaemonSet's init container runs, at every start of the pod.
fn run_install(options: &Options) -> Result<()> {
    let output = Command::new(options.program("multus-daemon"))
        .arg("install")
        .args(["--cni-bin-dir", CNI_BIN_DIR, "--cni-conf-dir", CNI_CONF_DIR])
        .arg("--multus-bin-file")
        .arg(options.program("multus"))
        .output()
        .context("run multus-daemon install")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "multus-daemon install: {text}");
    Ok(())
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

/// As a DaemonSet with maxSurge 1 does it: the new pod's init container and daemon first, then the old one's end.
pub(super) async fn upgrade(node: &mut Node, options: &Options) -> Result<String> {
    let names: Vec<String> = (0..4).map(|index| format!("load-{index}")).collect();
    let program = || fs::metadata(FILES[2]).map(|meta| meta.ino()).ok();
    let before = program();
    for name in &names {
        let pod = PodSpec::new(name).networks("mv").manifest(NODE);
        node.cluster.client.create(&pod).await?;
    }
    run_install(options)?;
    let new = start_multus_daemon(options, &node.cluster).await?;
    let mut old = std::mem::replace(&mut node.multus_daemon, new);
    old.terminate(Duration::from_secs(10)).await?;
    for name in &names {
        running(node, name).await?;
        has(node, name, "net1").await?;
    }
    for name in &names {
        node.cluster.client.delete_pod(name, DELETION).await?;
    }
    let replaced = if program() == before {
        "the same program stays"
    } else {
        "its program renamed into place"
    };
    Ok(format!(
        "{} pods with macvlan across two daemons, {replaced}",
        names.len()
    ))
}

pub(super) async fn uninstall(node: &mut Node) -> Result<String> {
    let (done, text) = multus(&["uninstall"])?;
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
        Path::new(FILES[0]).exists(),
        "it left before the last pod with a network"
    );
    Ok(event)
}

pub(super) async fn last(node: &Node) -> Result<String> {
    node.cluster.client.delete_pod("vf-2", DELETION).await?;
    let left = ours()?;
    ensure!(left.is_empty(), "still on the node:\n{}", left.join("\n"));
    Ok("configuration, programs and state are gone".to_owned())
}

pub(super) async fn clean(node: &Node) -> Result<String> {
    start(node, &PodSpec::new("plain-5")).await?;
    for name in ["plain-3", "plain-4", "plain-5"] {
        node.cluster.client.delete_pod(name, DELETION).await?;
    }
    let left = ours()?;
    ensure!(left.is_empty(), "on the node again:\n{}", left.join("\n"));
    all_is_back(node)
}

/// Files that are ours by name or by what they hold.
fn ours() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in PLACES {
        below(Path::new(folder), &mut found)?;
    }
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let (path, kind) = (entry.path(), entry.file_type().context("look at a file")?);
        if kind.is_dir() {
            below(&path, found)?;
        } else if path.to_string_lossy().contains("multus") {
            found.push(path.display().to_string());
        }
    }
    Ok(())
}

pub(super) fn with_vf(name: &str) -> PodSpec {
    PodSpec::new(name).networks("vf").devices(KERNEL, 1)
}

pub(super) async fn has(node: &Node, pod: &str, interface: &str) -> Result<()> {
    let links = look::links(node, pod).await?;
    ensure!(
        links.contains_key(interface),
        "pod {pod} has no {interface}, only {:?}",
        links.keys()
    );
    Ok(())
}

/// Waits for a pod whose sandbox may be refused again and again before.
pub(super) async fn running(node: &Node, name: &str) -> Result<()> {
    let deadline = Instant::now() + POD_START * 2;
    loop {
        let pod = node.cluster.client.pod(name).await?;
        let phase = pod.unwrap_or_default()["status"]["phase"].clone();
        if phase == "Running" {
            return Ok(());
        }
        if Instant::now() > deadline {
            let events = node.cluster.client.events(name).await?;
            bail!("pod {name} is {phase}; its events:\n{}", events.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

fn multus(words: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(Path::new(CNI_BIN_DIR).join("multus"))
        .env_remove("CNI_COMMAND")
        .args(words)
        .output()
        .context("run multus")?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).trim().to_owned(),
    ))
}

pub(super) fn read_json(path: &str) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("read {path}: {text}"))
}
