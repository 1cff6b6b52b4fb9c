//! Who gets what: configuration and observation in, pools with their devices out.
//!
//! Pure. A function belongs to the first pool, and there to the first selector object, that
//! matches it (spec/device-plugin.md §6). Every other answer has a reason.

mod refusal;
#[cfg(test)]
mod tests;
mod warnings;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use refusal::Refusal;
pub use warnings::warnings;

use crate::{
    config::{Config, Pool, ResourceName, VdpaType, VfioNodes},
    node::{DeviceId, Function, Node},
};

/// The decision about every function of the node.
#[derive(Debug, Default)]
pub struct Plan {
    /// Pools in the order of the configuration; a pool may be empty.
    pub pools: Vec<PoolPlan>,
    /// One per function, ordered by address.
    pub verdicts: Vec<Verdict>,
}

/// A pool's share.
#[derive(Debug)]
pub struct PoolPlan {
    /// The resource.
    pub name: ResourceName,
    /// Its devices, ordered by address.
    pub devices: Vec<Arc<Device>>,
}

/// A function as a pool offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The function.
    pub function: Arc<Function>,
    /// Memory node to tell the kubelet.
    pub numa: Option<u32>,
    /// Containers get its RDMA devices, too.
    pub rdma: bool,
    /// Containers get its vDPA device in place of the function.
    pub vdpa: Option<VdpaType>,
    /// Containers get vhost-net and tun, too.
    pub vhost_net: bool,
    /// Which nodes of VFIO containers get.
    pub vfio: VfioNodes,
    /// Whether nodes go through CDI; `None` leaves it to the command line.
    pub cdi: Option<bool>,
    /// Facts from the configuration; `None` if the pool has none for any device.
    pub extra: Option<BTreeMap<String, String>>,
}

/// What became of one function.
#[derive(Debug)]
pub struct Verdict {
    /// The function.
    pub id: DeviceId,
    /// The pool that took it.
    pub taken: Option<ResourceName>,
    /// Why each selector object before did not: resource, index of the object, reason.
    pub refused: Vec<(ResourceName, usize, Refusal)>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.taken {
            Some(name) => write!(f, "{}: {name}", self.id)?,
            None => write!(f, "{}: no pool", self.id)?,
        }
        for (name, object, refusal) in &self.refused {
            write!(
                f,
                "; not {name} (selector object {}): {refusal}",
                object + 1
            )?;
        }
        Ok(())
    }
}

/// Decides about every function.
pub fn plan(config: &Config, node: &Node) -> Plan {
    let empty = |pool: &Pool| PoolPlan {
        name: pool.name.clone(),
        devices: Vec::new(),
    };
    let mut pools: Vec<PoolPlan> = config.pools.iter().map(empty).collect();
    let mut verdicts = Vec::with_capacity(node.functions.len());
    for function in &node.functions {
        let mut verdict = Verdict {
            id: function.id(),
            taken: None,
            refused: Vec::new(),
        };
        for (pool, share) in config.pools.iter().zip(&mut pools) {
            if let Some(device) = offer(pool, function, &mut verdict) {
                share.devices.push(Arc::new(device));
                break;
            }
        }
        verdicts.push(verdict);
    }
    Plan { pools, verdicts }
}

/// The function as the pool would offer it, if one of the pool's objects matches.
fn offer(pool: &Pool, function: &Arc<Function>, verdict: &mut Verdict) -> Option<Device> {
    if pool.device_type != function.kind {
        let reason = Refusal::OtherKind {
            found: function.kind,
            wanted: pool.device_type,
        };
        verdict.refused.push((pool.name.clone(), 0, reason));
        return None;
    }
    for (place, object) in pool.objects.iter().enumerate() {
        if let Some(reason) = refusal::refusal(pool, object, function) {
            verdict.refused.push((pool.name.clone(), place, reason));
            continue;
        }
        verdict.taken = Some(pool.name.clone());
        return Some(Device {
            function: Arc::clone(function),
            numa: function.numa.filter(|_| pool.topology),
            rdma: object.rdma,
            vdpa: object.vdpa,
            vhost_net: object.vhost_net,
            vfio: pool.vfio,
            cdi: pool.cdi,
            extra: pool
                .additional_info
                .as_ref()
                .map(|info| info.of(function.address)),
        });
    }
    None
}
