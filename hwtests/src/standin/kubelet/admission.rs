//! May a pod run here: devices are chosen and allocated for all of its containers, or it has failed.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use proto::deviceplugin::ContainerAllocateResponse;

use super::agent::Agent;
use super::devices::{Held, Holder, Shortage, shuffled};
use super::identity::Identity;
use super::limits::{self, BadQuantity};
use super::registry::is_extended;
use super::runtime::Refused;
use super::unsupported;

/// A pod that has failed before it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// `status.reason`
    pub(crate) reason: &'static str,
    /// `status.message`
    pub(crate) message: String,
}

#[derive(Debug, thiserror::Error)]
enum AllocationError {
    #[error(transparent)]
    Shortage(#[from] Shortage),
    #[error(transparent)]
    Quantity(#[from] BadQuantity),
    #[error(transparent)]
    Plugin(#[from] Refused),
    #[error("no device plugin is connected for {0}")]
    NotConnected(String),
}

/// Admits a pod: when this succeeds its containers hold their devices.
pub(crate) async fn admit(agent: &Agent, pod: &Pod) -> Result<(), Rejection> {
    let identity = Identity::of(pod);
    let spec = pod.spec.clone().unwrap_or_default();
    unsupported::check(&spec).map_err(|refusal| Rejection {
        reason: "UnsupportedByStandIn",
        message: refusal.to_string(),
    })?;
    let _one_at_a_time = agent.admitting.lock().await;
    let holder = Holder {
        namespace: identity.namespace.clone(),
        name: identity.name.clone(),
        containers: spec
            .containers
            .iter()
            .map(|container| (container.name.clone(), Vec::new()))
            .collect(),
    };
    agent
        .table
        .edit(|devices| devices.admit(&identity.uid, holder));
    for container in &spec.containers {
        if let Err(error) = allocate(agent, &identity.uid, container).await {
            agent.table.edit(|devices| devices.release(&identity.uid));
            let message = format!("Allocate failed due to {error}, which is unexpected");
            return Err(Rejection {
                reason: "UnexpectedAdmissionError",
                message,
            });
        }
    }
    Ok(())
}

async fn allocate(agent: &Agent, uid: &str, container: &Container) -> Result<(), AllocationError> {
    for (resource, quantity) in shuffled(wanted(container)) {
        // A resource that no plugin ever offered is somebody else's business: the kubelet lets it pass.
        if !agent.table.read(|devices| devices.knows(&resource)) {
            continue;
        }
        let count = limits::count(&Quantity(quantity))?;
        if count == 0 {
            continue;
        }
        let free = agent
            .table
            .read(|devices| devices.available(&resource, count))?;
        let endpoint = agent
            .registry
            .get(&resource)
            .ok_or_else(|| AllocationError::NotConnected(resource.clone()))?;
        let mut ids = endpoint.prefer(free, count).await.map_err(Refused)?;
        ids.truncate(count);
        let wants: ContainerAllocateResponse =
            endpoint.allocate(ids.clone()).await.map_err(Refused)?;
        tracing::info!(
            uid,
            container = container.name,
            resource,
            ?ids,
            "devices allocated"
        );
        let held = Held {
            resource,
            ids,
            wants,
        };
        agent
            .table
            .edit(|devices| devices.give(uid, &container.name, held));
    }
    Ok(())
}

/// The extended resources of a container: its limits, and requests without one.
fn wanted(container: &Container) -> Vec<(String, String)> {
    let asked = container.resources.clone().unwrap_or_default();
    let mut wanted = BTreeMap::new();
    for (name, quantity) in asked
        .requests
        .into_iter()
        .flatten()
        .chain(asked.limits.into_iter().flatten())
    {
        if is_extended(&name) {
            wanted.insert(name, quantity.0);
        }
    }
    wanted.into_iter().collect()
}
