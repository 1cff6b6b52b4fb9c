//! The software fallback, end to end: the same manifest on a node without matching PF and on one with it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    offers::{self, seconds},
    stage::Stage,
};
use crate::{
    guest::pod::{PodSpec, network},
    scenario::{demo::start, look},
};

/// The pool's name, and the resource.
const POOL: (&str, &str) = ("shared", "intel.com/shared");
const SLOTS: [&str; 3] = ["software-0", "software-1", "software-2"];

/// The pool offers slots while no PF matches, a pod gets one and macvlan; a PF that matches then changes nothing until
/// the pod is gone; the same manifest then gets a VF.
pub(super) async fn end_to_end(stage: &mut Stage<'_>) -> Result<String> {
    let nad = json!({
        "cniVersion": "1.0.0", "name": "shared", "type": "sriov",
        "fallback": {"type": "macvlan", "master": "ens5", "mode": "bridge"},
        "ipam": {"type": "static", "addresses": [{"address": "10.59.0.5/24"}]},
    });
    let client = stage.node.cluster.client.clone();
    client
        .create(&network(POOL.0, Some(POOL.1), &nad.to_string()))
        .await?;
    // No PF of this vendor is here.
    stage.configure(&pools(&json!({"vendors": ["15b3"]})))?;
    let slots = offers::wait(POOL.1, SLOTS).await?;

    start(stage.node, &pod("software")).await?;
    let software = on_software(stage).await?;
    let second = stage.node.hardware.pfs[1].name.clone();
    let with_hardware = pools(&json!({"pfNames": [second], "drivers": ["igbvf"]}));
    stage.configure(&with_hardware)?;
    stays_software().await?;
    client
        .delete_pod("software", Duration::from_mins(1))
        .await?;
    let hardware = offers::wait(POOL.1, stage.vfs(1)).await?;

    start(stage.node, &pod("hardware")).await?;
    let vf = on_hardware(stage).await?;
    client
        .delete_pod("hardware", Duration::from_mins(1))
        .await?;
    stage.configure(&stage.pools())?;
    stage.wait_all().await?;
    Ok(format!(
        "no PF: {} slots after {}, {software}\nPF matches: VFs {} after the pod's end, the same manifest got {vf}",
        SLOTS.len(),
        seconds(slots),
        seconds(hardware)
    ))
}

fn pools(selectors: &Value) -> Value {
    json!({"resourceList": [{
        "resourceName": POOL.0,
        "selectors": selectors,
        "fallback": {"slots": SLOTS.len()},
    }]})
}

fn pod(name: &str) -> PodSpec {
    PodSpec::new(name).networks(POOL.0).devices(POOL.1, 1)
}

/// The pod has a slot, says so in its environment, and its net1 is macvlan.
async fn on_software(stage: &Stage<'_>) -> Result<String> {
    let slot = stage.device_of("software", POOL.1).await?;
    ensure!(
        SLOTS.contains(&slot.as_str()),
        "the pod got {slot}, wanted a slot"
    );
    let words = ["/bin/env"];
    let limit = Duration::from_secs(10);
    let text = stage.node.runtime.run("software", &words, limit).await?;
    let variable = format!("PCIDEVICE_INTEL_COM_SHARED={slot}");
    ensure!(
        text.lines().any(|line| line == variable),
        "the pod has no {variable} in its environment:\n{text}"
    );
    let kind = kind_of_net1(stage, "software").await?;
    ensure!(kind == "macvlan", "net1 of pod software is {kind:?}");
    let status = look::network_status(stage.node, "software").await?;
    ensure!(
        status.iter().any(|entry| entry["interface"] == "net1"),
        "network-status of pod software has no net1: {status:?}"
    );
    Ok(format!("pod got {slot} and net1 of kind macvlan"))
}

async fn on_hardware(stage: &Stage<'_>) -> Result<String> {
    let vf = stage.device_of("hardware", POOL.1).await?;
    let links = look::links(stage.node, "hardware").await?;
    let parent = links.get("net1").and_then(|link| link.parent.clone());
    ensure!(
        parent.as_ref() == Some(&vf),
        "net1 of pod hardware belongs to {parent:?}, the kubelet gave {vf}"
    );
    Ok(vf)
}

/// For a second no VF is offered: a pool's mode changes only while nothing of it is allocated.
async fn stays_software() -> Result<()> {
    for _ in 0..20 {
        let offers = crate::scenario::look::offers().await?;
        let ids = offers.get(POOL.1).cloned().unwrap_or_default();
        ensure!(
            ids.iter().all(|id| id.starts_with("software-")),
            "while a pod has a slot the pool offers {ids:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn kind_of_net1(stage: &Stage<'_>, pod: &str) -> Result<String> {
    let (_, netns) = stage.node.runtime.sandbox(pod).await?;
    let net = format!("--net={netns}");
    let words = [
        net.as_str(),
        "ip",
        "-json",
        "-details",
        "link",
        "show",
        "net1",
    ];
    let text = crate::guest::shell::run("nsenter", words)?;
    let links: Value = serde_json::from_str(&text).context("read net1")?;
    let kind = links[0]["linkinfo"]["info_kind"].as_str();
    Ok(kind.unwrap_or("none").to_owned())
}
