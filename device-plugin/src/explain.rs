//! Why each device is where it is: a value that is printed as a table, as JSON, or served.
//!
//! Pure. For each device: the pool that took it, or the first selector of each pool that refused it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use host::pci::PciAddress;
use serde::Serialize;

use crate::{
    config::{Loaded, ResourceName},
    fallback::Side,
    inventory::Listing,
    node::{DeviceId, Function, Node},
    plan::{self, Plan, PoolPlan, Verdict},
    table,
};

/// Everything there is to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The pools in the order of the configuration.
    pub pools: Vec<Share>,
    /// The devices, ordered by id.
    pub devices: Vec<Line>,
    /// Devices that are listed Unhealthy, gone ones included.
    pub unhealthy: Vec<Unhealthy>,
    /// What could not be read.
    pub left_out: Vec<String>,
    /// What works and may surprise.
    pub warnings: Vec<String>,
    /// What of the configuration is not used, and why.
    pub rejected: Vec<String>,
}

/// A device that no pod may get now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unhealthy {
    /// The resource.
    pub resource: String,
    /// The device.
    pub id: String,
    /// The reason as one word, as metrics have it.
    pub reason: &'static str,
    /// The same for people.
    pub why: String,
}

/// Those of some lists.
pub fn unhealthy(pools: &BTreeMap<ResourceName, Listing>) -> Vec<Unhealthy> {
    let of_pool = |(resource, listing): (&ResourceName, &Listing)| -> Vec<Unhealthy> {
        let devices = listing.iter().filter_map(|(id, listed)| {
            let unwell = listed.unwell.as_ref()?;
            Some(Unhealthy {
                resource: resource.to_string(),
                id: id.to_string(),
                reason: unwell.word(),
                why: unwell.to_string(),
            })
        });
        devices.collect()
    };
    pools.iter().flat_map(of_pool).collect()
}

/// What a pool has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The resource.
    pub resource: String,
    /// Ids of its devices, software slots included.
    pub devices: Vec<String>,
    /// Why the pool has software slots, or why it has none; absent if it asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// PCI ids: vendor and device.
    pub ids: String,
    /// Name of vendor and device for people; absent where this program has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Interface or address of its PF, and its index there.
    pub pf: Option<String>,
    /// Memory node.
    pub numa: Option<u32>,
    /// The pool that took it.
    pub pool: Option<String>,
    /// Why it is not offered although a pool took it: it is not provisioned yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// Why each pool before did not take it.
    pub refused: Vec<Refused>,
}

/// Why a pool did not take a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The resource.
    pub pool: String,
    /// The selector object, from 1.
    pub object: usize,
    /// The first selector that does not hold, or what else is in the way.
    pub reason: String,
}

/// Names of a function's vendor and device, for people.
pub type Namer<'a> = &'a dyn Fn(&Function) -> Option<String>;

/// What the plan is made from and with.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The configuration.
    pub loaded: &'a Loaded,
    /// The node.
    pub node: &'a Node,
    /// What provisioning has yet to do.
    pub pending: &'a BTreeMap<PciAddress, String>,
    /// Which side each pool with software slots is on.
    pub sides: &'a BTreeMap<ResourceName, Side>,
}

/// Explains a plan.
pub fn explain(facts: Facts<'_>, plan: &Plan, name: Namer<'_>) -> Explained {
    let Facts {
        loaded,
        node,
        pending,
        sides,
    } = facts;
    let line = |verdict: &Verdict| {
        let function = node.function(&verdict.id)?;
        let withheld = verdict.id.pci().and_then(|address| pending.get(&address));
        Some(Line {
            id: verdict.id.to_string(),
            ids: format!("{:04x}:{:04x}", function.vendor, function.device),
            name: name(function),
            driver: function.driver.clone(),
            pf: pf(function),
            numa: function.numa,
            pool: verdict.taken.as_ref().map(ToString::to_string),
            withheld: withheld.cloned(),
            refused: verdict
                .refused
                .iter()
                .map(|(pool, object, reason)| Refused {
                    pool: pool.to_string(),
                    object: object + 1,
                    reason: reason.to_string(),
                })
                .collect(),
        })
    };
    let rejected = loaded.rejected.iter().map(ToString::to_string);
    let provision = loaded.provision_rejected.iter().map(ToString::to_string);
    Explained {
        pools: plan.pools.iter().map(|pool| share(pool, sides)).collect(),
        devices: plan.verdicts.iter().filter_map(line).collect(),
        unhealthy: Vec::new(),
        left_out: node.skipped.clone(),
        warnings: plan::warnings(&loaded.config, node, plan),
        rejected: rejected.chain(provision).collect(),
    }
}

