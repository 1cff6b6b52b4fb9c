//! What is offered, over time: the plan of now plus what pods hold of before.
//!
//! A synchronous state machine. A device that a pod holds never leaves the list: if it vanished, came
//! back as another, or lost its driver, it stays Unhealthy until no pod holds it any more; a device
//! that only looks different because it is inside the pod (no interface, no RDMA device in the host's
//! namespace) stays Healthy. A device held under another resource is withheld until it is free, and a
//! pool that is no longer configured lives on as long as a pod holds one of its devices.
//!
//! Held is what PodResources shows, and what Allocate gave away and PodResources does not show yet.

mod held;
#[cfg(test)]
mod tests;
mod unwell;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;

pub use held::Record;
pub use unwell::Unwell;

use crate::{
    config::{Config, Health, Pool, ResourceName},
    health::Signs,
    node::{DeviceId, Node},
    plan::{Device, Plan},
};
use held::Held;

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

/// Everything that is known of the node at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The pools.
    pub config: &'a Config,
    /// Who gets what.
    pub plan: &'a Plan,
    /// The functions.
    pub node: &'a Node,
    /// How they are.
    pub signs: &'a Signs,
}

/// What is remembered from one scan to the next, and across restarts.
#[derive(Debug, Default)]
pub struct Inventory {
    held: BTreeMap<(ResourceName, DeviceId), Held>,
}

/// What stood in the place of a grant, to undo it.
#[derive(Debug)]
pub struct Before(Option<Held>);

impl Inventory {
    /// Remembers what the process before this one knew.
    pub fn restore(&mut self, records: Vec<Record>, now: Instant) {
        let held = records.into_iter().filter_map(|record| record.read(now));
        self.held.extend(held);
    }

    /// What the next process needs to know.
    pub fn records(&self) -> Vec<Record> {
        let held = self.held.iter();
        held.map(|((resource, id), held)| held.record((resource, id)))
            .collect()
    }

    /// Notes that a device is given away, before anybody hears of it.
    pub fn grant(&mut self, pool: &ResourceName, device: &Arc<Device>, selectors: u64) -> Before {
        let held = Held::granted(device, selectors, Instant::now());
        let key = (pool.clone(), device.function.id());
        Before(self.held.insert(key, held))
    }

    /// It was not given away after all.
    pub fn revoke(&mut self, pool: &ResourceName, id: &DeviceId, before: Before) {
        let key = (pool.clone(), id.clone());
        match before.0 {
            Some(held) => self.held.insert(key, held),
            None => self.held.remove(&key),
        };
    }

    /// A number that differs for other selectors of a pool.
    pub fn selectors(pool: &Pool) -> u64 {
        held::fingerprint(&pool.objects)
    }

    /// All devices that are held as far as this process knows.
    pub fn known(&self) -> Allocated {
        let mut known = Allocated::new();
        for (resource, id) in self.held.keys() {
            let ids = known.entry(resource.to_string()).or_default();
            ids.insert(id.clone());
        }
        known
    }

    /// What PodResources answered, and what it cannot show yet.
    pub fn effective(&mut self, answered: &Allocated, now: Instant) -> Allocated {
        let mut effective = answered.clone();
        for ((resource, id), held) in &mut self.held {
            let resource = resource.to_string();
            let shown = answered.get(&resource).is_some_and(|ids| ids.contains(id));
            let expired = held
                .granted
                .is_some_and(|since| now.duration_since(since) > held::PATIENCE);
            if shown || expired {
                held.granted = None;
            }
            if held.granted.is_some() {
                effective.entry(resource).or_default().insert(id.clone());
            }
        }
        effective
    }

