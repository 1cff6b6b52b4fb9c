//! A pod's status: from what the runtime reports to what the API shows. Composing does no I/O.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use proto::cri::{ContainerState, ContainerStatus};
use serde_json::{Value, json};

use super::admission::Rejection;
use super::agent::Agent;
use super::identity::Identity;
use super::probe::Health;
use crate::standin::api::{ApiError, Part, Resource, object};

/// What is known about one container.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) container: &'a Container,
    /// As the runtime has it; `None` before it was made.
    pub(crate) status: Option<ContainerStatus>,
    /// Why it does not run: reason and message.
    pub(crate) waiting: Option<(&'static str, String)>,
    /// What its probes say.
    pub(crate) health: Health,
}

/// What each container of a pod is doing.
#[derive(Debug)]
pub(crate) struct Doing<'a> {
    /// In the order in which they run, one after the other.
    pub(crate) init: Vec<Seen<'a>>,
    /// Those that run side by side after that.
    pub(crate) main: Vec<Seen<'a>>,
}

/// Writes a status composed from the current one; a pod that is gone has none.
pub(crate) fn write(agent: &Agent, pod: &Identity, compose: impl FnOnce(&Value) -> Value) {
    let written = agent.config.store.update(
        Resource::Pods,
        &pod.namespace,
        &pod.name,
        Part::Status,
        |current| {
            if object::uid(current) != pod.uid {
                return Err(ApiError::not_found(Resource::Pods, &pod.name));
            }
            let mut next = current.clone();
            next["status"] = compose(&current["status"]);
            Ok(next)
        },
    );
    if let Err(error) = written {
        tracing::debug!(%pod, %error, "status not written");
    }
}

/// The status of a pod that was not admitted.
pub(crate) fn rejected(previous: &Value, rejection: &Rejection) -> Value {
    let mut status = previous.clone();
    status["phase"] = json!("Failed");
    status["reason"] = json!(rejection.reason);
    status["message"] = json!(format!("Pod was rejected: {}", rejection.message));
    status["startTime"] = json!(object::now());
    status
}

/// The status of a pod that was admitted. `ips` is empty before it has a sandbox.
pub(crate) fn compose(
    previous: &Value,
    pod: &Pod,
    doing: &Doing<'_>,
    ips: &[String],
    node_ip: &str,
) -> Value {
    let mut status = previous.clone();
    let serves = |one: &Seen<'_>| is_running(one) && one.health.ready;
    let ready = doing.main.iter().all(serves);
    status["phase"] = json!(phase(pod, doing));
    if status["startTime"].is_null() {
        status["startTime"] = json!(object::now());
    }
    status["hostIP"] = json!(node_ip);
    status["hostIPs"] = json!([{"ip": node_ip}]);
    if let Some(first) = ips.first() {
        status["podIP"] = json!(first);
        status["podIPs"] = ips.iter().map(|ip| json!({"ip": ip})).collect();
    }
    let truths = [
        ("PodReadyToStartContainers", !ips.is_empty()),
        ("Initialized", is_initialized(doing)),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", true),
    ];
    status["conditions"] = truths
        .iter()
        .map(|(kind, truth)| condition(previous, kind, *truth))
        .collect();
    status["containerStatuses"] = doing
        .main
        .iter()
        .map(|one| describe(one, serves(one)))
        .collect();
    if !doing.init.is_empty() {
        let done = |one: &Seen<'_>| ended(one) == Some(0);
        status["initContainerStatuses"] = doing
            .init
            .iter()
            .map(|one| describe(one, done(one)))
            .collect();
    }
    status
}

/// Whether all init containers have done their work.
pub(crate) fn is_initialized(doing: &Doing<'_>) -> bool {
    doing.init.iter().all(|one| ended(one) == Some(0))
}

/// The status of a pod whose sandbox is lost and that is not restarted.
pub(crate) fn lost(previous: &Value) -> Value {
    let mut status = previous.clone();
    status["phase"] = json!("Failed");
    status["message"] = json!("the pod's sandbox ended, and the pod is not restarted");
    status
}

