//! Software slots in place of VFs, on nodes without a PF of the pool (design §5).
//!
//! A synchronous state machine over plans. A node counts as one with hardware as soon as any PF could
//! have VFs of the pool, however many it has and whatever drives them; where a PF's name is not known
//! yet, it could. A pool changes sides only while nothing of it is allocated: until then it offers
//! nothing more of the side that it leaves.

mod hardware;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use tracing::info;

use crate::{
    config::{Config, Pool, ResourceName},
    inventory::Allocated,
    node::{DeviceId, Function, Node},
    plan::{Device, Plan},
};

/// How long a node with PFs must look as if none were the pool's: udev renames interfaces during boot.
pub const GRACE: Duration = Duration::from_secs(30);

/// Which side a pool is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// VFs, if there are any.
    Hardware(String),
    /// Slots.
    Software(String),
    /// Neither: what pods hold is to be given back first, or something is not known yet.
    Waits(String),
}

/// What is remembered from one plan to the next.
#[derive(Debug, Default)]
pub struct Fallback {
    /// Since when the node looks as if no PF were the pool's.
    without: BTreeMap<ResourceName, Instant>,
    /// The kubelet has told what pods hold, at a time when it knew.
    pub told: bool,
    /// The side of each pool with slots, for people.
    pub sides: BTreeMap<ResourceName, Side>,
}

impl Fallback {
    /// Puts slots into the plan, or takes devices out of it. `allocated` is what pods hold, `None` if the
    /// kubelet has not told yet.
    pub fn apply(
        &mut self,
        config: &Config,
        node: &Node,
        plan: &mut Plan,
        allocated: Option<&Allocated>,
        now: Instant,
    ) {
        let mut sides = BTreeMap::new();
        for (pool, share) in config.pools.iter().zip(&mut plan.pools) {
            let Some(slots) = pool.fallback else {
                continue;
            };
            let nothing = BTreeSet::new();
            let held = allocated.map(|held| held.get(&pool.name.to_string()).unwrap_or(&nothing));
            let side = self.side(pool, node, held, now);
            let is_slot = |id: &&DeviceId| matches!(id, DeviceId::Software(_));
            match &side {
                Side::Hardware(_) => {}
                Side::Software(_) => {
                    let slots = (0..slots).map(|slot| slot_of(pool, slot));
                    share.devices = slots.collect();
                }
                Side::Waits(_) => {
                    // What pods hold stays listed; nothing else is offered.
                    let held = held.unwrap_or(&nothing);
                    share
                        .devices
                        .retain(|device| held.contains(&device.function.id));
                    let slots = held.iter().filter(is_slot).filter_map(|id| match id {
                        DeviceId::Software(slot) => Some(slot_of(pool, *slot)),
                        _ => None,
                    });
                    share.devices.extend(slots);
                }
            }
            if self.sides.get(&pool.name) != Some(&side) {
                info!(resource = %pool.name, "{}", side.why());
            }
            sides.insert(pool.name.clone(), side);
        }
        self.without.retain(|name, _| sides.contains_key(name));
        self.sides = sides;
    }

    /// Whether time alone can change anything.
    pub fn is_waiting(&self) -> bool {
        let waits = |side: &Side| matches!(side, Side::Waits(_));
        self.sides.values().any(waits)
    }

    fn side(
        &mut self,
        pool: &Pool,
        node: &Node,
        held: Option<&BTreeSet<DeviceId>>,
        now: Instant,
    ) -> Side {
        let hardware = hardware::of(pool, node);
        let since = match &hardware {
            Some(_) => {
                self.without.remove(&pool.name);
                now
            }
            None => *self.without.entry(pool.name.clone()).or_insert(now),
        };
        let slots = held.map(|held| {
            let is_slot = |id: &&DeviceId| matches!(id, DeviceId::Software(_));
            held.iter().filter(is_slot).count()
        });
        let others = held.zip(slots).map(|(held, slots)| held.len() - slots);
        match (hardware, slots, others) {
            (Some(why), Some(held @ 1..), _) => Side::Waits(format!(
                "{why}, and pods hold {held} software slots: its VFs are offered when they are given back"
            )),
            (Some(why), _, _) => Side::Hardware(format!("no software slots: {why}")),
            (None, None, _) => Side::Waits(
                "no PF of this node is the pool's; software slots are offered when the kubelet has told what pods hold"
                    .to_owned(),
            ),
            (None, Some(_), Some(held @ 1..)) => Side::Waits(format!(
                "no PF of this node is the pool's, and pods hold {held} devices: software slots are offered when they are given back"
            )),
            // A node that can have no VFs at all cannot be in the middle of its boot.
            (None, Some(_), _) if hardware::is_possible(node) && now.duration_since(since) < GRACE => {
                Side::Waits(format!(
                    "no PF of this node is the pool's; software slots are offered if that stays so for {} s",
                    GRACE.as_secs()
                ))
            }
            (None, Some(_), _) => Side::Software(format!(
                "{} software slots: no PF of this node is the pool's",
                pool.fallback.unwrap_or(0)
            )),
        }
    }
}

impl Side {
    /// What people are told.
    pub fn why(&self) -> &str {
        match self {
            Self::Hardware(why) | Self::Software(why) | Self::Waits(why) => why,
        }
    }
}

fn slot_of(pool: &Pool, number: u32) -> Arc<Device> {
    let function = Function::slot(number);
    Arc::new(Device {
        extra: pool.additional_info.as_ref().map(|info| info.all.clone()),
        function: Arc::new(function),
        numa: None,
        rdma: false,
        vdpa: None,
        vhost_net: false,
        vfio: pool.vfio,
        cdi: pool.cdi,
    })
}