    /// What each pool offers now. `allocated` is what [`Self::effective`] told.
    pub fn apply(
        &mut self,
        seen: &Seen<'_>,
        allocated: &Allocated,
    ) -> BTreeMap<ResourceName, Listing> {
        let holders = holders(allocated);
        let mut pools = BTreeMap::new();
        for (pool, share) in seen.config.pools.iter().zip(&seen.plan.pools) {
            let resource = pool.name.to_string();
            let elsewhere = |id: &DeviceId| {
                // Each pool has slots of its own, and all are called alike.
                let is_slot = matches!(id, DeviceId::Software(_));
                let of = holders.get(id).filter(|_| !is_slot);
                of.is_some_and(|of| !of.contains(resource.as_str()))
            };
            let mut listing: Listing = share
                .devices
                .iter()
                .map(|device| (device.function.id(), device))
                .filter(|(id, _)| !elsewhere(id))
                .map(|(id, device)| (id, offered(device, seen.signs, pool.health)))
                .collect();
            for id in allocated.get(&resource).into_iter().flatten() {
                let planned = listing.get(id).and_then(|listed| listed.device.clone());
                let key = (pool.name.clone(), id.clone());
                let held = self.held.entry(key);
                let held = held.or_insert_with(|| Held::found(seen, id, planned.as_ref(), pool));
                let sign = listing.remove(id).and_then(|listed| listed.unwell);
                let listed = held.listed(seen, id, planned, Some(pool), sign);
                listing.insert(id.clone(), listed);
            }
            pools.insert(pool.name.clone(), listing);
        }
        self.retire(seen, allocated, &mut pools);
        pools
    }

    /// Forgets what is free, and goes on with what is held of pools that are no longer configured.
    fn retire(
        &mut self,
        seen: &Seen<'_>,
        allocated: &Allocated,
        pools: &mut BTreeMap<ResourceName, Listing>,
    ) {
        self.held.retain(|(name, id), _| {
            let held = allocated.get(&name.to_string());
            held.is_some_and(|ids| ids.contains(id))
        });
        let configured: BTreeSet<&ResourceName> =
            seen.config.pools.iter().map(|pool| &pool.name).collect();
        for ((name, id), held) in &mut self.held {
            if !configured.contains(name) {
                let listed = held.listed(seen, id, None, None, None);
                let listing = pools.entry(name.clone()).or_default();
                listing.insert(id.clone(), listed);
            }
        }
    }

    /// Whether anything waits for a pod to end or to show up.
    pub fn is_waiting(&self) -> bool {
        self.held
            .values()
            .any(|held| held.waits || held.granted.is_some())
    }
}

impl Held {
    fn listed(
        &mut self,
        seen: &Seen<'_>,
        id: &DeviceId,
        planned: Option<Arc<Device>>,
        pool: Option<&Pool>,
        sign: Option<Unwell>,
    ) -> Listed {
        let health = pool.map_or(Health::default(), |pool| pool.health);
        if self.unwell.is_none() {
            self.unwell = self.lasting(seen, id, health.driver);
        }
        let edited = self.edited(planned.as_ref(), pool);
        let unwell = self.unwell.clone().or(edited);
        self.waits = unwell.is_some();
        let device = planned.or_else(|| self.device.clone());
        let sign = sign.or_else(|| sign_of(device.as_ref()?, seen.signs, health));
        Listed {
            unwell: unwell.or(sign),
            device,
        }
    }
}

/// Resources by device that is held.
fn holders(allocated: &Allocated) -> BTreeMap<&DeviceId, BTreeSet<&str>> {
    let mut holders: BTreeMap<&DeviceId, BTreeSet<&str>> = BTreeMap::new();
    for (resource, ids) in allocated {
        for id in ids {
            holders.entry(id).or_default().insert(resource);
        }
    }
    holders
}

fn offered(device: &Arc<Device>, signs: &Signs, health: Health) -> Listed {
    Listed {
        device: Some(Arc::clone(device)),
        unwell: sign_of(device, signs, health),
    }
}

/// What comes and goes, as far as the pool wants to know.
fn sign_of(device: &Device, signs: &Signs, health: Health) -> Option<Unwell> {
    let function = &device.function;
    if health.vfio_group
        && let Some(trouble) = signs.vfio.get(&function.id)
    {
        return Some(Unwell::VfioGroup {
            trouble: trouble.clone(),
        });
    }
    let pf = signs
        .without_carrier(function)
        .filter(|_| health.carrier)?
        .to_owned();
    Some(Unwell::CarrierDown { pf })
}