/// Whether the pod has run to its end.
pub(crate) fn is_over(pod: &Pod, doing: &Doing<'_>) -> bool {
    matches!(phase(pod, doing), "Succeeded" | "Failed")
}

/// Whether a container that ended with this code is started again.
pub(crate) fn restarts(pod: &Pod, exit_code: i32) -> bool {
    match pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
    {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Whether its process runs.
pub(crate) fn is_running(seen: &Seen<'_>) -> bool {
    state(seen) == Some(ContainerState::ContainerRunning)
}

fn state(seen: &Seen<'_>) -> Option<ContainerState> {
    seen.status.as_ref().map(ContainerStatus::state)
}

fn phase(pod: &Pod, doing: &Doing<'_>) -> &'static str {
    let failed = |one: &Seen<'_>| ended(one).is_some_and(|code| code != 0 && !restarts(pod, code));
    if doing.init.iter().any(failed) {
        return "Failed";
    }
    let seen = &doing.main;
    if seen
        .iter()
        .any(|one| matches!(state(one), None | Some(ContainerState::ContainerCreated)))
    {
        return "Pending";
    }
    let codes: Vec<i32> = seen.iter().filter_map(ended).collect();
    if codes.len() < seen.len() || codes.iter().any(|code| restarts(pod, *code)) {
        return "Running";
    }
    if codes.iter().all(|code| *code == 0) {
        "Succeeded"
    } else {
        "Failed"
    }
}

/// The exit code of a container that has ended.
pub(crate) fn ended(seen: &Seen<'_>) -> Option<i32> {
    let status = seen.status.as_ref()?;
    (status.state() == ContainerState::ContainerExited).then_some(status.exit_code)
}

fn condition(previous: &Value, kind: &str, truth: bool) -> Value {
    let word = if truth { "True" } else { "False" };
    let list = previous["conditions"].as_array();
    let same = |old: &&Value| old["type"] == kind && old["status"] == word;
    let since = list
        .and_then(|list| list.iter().find(same))
        .map(|old| old["lastTransitionTime"].clone());
    let since = since.unwrap_or_else(|| json!(object::now()));
    json!({"type": kind, "status": word, "lastTransitionTime": since, "lastProbeTime": null})
}

fn describe(seen: &Seen<'_>, ready: bool) -> Value {
    let started = is_running(seen) && seen.health.started;
    let restarts = seen
        .status
        .as_ref()
        .and_then(|status| status.metadata.as_ref())
        .map_or(0, |meta| meta.attempt);
    let now = seen.status.as_ref().map_or(Value::Null, lived);
    let (state, last) = match &seen.waiting {
        Some((reason, message)) => (
            json!({"waiting": {"reason": reason, "message": message}}),
            now,
        ),
        None if now.is_null() => (
            json!({"waiting": {"reason": "ContainerCreating"}}),
            Value::Null,
        ),
        None => (now, Value::Null),
    };
    let status = seen.status.as_ref();
    let mut described = json!({
        "name": seen.container.name,
        "image": seen.container.image.clone().unwrap_or_default(),
        "imageID": status.map(|status| status.image_ref.clone()).unwrap_or_default(),
        "ready": ready, "started": started, "restartCount": restarts,
        "state": state, "lastState": if last.is_null() { json!({}) } else { last },
    });
    if let Some(status) = status {
        described["containerID"] = json!(format!("containerd://{}", status.id));
    }
    described
}

/// The state of a container that was started.
fn lived(status: &ContainerStatus) -> Value {
    match status.state() {
        ContainerState::ContainerRunning => {
            json!({"running": {"startedAt": time(status.started_at)}})
        }
        ContainerState::ContainerExited => json!({"terminated": {
            "exitCode": status.exit_code, "reason": status.reason, "message": status.message,
            "startedAt": time(status.started_at), "finishedAt": time(status.finished_at),
            "containerID": format!("containerd://{}", status.id),
        }}),
        ContainerState::ContainerCreated | ContainerState::ContainerUnknown => Value::Null,
    }
}

fn time(nanoseconds: i64) -> String {
    Timestamp::from_second(nanoseconds / 1_000_000_000)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

#[cfg(test)]
mod tests;
