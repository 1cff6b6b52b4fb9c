//! The daemon killed or frozen: nobody else is held up by the pods that it keeps waiting.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    super::{demo::start, installation::FILES, load::DELETION},
    steps::{read_json, refused, with_vf},
};
use crate::guest::{
    cluster::NODE,
    cni::{Plugin, Sandbox},
    containerd::{CNI_BIN_DIR, CNI_CONF_DIR},
    node::{Node, Options, start_multus_daemon},
    pod::{NETWORKS, PodSpec},
};

/// The design's second for all waits of an ADD, and what emulation may add to the clock. Waiting twice is beyond.
const WAITS: Duration = Duration::from_millis(1500);

pub(super) async fn killed(node: &mut Node) -> Result<String> {
    let since = ready_since(node).await?;
    node.multus_daemon.kill()?;
    start(node, &PodSpec::new("plain-2")).await?;
    let manifest = with_vf("vf-2").manifest(NODE);
    node.cluster.client.create(&manifest).await?;
    let event = refused(node, "vf-2", "multus-daemon").await?;
    let longest = refused_adds(5)?;
    ensure!(
        longest < WAITS,
        "an ADD that nobody can plan takes {} ms",
        longest.as_millis()
    );
    still_ready(node, &since).await?;
    Ok(format!(
        "a plain pod runs, the node stays ready; vf-2: {event}\nlongest of 5 refused ADDs: {} ms",
        longest.as_millis()
    ))
}

/// While the kubelet goes on trying the refused pod.
pub(super) async fn rewritten(node: &Node) -> Result<String> {
    let started = Instant::now();
    rewrite_primary(20).await?;
    start(node, &PodSpec::new("plain-3")).await?;
    node.cluster.client.delete_pod("mv-1", DELETION).await?;
    refused(node, "vf-2", "multus-daemon").await?;
    Ok(format!(
        "20 reloads, a plain ADD and a DEL with macvlan in {} ms",
        started.elapsed().as_millis()
    ))
}

/// The worst that a daemon can do: it takes requests and answers none. The runtime holds its lock while an ADD waits,
/// and a reload of the configuration needs that lock.
pub(super) async fn frozen(node: &mut Node, options: &Options) -> Result<String> {
    let since = ready_since(node).await?;
    start(node, &PodSpec::new("mv-3").networks("mv")).await?;
    node.multus_daemon.freeze()?;
    let waiting = ["held-1", "held-2"];
    for name in waiting {
        let manifest = PodSpec::new(name).networks("mv").manifest(NODE);
        node.cluster.client.create(&manifest).await?;
    }
    let began = Instant::now();
    rewrite_primary(20).await?;
    start(node, &PodSpec::new("plain-frozen")).await?;
    for name in ["plain-frozen", "mv-3"] {
        node.cluster.client.delete_pod(name, DELETION).await?;
    }
    let took = began.elapsed();
    for name in waiting {
        refused(node, name, "no answer in time").await?;
    }
    let longest = refused_adds(3)?;
    ensure!(
        longest < WAITS,
        "an ADD waits {} ms for a frozen daemon",
        longest.as_millis()
    );
    still_ready(node, &since).await?;
    for name in waiting {
        node.cluster.client.delete_pod(name, DELETION).await?;
    }
    node.multus_daemon.kill()?;
    node.multus_daemon = start_multus_daemon(options, &node.cluster).await?;
    Ok(format!(
        "20 reloads, a plain ADD, two DELs in {} ms while {} pods wait, which are deleted, too\n\
         longest of 3 refused ADDs: {} ms",
        took.as_millis(),
        waiting.len(),
        longest.as_millis()
    ))
}

async fn rewrite_primary(rounds: usize) -> Result<()> {
    let path = Path::new(CNI_CONF_DIR).join("10-bridge.conflist");
    let before = fs::read_to_string(&path).context("read the primary's configuration")?;
    for round in 0..rounds {
        let temporary = path.with_extension("new");
        fs::write(&temporary, format!("{before}{}", " ".repeat(round)))
            .and_then(|()| fs::rename(&temporary, &path))
            .context("rewrite the primary's configuration")?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// ADDs of a pod that asks for a network, called as the runtime calls them, each refused to be tried again; the longest.
fn refused_adds(count: usize) -> Result<Duration> {
    let list: Value = read_json(FILES[0])?;
    let mut config = list["plugins"][0].clone();
    config["cniVersion"] = list["cniVersion"].clone();
    config["name"] = list["name"].clone();
    config["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {NETWORKS: "mv"}});
    let plugin = Plugin::new(&Path::new(CNI_BIN_DIR).join("multus")).with(
        "CNI_ARGS",
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=probe;K8S_POD_INFRA_CONTAINER_ID=probe;K8S_POD_UID=probe",
    );
    let sandbox = Sandbox::create("probe")?;
    let mut longest = Duration::ZERO;
    for _ in 0..count {
        let began = Instant::now();
        let answer = plugin.call("ADD", &sandbox, "eth0", &config)?;
        longest = longest.max(began.elapsed());
        let refusal = answer.refusal()?;
        ensure!(
            refusal.code == 11 && refusal.text.contains("DaemonNotReady"),
            "wanted code 11 and DaemonNotReady: {refusal:?}"
        );
    }
    sandbox.lose_netns()?;
    Ok(longest)
}

/// Since when the node is ready; it must be.
async fn ready_since(node: &Node) -> Result<String> {
    ensure!(
        node.runtime.network_ready().await?,
        "the runtime says that its network is not ready"
    );
    let object = node.cluster.client.node(NODE).await?;
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready")
        .context("the node has no Ready condition")?;
    ensure!(ready["status"] == "True", "the node is not ready: {ready}");
    Ok(ready["lastTransitionTime"].to_string())
}

async fn still_ready(node: &Node, since: &str) -> Result<()> {
    let now = ready_since(node).await?;
    ensure!(
        now == since,
        "the node was not ready meanwhile: ready since {now}, before since {since}"
    );
    Ok(())
}
