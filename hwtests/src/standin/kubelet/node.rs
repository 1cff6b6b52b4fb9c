//! The Node object: what the node offers, and whether its runtime and network are ready.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads the size of the machine"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::cri::RuntimeCondition;
use serde_json::{Map, Value, json};

use super::agent::Agent;
use super::devices::Count;
use super::runtime::Refused;
use crate::standin::api::{ApiError, Part, Resource, object};

/// How often the runtime is asked when nothing else happens.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Conditions of the runtime that a node's readiness depends on; it may report others, such as warnings.
const NEEDED: [&str; 2] = ["RuntimeReady", "NetworkReady"];

/// Version this kubelet claims: what its behaviour was compared with.
const VERSION: &str = "v1.33.0-ferrovia-standin";

/// Keeps the Node object current, for ever.
pub(crate) async fn run(agent: Arc<Agent>) {
    let mut edits = agent.table.edits();
    let mut unwritten = String::new();
    loop {
        edits.mark_unchanged();
        let conditions = agent.runtime.conditions().await;
        if let Err(error) = write(&agent, &conditions) {
            // Said once for each cause.
            if unwritten != error.message {
                tracing::warn!(%error, "node status not written");
                unwritten.clone_from(&error.message);
            }
        }
        tokio::select! {
            _ = edits.changed() => {}
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
}

/// Creates the Node object, unless there is one.
pub(crate) async fn register(agent: &Agent) -> Result<(), Refused> {
    let name = &agent.config.node;
    let runtime = agent.runtime.version().await?;
    let labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
    let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {}});
    let created = agent.config.store.create(Resource::Nodes, "", node);
    tracing::debug!(existed = created.is_err(), "node object");
    let info = json!({
        "kubeletVersion": VERSION, "containerRuntimeVersion": runtime, "operatingSystem": "linux", "architecture": "amd64",
        "bootID": line("/proc/sys/kernel/random/boot_id"), "kernelVersion": line("/proc/sys/kernel/osrelease"),
        "machineID": "", "systemUUID": "", "osImage": "", "kubeProxyVersion": "",
    });
    let addresses = json!([
        {"type": "InternalIP", "address": agent.config.node_ip.to_string()}, {"type": "Hostname", "address": name},
    ]);
    let written = update(agent, |status| {
        status.insert("nodeInfo".to_owned(), info);
        status.insert("addresses".to_owned(), addresses);
    });
    if let Err(error) = written {
        tracing::warn!(%error, "node status not written");
    }
    Ok(())
}

fn write(
    agent: &Agent,
    conditions: &Result<Vec<RuntimeCondition>, Refused>,
) -> Result<(), ApiError> {
    let counts = agent.table.read(super::devices::Devices::counts);
    update(agent, |status| {
        status.insert(
            "capacity".to_owned(),
            offers(&counts, |count| count.capacity),
        );
        status.insert(
            "allocatable".to_owned(),
            offers(&counts, |count| count.allocatable),
        );
        let previous = status.get("conditions").cloned().unwrap_or_default();
        status.insert(
            "conditions".to_owned(),
            json!([ready(&previous, conditions)]),
        );
    })
}

fn update(agent: &Agent, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), ApiError> {
    agent.config.store.update(
        Resource::Nodes,
        "",
        &agent.config.node,
        Part::Status,
        |node| {
            let mut node = node.clone();
            change(object::section(&mut node, "status"));
            Ok(node)
        },
    )?;
    Ok(())
}

fn offers(counts: &BTreeMap<String, Count>, choose: impl Fn(&Count) -> usize) -> Value {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix("kB"))
        .unwrap_or("0");
    let mut offers = Map::new();
    offers.insert("cpu".to_owned(), json!(processors.to_string()));
    offers.insert("memory".to_owned(), json!(format!("{}Ki", memory.trim())));
    offers.insert("pods".to_owned(), json!("110"));
    offers.extend(
        counts
            .iter()
            .map(|(resource, count)| (resource.clone(), json!(choose(count).to_string()))),
    );
    Value::Object(offers)
}

fn ready(previous: &Value, conditions: &Result<Vec<RuntimeCondition>, Refused>) -> Value {
    let (word, reason, message) = match conditions {
        Err(refused) => (
            "False",
            "KubeletNotReady",
            format!("container runtime is down: {refused}"),
        ),
        Ok(conditions) => match conditions
            .iter()
            .find(|condition| !condition.status && NEEDED.contains(&condition.r#type.as_str()))
        {
            None => (
                "True",
                "KubeletReady",
                "kubelet is posting ready status".to_owned(),
            ),
            Some(bad) => {
                let what = if bad.r#type == "NetworkReady" {
                    "container runtime network not ready"
                } else {
                    "container runtime not ready"
                };
                let message = format!(
                    "{what}: {}=false reason:{} message:{}",
                    bad.r#type, bad.reason, bad.message
                );
                ("False", "KubeletNotReady", message)
            }
        },
    };
    let now = object::now();
    let same = previous.pointer("/0/status").is_some_and(|old| old == word);
    let since = if same {
        previous[0]["lastTransitionTime"].clone()
    } else {
        json!(now)
    };
    json!({
        "type": "Ready", "status": word, "reason": reason, "message": message,
        "lastHeartbeatTime": now, "lastTransitionTime": since,
    })
}

fn line(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}
