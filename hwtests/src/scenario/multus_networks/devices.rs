//! Which device a network gets, and what is said when there is none.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::stage::Stage;
use crate::{
    guest::{cluster::NODE, pod::PodSpec},
    scenario::{demo::networks::STORAGE, look},
};

/// The cause must be within this many characters of where our text begins.
const SOON: usize = 200;

/// A missing request and a device too few are told in the first words of the event, not behind the configuration.
pub(super) async fn the_cause_comes_first(stage: &Stage<'_>) -> Result<String> {
    let cases = [
        (
            PodSpec::new("unrequested").networks("vf"),
            "PoolNotRequested",
        ),
        (
            PodSpec::new("too-few")
                .networks("vf,vf")
                .devices(STORAGE, 1),
            "PoolExhausted",
        ),
    ];
    let client = &stage.node.cluster.client;
    for (pod, _) in &cases {
        client.create(&pod.manifest(NODE)).await?;
    }
    let mut rows = Vec::new();
    for (pod, reason) in &cases {
        rows.push(told(stage, pod.name(), reason).await?);
        rows.push(told(stage, pod.name(), "FailedCreatePodSandBox").await?);
    }
    stage.delete(&["unrequested", "too-few"]).await?;
    Ok(rows.join("\n"))
}

/// The event of that reason, which must name the resource soon.
async fn told(stage: &Stage<'_>, pod: &str, reason: &str) -> Result<String> {
    let client = &stage.node.cluster.client;
    let deadline = Instant::now() + stage.patience();
    loop {
        let events = client.events(pod).await?;
        let begins = format!("{reason}: ");
        for event in events.iter().filter(|event| event.starts_with(&begins)) {
            // The runtime's own words stand before ours.
            let from = event.find("multus: ").unwrap_or(begins.len());
            let ours: String = event[from..].chars().take(SOON).collect();
            // An earlier try may have been refused because the daemon was too slow.
            if ours.contains(STORAGE) && ours.contains(pod) {
                return Ok(begins + &ours);
            }
        }
        let phase = client.pod(pod).await?.unwrap_or_default()["status"]["phase"].clone();
        ensure!(phase != "Running", "pod {pod} runs without its device");
        if Instant::now() > deadline {
            bail!(
                "no event {reason} of {pod} names pod and resource in its first {SOON} characters:\n{}",
                events.join("\n")
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Two containers with a device each: the first network gets the first container's, in every pod.
pub(super) async fn in_the_containers_order(stage: &Stage<'_>) -> Result<String> {
    let names = ["order-0", "order-1", "order-2"];
    let manifests = names.map(|name| {
        let mut pod = PodSpec::new(name)
            .networks("vf,vf")
            .devices(STORAGE, 1)
            .manifest(NODE);
        let mut second = pod["spec"]["containers"][0].clone();
        second["name"] = "second".into();
        if let Some(list) = pod["spec"]["containers"].as_array_mut() {
            list.push(second);
        }
        pod
    });
    stage.start_manifests(&manifests).await?;
    let mut rows = Vec::new();
    for pod in names {
        let containers = look::devices_of_containers(pod).await?;
        ensure!(
            containers.len() == 2,
            "the kubelet shows {containers:?} for {pod}"
        );
        for (index, (container, devices)) in containers.iter().enumerate() {
            let given = devices.get(STORAGE).and_then(|ids| ids.first());
            let given = given.with_context(|| format!("{container} of {pod} has no device"))?;
            let name = format!("net{}", index + 1);
            let link = stage.link(pod, &name).await?;
            ensure!(
                link.parent.as_ref() == Some(given),
                "{name} of {pod} is {:?}, container {container} was given {given}",
                link.parent
            );
            rows.push(format!("{pod}: {container} and {name} {given}"));
        }
    }
    stage.delete(&names).await?;
    Ok(rows.join("\n"))
}
