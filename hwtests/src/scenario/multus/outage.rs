//! The API server out of the daemon's reach, while the kubelet still has it: so pods come, and what multus knows of
//! networks is what it has kept.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    super::{
        demo::start,
        load::{DELETION, has, running},
        look,
    },
    steps::{refused, with_vf},
};
use crate::guest::{
    cluster::NODE,
    node::{Node, Options, start_multus_daemon},
    pod::{NETWORK_STATUS, PodSpec, network},
    relay::Relay,
};

/// A watch that is broken waits longer before each further try.
const BACK: Duration = Duration::from_mins(2);

pub(super) async fn api_outage(node: &mut Node, options: &Options) -> Result<String> {
    let direct = node.cluster.multus_kubeconfig.clone();
    let text = fs::read_to_string(&direct).context("read the daemon's kubeconfig")?;
    let (relay, through) = Relay::of_kubeconfig(&text).await?;
    let path = direct.with_file_name("relayed.kubeconfig");
    fs::write(&path, through).context("write the relayed kubeconfig")?;
    node.cluster.multus_kubeconfig = path;
    restart(node, options).await?;
    relay.cut();
    // What the daemon holds in memory is gone, too.
    node.multus_daemon.kill()?;
    node.multus_daemon = start_multus_daemon(options, &node.cluster).await?;
    let late = json!({
        "cniVersion": "1.0.0", "name": "late", "type": "macvlan", "master": "ens5",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.62.0.0/24"}]]},
    });
    let client = &node.cluster.client;
    client
        .create(&network("late", None, &late.to_string()))
        .await?;
    client
        .create(&PodSpec::new("late-1").networks("late").manifest(NODE))
        .await?;
    start(node, &PodSpec::new("cached-mv").networks("mv")).await?;
    start(node, &with_vf("cached-vf")).await?;
    start(node, &PodSpec::new("plain-outage")).await?;
    for name in ["cached-mv", "cached-vf"] {
        has(node, name, "net1").await?;
    }
    let event = refused(node, "late-1", "default/late").await?;
    for name in ["cached-mv", "cached-vf", "plain-outage"] {
        ensure!(
            !has_status(node, name).await?,
            "{name} has a network-status, so the API server was there"
        );
    }
    node.cluster
        .client
        .delete_pod("cached-vf", DELETION)
        .await?;
    relay.mend();
    let began = Instant::now();
    for (name, interfaces) in [
        ("cached-mv", &["eth0", "net1"][..]),
        ("plain-outage", &["eth0"]),
    ] {
        while !has_status(node, name).await? {
            ensure!(
                began.elapsed() < BACK,
                "{name} has no network-status {} s after the API server is back",
                BACK.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        look::check_status(node, name, interfaces).await?;
    }
    let written = began.elapsed();
    running(node, "late-1").await?;
    has(node, "late-1", "net1").await?;
    for name in ["late-1", "cached-mv", "plain-outage"] {
        node.cluster.client.delete_pod(name, DELETION).await?;
    }
    node.cluster.multus_kubeconfig = direct;
    restart(node, options).await?;
    Ok(format!(
        "pods with a VF, with macvlan and without networks run from the copy on disk; status {} ms after the end\n\
         late-1: {event}",
        written.as_millis()
    ))
}

async fn restart(node: &mut Node, options: &Options) -> Result<()> {
    node.multus_daemon
        .terminate(Duration::from_secs(10))
        .await?;
    node.multus_daemon = start_multus_daemon(options, &node.cluster).await?;
    Ok(())
}

async fn has_status(node: &Node, pod: &str) -> Result<bool> {
    let object = node.cluster.client.pod(pod).await?;
    let object = object.with_context(|| format!("pod {pod} is gone"))?;
    Ok(object["metadata"]["annotations"][NETWORK_STATUS].is_string())
}
