//! Pods that come and go while something else happens.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::look;
use crate::guest::{
    cluster::{NODE, POD_START},
    node::Base,
    pod::PodSpec,
};

/// A pod's deletion, several tries of the kubelet included.
pub(crate) const DELETION: Duration = Duration::from_mins(1);

/// What comes and goes: pods with macvlan (network `mv`) and plain ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    /// Begin of the pods' names.
    pub(crate) name: &'a str,
    /// Fewer rounds than these are no load.
    pub(crate) least: usize,
    /// How often a pod with macvlan may be refused, each time since no daemon is ready, while no plain pod is at all;
    /// without it, a pod may be refused as often as it takes.
    pub(crate) refusals: Option<usize>,
}

/// Makes and deletes both pods, again and again, until `done` and at least so many times. No pod may run without its
/// network. Returns a line about them.
///
/// # Errors
/// When a pod does not run, runs without its network, was refused too often or for another reason, or does not go.
pub(crate) async fn come_and_go(base: &Base, load: Load<'_>, done: &Cell<bool>) -> Result<String> {
    let client = &base.cluster.client;
    let (mut made, mut refused, mut longest) = (0, 0, Duration::ZERO);
    while made < load.least || !done.get() {
        let with = format!("{}-load-{made}", load.name);
        let plain = format!("{}-plain-{made}", load.name);
        let began = Instant::now();
        for pod in [PodSpec::new(&with).networks("mv"), PodSpec::new(&plain)] {
            client.create(&pod.manifest(NODE)).await?;
        }
        running(base, &with).await?;
        running(base, &plain).await?;
        longest = longest.max(began.elapsed());
        has(base, &with, "net1").await?;
        for (name, limit) in [(&with, load.refusals), (&plain, load.refusals.map(|_| 0))] {
            let events = refusals(base, name).await?;
            if let Some(limit) = limit {
                let again = events.iter().all(|event| event.contains("DaemonNotReady"));
                ensure!(
                    again && events.len() <= limit,
                    "{name} was refused: {events:?}"
                );
            }
            refused += events.len();
            client.delete_pod(name, DELETION).await?;
        }
        made += 1;
    }
    Ok(format!(
        "meanwhile {made} pods with macvlan and {made} plain ones, all with what they asked for; {refused} refusals, each \
         tried again; a pair runs after {} ms at most",
        longest.as_millis()
    ))
}

/// Waits for a pod whose sandbox may be refused again and again before.
pub(crate) async fn running(base: &Base, name: &str) -> Result<()> {
    let deadline = Instant::now() + POD_START * 3;
    loop {
        let pod = base.cluster.client.pod(name).await?;
        let phase = pod.unwrap_or_default()["status"]["phase"].clone();
        if phase == "Running" {
            return Ok(());
        }
        if phase == "Failed" || Instant::now() > deadline {
            let events = base.cluster.client.events(name).await?;
            bail!("pod {name} is {phase}; its events:\n{}", events.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The pod's namespace has the interface.
pub(crate) async fn has(base: &Base, pod: &str, interface: &str) -> Result<()> {
    let links = look::links(base, pod).await?;
    ensure!(
        links.contains_key(interface),
        "pod {pod} runs without {interface}, only with {:?}",
        links.keys()
    );
    Ok(())
}

async fn refusals(base: &Base, pod: &str) -> Result<Vec<String>> {
    let mut events = base.cluster.client.events(pod).await?;
    events.retain(|event| event.starts_with("FailedCreatePodSandBox"));
    Ok(events)
}
