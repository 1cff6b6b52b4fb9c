//! Which devices the kubelet gave to a pod: PodResources, or its checkpoint where there is no socket.
//!
//! The kubelet refuses more than 100 calls a second (burst 10), so calls are saved: one List, and one
//! GetAllocatableResources, serves every request that arrived before it began, Get is used where offered and while few ask, and a
//! refusal is answered by waiting (design §2 "Devices").

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use multus_plugin::wire::PodRef;
use proto::podresources::pod_resources_lister_client::PodResourcesListerClient;
use proto::podresources::{ContainerResources, GetPodResourcesRequest, PodResources};
use tonic::Code;
use tonic::transport::Channel;
use tracing::debug;

use crate::known::{Allocation, Found};

mod checkpoint;
mod shared;

use shared::{Allocatable, List, Shared};

/// Longest wait for a connection to the kubelet, on the same machine.
const DIAL: Duration = Duration::from_millis(500);
/// Pauses after the kubelet refused a call: its bucket refills a hundred times a second. Together less than the plugin
/// waits, so that a kubelet that never gives in is named.
const BACK_OFF: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
];
/// Requests at once for which Get is cheaper than a shared List.
const GETS_AT_ONCE: usize = 2;

/// Why the kubelet did not tell.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("connect to the kubelet at {path}: {text}", path = path.display())]
    Dial {
        /// The socket.
        path: PathBuf,
        /// Cause.
        text: String,
    },
    /// A call failed.
    #[error("call PodResources {call}: {code:?}: {text}")]
    Call {
        /// Name of the call.
        call: &'static str,
        /// gRPC code.
        code: Code,
        /// The kubelet's words.
        text: String,
    },
    /// The checkpoint cannot be used.
    #[error("{0}")]
    Checkpoint(String),
    /// Neither source exists (spec/corrections.md M5).
    #[error("the kubelet has neither a PodResources socket at {socket} nor a checkpoint at {checkpoint}",
        socket = socket.display(), checkpoint = checkpoint.display())]
    NoSource {
        /// Where the socket should be.
        socket: PathBuf,
        /// Where the checkpoint should be.
        checkpoint: PathBuf,
    },
}

/// The kubelet of this node.
#[derive(Debug)]
pub struct Kubelet {
    socket: PathBuf,
    checkpoint: PathBuf,
    list: Arc<Shared<List>>,
    allocatable: Arc<Shared<Allocatable>>,
    get_refused: AtomicBool,
    gets: AtomicUsize,
}

impl Kubelet {
    /// The kubelet with this PodResources socket and this device checkpoint.
    pub fn new(socket: &Path, checkpoint: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
            checkpoint: checkpoint.to_path_buf(),
            list: Arc::new(Shared::new(socket)),
            allocatable: Arc::new(Shared::new(socket)),
            get_refused: AtomicBool::new(false),
            gets: AtomicUsize::new(0),
        }
    }

    /// The devices of `pod`; with `others` also the ids of all devices that the kubelet manages.
    /// `Missing`: this node has no kubelet, or one without device bookkeeping.
    pub async fn devices(&self, pod: &PodRef, others: bool) -> Found<Allocation> {
        let found = if self.socket.exists() {
            self.ask(pod, others).await
        } else if self.checkpoint.exists() {
            checkpoint::read(&self.checkpoint)
                .map(|checkpoint| checkpoint.allocation(pod))
                .map_err(Failure::Checkpoint)
        } else {
            return Found::Missing;
        };
        match found {
            Ok(allocation) => Found::Here(allocation),
            Err(failure) => Found::Unknown(failure.to_string()),
        }
    }

    /// What to say when a device is needed and [`Found::Missing`] was the answer.
    pub fn no_source(&self) -> Failure {
        Failure::NoSource {
            socket: self.socket.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    async fn ask(&self, pod: &PodRef, others: bool) -> Result<Allocation, Failure> {
        let mut get_failed = false;
        if !others {
            match self.get(pod).await {
                Get::Answer(resources) => return Ok(allocation(&resources.containers)),
                Get::Failed => get_failed = true,
                Get::NotTried => {}
            }
        }
        let pods = self.list.now().await?;
        let own = pods
            .iter()
            .find(|p| p.name == pod.name && p.namespace == pod.namespace);
        if own.is_some() && get_failed {
            // Get failed for a pod that List knows: this kubelet has it switched off.
            self.get_refused.store(true, Ordering::Relaxed);
        }
        let mut found = own.map_or_else(Allocation::default, |p| allocation(&p.containers));
        if others {
            let free = self.allocatable.now().await?;
            let held = pods
                .iter()
                .flat_map(|p| &p.containers)
                .flat_map(|c| &c.devices)
                .flat_map(|d| &d.device_ids);
            found.managed = Some(free.iter().chain(held).cloned().collect());
        }
        Ok(found)
    }

    async fn get(&self, pod: &PodRef) -> Get {
        if self.get_refused.load(Ordering::Relaxed) {
            return Get::NotTried;
        }
        let Some(_counted) = Counted::enter(&self.gets, GETS_AT_ONCE) else {
            return Get::NotTried;
        };
        let Ok(mut client) = dial(&self.socket).await else {
            return Get::NotTried;
        };
        let request = GetPodResourcesRequest {
            pod_name: pod.name.clone(),
            pod_namespace: pod.namespace.clone(),
        };
        match client.get(request).await {
            Ok(answer) => answer
                .into_inner()
                .pod_resources
                .map_or(Get::Failed, Get::Answer),
            Err(status) => {
                debug!(%pod, code = ?status.code(), text = status.message(), "PodResources Get");
                match status.code() {
                    Code::ResourceExhausted | Code::Unavailable => Get::NotTried,
                    Code::Unimplemented => {
                        self.get_refused.store(true, Ordering::Relaxed);
                        Get::NotTried
                    }
                    _ => Get::Failed,
                }
            }
        }
    }
}

/// What became of a Get.
enum Get {
    Answer(PodResources),
    /// The kubelet knows no such pod, or does not serve Get: its answer is the same for both.
    Failed,
    NotTried,
}

/// One of at most so many at a time.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn enter(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        if count.fetch_add(1, Ordering::Relaxed) < limit {
            return Some(Self(count));
        }
        count.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn dial(socket: &Path) -> Result<PodResourcesListerClient<Channel>, Failure> {
    let channel = proto::uds::dial(socket, DIAL)
        .await
        .map_err(|error| Failure::Dial {
            path: socket.to_path_buf(),
            text: cni::error::chain(&error),
        })?;
    Ok(PodResourcesListerClient::new(channel).max_decoding_message_size(proto::uds::MAX_ANSWER))
}

fn call_failed(call: &'static str, status: &tonic::Status) -> Failure {
    Failure::Call {
        call,
        code: status.code(),
        text: status.message().to_owned(),
    }
}

/// Devices by resource; a container's resource may be spread over several entries, one per NUMA node.
fn allocation(containers: &[ContainerResources]) -> Allocation {
    let mut allocation = Allocation::default();
    for container in containers {
        let mut by_resource: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for entry in &container.devices {
            by_resource
                .entry(&entry.resource_name)
                .or_default()
                .extend(entry.device_ids.iter().cloned());
        }
        for (resource, ids) in by_resource {
            allocation.add_container(resource, ids);
        }
    }
    allocation
}

#[cfg(test)]
mod tests;
