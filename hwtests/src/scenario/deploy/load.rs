//! Pods that come and go while something else happens.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::steps::DELETION;
use crate::{
    guest::{
        cluster::{NODE, POD_START},
        node::Base,
        pod::PodSpec,
    },
    scenario::look,
};

/// Fewer pods than these are no load.
const LEAST: usize = 3;

/// A pod that needs a plan waits a second for it and is tried again by the kubelet. Emulation may stretch the change of
/// daemons beyond that second; a pod that is refused more often than this waits for nobody.
const REFUSALS: usize = 2;

/// Makes and deletes a pod with macvlan and a plain one, again and again, until `done` and at least [`LEAST`] times.
/// Each must run with its network. No plain pod may be refused on the way, and none more than [`REFUSALS`] times, each
/// time to be tried again. Returns a line about them.
///
/// # Errors
/// When a pod does not run, runs without its network, was refused too often or for another reason, or does not go.
pub(super) async fn come_and_go(base: &Base, done: &Cell<bool>) -> Result<String> {
    let client = &base.cluster.client;
    let mut longest = Duration::ZERO;
    let (mut made, mut refusals) = (0, 0);
    while made < LEAST || !done.get() {
        let pods = [
            PodSpec::new(&format!("load-{made}")).networks("mv"),
            PodSpec::new(&format!("plain-{made}")),
        ];
        let began = Instant::now();
        for pod in &pods {
            client.create(&pod.manifest(NODE)).await?;
        }
        for pod in &pods {
            client.wait_phase(pod.name(), "Running", POD_START).await?;
        }
        longest = longest.max(began.elapsed());
        let links = look::links(base, pods[0].name()).await?;
        ensure!(
            links.contains_key("net1"),
            "{} runs without its network: {:?}",
            pods[0].name(),
            links.keys()
        );
        for pod in &pods {
            let events = client.events(pod.name()).await?;
            let refused: Vec<&String> = events
                .iter()
                .filter(|event| event.starts_with("FailedCreatePodSandBox"))
                .collect();
            let again = refused.iter().all(|event| event.contains("DaemonNotReady"));
            let plain = pod.name().starts_with("plain");
            if refused.len() > REFUSALS || !again || (plain && !refused.is_empty()) {
                bail!("{} was refused: {refused:?}", pod.name());
            }
            refusals += refused.len();
            client.delete_pod(pod.name(), DELETION).await?;
        }
        made += 1;
    }
    Ok(format!(
        "{made} pods with macvlan and {made} plain ones meanwhile, {refusals} tries refused, two of them run after {} ms at most",
        longest.as_millis()
    ))
}