fn share(pool: &PoolPlan, sides: &BTreeMap<ResourceName, Side>) -> Share {
    Share {
        resource: pool.name.to_string(),
        devices: pool
            .devices
            .iter()
            .map(|device| device.function.id().to_string())
            .collect(),
        fallback: sides.get(&pool.name).map(|side| side.why().to_owned()),
    }
}

/// `ens1f0#3`, or the PF's address where it shows no interface.
pub(crate) fn pf(function: &Function) -> Option<String> {
    let parent = function.parent.as_ref()?;
    let address = parent.pf.address.to_string();
    let name = parent.pf.names.first().unwrap_or(&address);
    Some(match parent.index {
        Some(index) => format!("{name}#{index}"),
        None => name.clone(),
    })
}

impl Explained {
    /// Only one device and the pools that have it; `None` if the node has no such device.
    #[must_use]
    pub fn only(mut self, id: &DeviceId) -> Option<Self> {
        let id = id.to_string();
        self.devices.retain(|line| line.id == id);
        self.unhealthy.retain(|line| line.id == id);
        self.pools.retain(|pool| pool.devices.contains(&id));
        let known = !(self.devices.is_empty() && self.unhealthy.is_empty());
        known.then_some(self)
    }

    /// As a table: the devices of each pool, then those that none took.
    pub fn table(&self) -> String {
        let mut rows = vec![["POOL", "DEVICE", "IDS", "DRIVER", "PF", "WHY"].map(str::to_owned)];
        for pool in &self.pools {
            let mine = |line: &&Line| line.pool.as_ref() == Some(&pool.resource);
            let before = rows.len();
            rows.extend(self.devices.iter().filter(mine).map(Line::row));
            let slots = pool.devices.iter().filter(|id| id.starts_with("software-"));
            rows.extend(slots.map(|id| slot(&pool.resource, id)));
            if rows.len() == before {
                let row = [
                    &*pool.resource,
                    "none",
                    "-",
                    "-",
                    "-",
                    "no device of the node matches",
                ];
                rows.push(row.map(str::to_owned));
            }
        }
        let free = self.devices.iter().filter(|line| line.pool.is_none());
        rows.extend(free.map(Line::row));
        let mut text = table::text(&rows);
        let notes = self.pools.iter().filter_map(|pool| {
            let fallback = pool.fallback.as_ref()?;
            Some(format!("{}: {fallback}", pool.resource))
        });
        let unhealthy = self.unhealthy.iter().map(|unhealthy| {
            let Unhealthy {
                resource, id, why, ..
            } = unhealthy;
            format!("unhealthy: {id} of {resource}: {why}")
        });
        let warnings = self.warnings.iter().map(|line| format!("warning: {line}"));
        let left_out = self.left_out.iter().map(|line| format!("left out: {line}"));
        for line in notes
            .chain(unhealthy)
            .chain(left_out)
            .chain(warnings)
            .chain(self.rejected.iter().cloned())
        {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn slot(resource: &str, id: &str) -> [String; 6] {
    [resource, id, "-", "-", "-", "software slot"].map(str::to_owned)
}

impl Line {
    fn row(&self) -> [String; 6] {
        let or_none = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
        let withheld = self.withheld.iter().map(|why| format!("withheld: {why}"));
        let name = self.name.iter().cloned();
        let why: Vec<String> = withheld.chain(self.reasons()).chain(name).collect();
        [
            self.pool.clone().unwrap_or("no pool".to_owned()),
            self.id.clone(),
            self.ids.clone(),
            or_none(&self.driver),
            or_none(&self.pf),
            why.join("; "),
        ]
    }

    /// One per reason, with all that gave it: `not a, b[2]: it has no driver`.
    fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        for refused in &self.refused {
            let label = match refused.object {
                1 => refused.pool.clone(),
                object => format!("{}[{object}]", refused.pool),
            };
            match reasons
                .iter_mut()
                .find(|(reason, _)| *reason == refused.reason)
            {
                Some((_, labels)) => labels.push(label),
                None => reasons.push((&refused.reason, vec![label])),
            }
        }
        let line =
            |(reason, labels): (&str, Vec<String>)| format!("not {}: {reason}", labels.join(", "));
        reasons.into_iter().map(line).collect()
    }
}
