//! The kubelet's Allocate: which devices a container got, in the words of its environment.
//!
//! Pure. All that must be read was read by [`crate::access`].

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::deviceplugin::{ContainerAllocateResponse, DeviceSpec};

use crate::{
    access::{Access, Info},
    config::ResourceName,
    handover::cdi::Cdi,
    inventory::{Listed, Listing},
    node::DeviceId,
    plan::Device,
};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The pool has no such device.
    #[error("{resource} has no device {id:?}")]
    Unknown {
        /// The pool.
        resource: ResourceName,
        /// The id as it came.
        id: String,
    },
    /// The pool has it, but it cannot be used.
    #[error("{resource}: device {id} is unhealthy: {reason}")]
    Unhealthy {
        /// The pool.
        resource: ResourceName,
        /// The device.
        id: String,
        /// Why.
        reason: String,
    },
}

/// The devices that a container's ids mean, in the order of the ids.
pub fn devices<'a>(
    resource: &ResourceName,
    listing: &'a Listing,
    ids: &[String],
) -> Result<Vec<&'a Device>, Refused> {
    let one = |id: &String| {
        let unknown = || Refused::Unknown {
            resource: resource.clone(),
            id: id.clone(),
        };
        let name: DeviceId = id.parse().map_err(|_| unknown())?;
        // The id must be spelt as it was offered.
        let listed = listing.get(&name).filter(|_| name.to_string() == *id);
        let Listed { device, unwell } = listed.ok_or_else(unknown)?;
        match (device, unwell) {
            (Some(device), None) => Ok(device.as_ref()),
            (_, reason) => Err(Refused::Unhealthy {
                resource: resource.clone(),
                id: id.clone(),
                reason: reason
                    .as_ref()
                    .map_or("it is gone".to_owned(), ToString::to_string),
            }),
        }
    };
    ids.iter().map(one).collect()
}

/// What a container with these devices needs.
pub fn response(
    resource: &ResourceName,
    devices: &[(&Device, Access)],
    cdi: &Cdi,
) -> ContainerAllocateResponse {
    let variable = resource.variable();
    let ids: Vec<String> = devices
        .iter()
        .map(|(device, _)| device.function.id.to_string())
        .collect();
    let info: BTreeMap<&String, &Info> = ids
        .iter()
        .zip(devices.iter().map(|(_, access)| &access.info))
        .collect();
    // Maps of strings always serialise.
    let info = serde_json::to_string(&info).unwrap_or_default();
    let envs = HashMap::from([
        (format!("{variable}_INFO"), info),
        (variable, ids.join(",")),
    ]);
    // All devices are of one pool, which has one way for all.
    let (by_name, by_path): (Vec<_>, Vec<_>) = devices
        .iter()
        .cloned()
        .partition(|(device, _)| cdi.is_for(device));
    let names = cdi.names(resource, &by_name);
    ContainerAllocateResponse {
        envs,
        devices: specs(&by_path),
        annotations: names.annotations,
        cdi_devices: names.devices,
        ..Default::default()
    }
}

/// Nodes of all devices; each host path once.
fn specs(devices: &[(&Device, Access)]) -> Vec<DeviceSpec> {
    let mut seen = BTreeSet::new();
    let nodes = devices.iter().flat_map(|(_, access)| &access.nodes);
    nodes
        .filter(|node| seen.insert(&node.host))
        .map(|node| DeviceSpec {
            container_path: node.container.display().to_string(),
            host_path: node.host.display().to_string(),
            permissions: "rw".to_owned(),
        })
        .collect()
}
