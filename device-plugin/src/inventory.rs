//! What is offered, over time: the plan of now plus what pods hold of before.
//!
//! A synchronous state machine. A device that a pod holds never leaves the list: if it vanished, came
//! back as another, or lost its driver, it stays Unhealthy until no pod holds it any more; a device
//! that only looks different because it is inside the pod (no interface, no RDMA device in the host's
//! namespace) stays Healthy. A device held under another resource is withheld until it is free.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    config::{Config, Object, ResourceName},
    node::{DeviceId, Node},
    plan::{Device, Plan},
};

/// Devices that pods hold, by resource, as PodResources tells.
pub type Allocated = BTreeMap<String, BTreeSet<DeviceId>>;

/// Devices of one pool as the kubelet is told, by id.
pub type Listing = BTreeMap<DeviceId, Listed>;

/// One device of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The device; `None` if it was gone before this process ever saw it.
    pub device: Option<Arc<Device>>,
    /// Why no pod may get it now; `None` if it is healthy.
    pub unwell: Option<Unwell>,
}

/// Why a device is Unhealthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwell {
    /// No such function any more.
    #[error("it is gone while a pod holds it")]
    Gone,
    /// A new function at the address of the one that a pod holds.
    #[error("it was removed and created again while a pod holds it")]
    Recreated,
    /// Another driver than the one it was allocated with.
    #[error("its driver changed from {was} to {now} while a pod holds it")]
    DriverChanged {
        /// Driver then.
        was: String,
        /// Driver now.
        now: String,
    },
    /// The configuration gives it to no pool, or to another.
    #[error("the pool no longer selects it, a pod still holds it")]
    Deselected,
}

/// What is remembered from one scan to the next.
#[derive(Debug, Default)]
pub struct Inventory {
    held: BTreeMap<(ResourceName, DeviceId), Held>,
}

/// A device that a pod holds.
#[derive(Debug)]
struct Held {
    /// As it was when it was first seen held.
    device: Option<Arc<Device>>,
    /// The pool's selectors then.
    objects: Vec<Object>,
    /// Kept until no pod holds it.
    unwell: Option<Unwell>,
}

impl Inventory {
    /// What each pool offers now.
    pub fn apply(
        &mut self,
        config: &Config,
        plan: &Plan,
        node: &Node,
        allocated: &Allocated,
    ) -> BTreeMap<ResourceName, Listing> {
        let nothing = BTreeSet::new();
        let mut pools = BTreeMap::new();
        for (pool, share) in config.pools.iter().zip(&plan.pools) {
            let resource = pool.name.to_string();
            let mine = allocated.get(&resource).unwrap_or(&nothing);
            let elsewhere = |id: &DeviceId| {
                allocated
                    .iter()
                    .any(|(other, ids)| *other != resource && ids.contains(id))
            };
            let mut listing: Listing = share
                .devices
                .iter()
                .map(|device| (device.function.id(), device))
                .filter(|(id, _)| mine.contains(id) || !elsewhere(id))
                .map(|(id, device)| (id, Listed::healthy(device)))
                .collect();
            for id in mine {
                let planned = listing.get(id).and_then(|listed| listed.device.clone());
                let held = self
                    .held
                    .entry((pool.name.clone(), id.clone()))
                    .or_insert_with(|| Held {
                        device: planned.clone(),
                        objects: pool.objects.clone(),
                        unwell: None,
                    });
                if held.unwell.is_none() {
                    held.unwell = held.check(id, node, planned.as_ref(), &pool.objects);
                }
                let device = planned.or_else(|| held.device.clone());
                listing.insert(
                    id.clone(),
                    Listed {
                        device,
                        unwell: held.unwell.clone(),
                    },
                );
            }
            pools.insert(pool.name.clone(), listing);
        }
        self.held.retain(|(name, id), _| {
            let held = allocated.get(&name.to_string());
            held.is_some_and(|ids| ids.contains(id))
        });
        pools
    }

    /// Whether any device is unwell and waits for its pod to end.
    pub fn is_waiting(&self) -> bool {
        self.held.values().any(|held| held.unwell.is_some())
    }
}

impl Held {
    fn check(
        &self,
        id: &DeviceId,
        node: &Node,
        planned: Option<&Arc<Device>>,
        objects: &[Object],
    ) -> Option<Unwell> {
        let Some(now) = node.function(id) else {
            return Some(Unwell::Gone);
        };
        let Some(before) = &self.device else {
            return if planned.is_some() {
                None
            } else {
                Some(Unwell::Deselected)
            };
        };
        if before.function.incarnation != now.incarnation {
            return Some(Unwell::Recreated);
        }
        if before.function.driver != now.driver {
            let name = |driver: &Option<String>| driver.clone().unwrap_or("none".to_owned());
            return Some(Unwell::DriverChanged {
                was: name(&before.function.driver),
                now: name(&now.driver),
            });
        }
        let edited = planned.is_none() && self.objects != objects;
        edited.then_some(Unwell::Deselected)
    }
}

impl Listed {
    fn healthy(device: &Arc<Device>) -> Self {
        Self {
            device: Some(Arc::clone(device)),
            unwell: None,
        }
    }
}
