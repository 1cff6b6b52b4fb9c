//! The end of a pod: containers, sandboxes and network go before its devices are free and before the API forgets it.

use std::time::Duration;

use proto::cri::{ContainerState, PodSandbox};
use serde_json::Value;

use super::agent::Agent;
use super::endpoint::chain;
use super::identity::Identity;
use super::runtime::Refused;
use super::volume;
use super::worker::Wanted;
use crate::standin::api::{DeleteOptions, Resource, object};

/// Pause before another try.
const RETRY: Duration = Duration::from_secs(1);

/// Takes a pod down, however often it must be tried; then, when deletion was asked for, out of the API.
pub(crate) async fn run(agent: &Agent, pod: &Identity, wanted: &Wanted) {
    loop {
        // Read anew: the grace period may have been shortened meanwhile.
        let grace = grace(wanted.borrow().as_deref());
        match stop(agent, pod, grace).await {
            Ok(()) => break,
            Err(refused) => {
                let words = format!("error killing pod: failed to \"KillPodSandbox\": {refused}");
                agent.recorder.warning(pod, "FailedKillPod", &words);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    agent.table.edit(|devices| devices.release(&pod.uid));
    while let Err(refused) = remove(agent, pod).await {
        agent.recorder.warning(
            pod,
            "FailedKillPod",
            &format!("error removing pod: {refused}"),
        );
        tokio::time::sleep(RETRY).await;
    }
    if let Err(error) = volume::remove(&agent.config.pod_folder(&pod.uid)) {
        agent.recorder.warning(pod, "FailedUnmount", &chain(&error));
    }
    let asked = wanted
        .borrow()
        .as_deref()
        .is_some_and(object::is_terminating);
    if asked {
        let how = DeleteOptions {
            grace: Some(0),
            uid: Some(pod.uid.clone()),
            version: None,
        };
        if let Err(error) =
            agent
                .config
                .store
                .delete(Resource::Pods, &pod.namespace, &pod.name, &how)
        {
            tracing::debug!(%pod, %error, "pod was gone already");
        }
    }
    tracing::info!(%pod, uid = pod.uid, "pod is down");
}

/// Seconds between the stop signal and the kill.
fn grace(wanted: Option<&Value>) -> i64 {
    let from = |pointer: &str| {
        wanted
            .and_then(|pod| pod.pointer(pointer))
            .and_then(Value::as_i64)
    };
    from("/metadata/deletionGracePeriodSeconds")
        .or_else(|| from("/spec/terminationGracePeriodSeconds"))
        .unwrap_or(2)
}

async fn stop(agent: &Agent, pod: &Identity, grace: i64) -> Result<(), Refused> {
    let sandboxes = agent.runtime.sandboxes(&pod.uid).await?;
    for sandbox in &sandboxes {
        stop_containers(agent, pod, sandbox, grace).await?;
    }
    for sandbox in &sandboxes {
        agent.runtime.stop_sandbox(&sandbox.id).await?;
    }
    Ok(())
}

async fn stop_containers(
    agent: &Agent,
    pod: &Identity,
    sandbox: &PodSandbox,
    grace: i64,
) -> Result<(), Refused> {
    let containers = agent.runtime.containers(&sandbox.id).await?;
    let running = containers
        .iter()
        .filter(|container| container.state() == ContainerState::ContainerRunning);
    let stops = running.map(|container| async {
        let name = container
            .metadata
            .as_ref()
            .map(|meta| meta.name.clone())
            .unwrap_or_default();
        agent
            .recorder
            .normal(pod, "Killing", &format!("Stopping container {name}"));
        agent.runtime.stop_container(&container.id, grace).await
    });
    futures::future::try_join_all(stops).await?;
    Ok(())
}

async fn remove(agent: &Agent, pod: &Identity) -> Result<(), Refused> {
    for sandbox in agent.runtime.sandboxes(&pod.uid).await? {
        for container in agent.runtime.containers(&sandbox.id).await? {
            agent.runtime.remove_container(&container.id).await?;
        }
        agent.runtime.remove_sandbox(&sandbox.id).await?;
    }
    Ok(())
}
