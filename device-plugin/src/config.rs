//! Pool configuration: bytes in, validated pools out (spec/device-plugin.md §1.3–1.7).
//!
//! Pure. One bad pool is rejected with place and reason; the others live. Only a document that is
//! neither JSON nor YAML, or has no list of pools, is refused as a whole: an empty list is an order to
//! stop all pools, a document without one (`{}`, a file cut short) is more likely a mistake.

mod document;
mod fallback;
mod kind;
mod name;
mod object;
mod pool;
mod provision;
mod range;
#[cfg(test)]
mod tests;
mod watchful;

use std::{collections::BTreeMap, fmt, path::PathBuf};

use host::pci::PciAddress;

pub use document::{Place, Problem};
pub(crate) use fallback::is_userspace;
pub use kind::{DeviceType, VdpaType, VfioNodes};
pub use name::ResourceName;
pub use object::{Object, P_KEY};
pub use provision::{
    Count, Driver, Group, OnMismatch, Provision, ProvisionRejected, Selector, Target,
};
pub use range::Functions;
pub use watchful::{Health, Preference};

use document::Node;

/// What the command line says about pools.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Prefix of pools that have none of their own.
    pub prefix: String,
    /// The longer of the two directories in which sockets are made; it limits the length of names.
    pub socket_directory: PathBuf,
}

/// The pools of a node, in the order of the file, which decides who takes a device first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The pools.
    pub pools: Vec<Pool>,
    /// What PFs are to have before their VFs are offered; the first entry that selects a PF counts.
    pub provision: Vec<Provision>,
}

/// One resource and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The resource.
    pub name: ResourceName,
    /// What its devices are.
    pub device_type: DeviceType,
    /// Whether devices carry a hint of their memory node.
    pub topology: bool,
    /// Selector objects in order; a device belongs to the first that matches. Never empty.
    pub objects: Vec<Object>,
    /// Facts that the administrator adds to devices; `None` if the pool has none.
    pub additional_info: Option<AdditionalInfo>,
    /// Names or addresses of the node's own interfaces that the pool may give away all the same.
    pub allow_host_nics: Vec<String>,
    /// Which nodes of VFIO containers get.
    pub vfio: VfioNodes,
    /// Whether containers get their nodes through CDI; `None` leaves it to the command line.
    pub cdi: Option<bool>,
    /// What makes its devices Unhealthy.
    pub health: Health,
    /// Software slots on nodes without a PF of the pool; `None` if it asks for none.
    pub fallback: Option<u32>,
    /// Which free devices the kubelet is advised to take.
    pub preference: Preference,
}

/// Facts by device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdditionalInfo {
    /// For all devices (`*`).
    pub all: BTreeMap<String, String>,
    /// For one device; stands over those for all.
    pub one: BTreeMap<PciAddress, BTreeMap<String, String>>,
}

impl AdditionalInfo {
    /// The facts of one device.
    pub fn of(&self, address: PciAddress) -> BTreeMap<String, String> {
        let mut facts = self.all.clone();
        facts.extend(self.one.get(&address).cloned().unwrap_or_default());
        facts
    }
}

/// What a document gave.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The good pools.
    pub config: Config,
    /// The others.
    pub rejected: Vec<Rejection>,
    /// Entries of `provision` that cannot be used.
    pub provision_rejected: Vec<ProvisionRejected>,
    /// What works but may surprise.
    pub warnings: Vec<Problem>,
}

/// A pool that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Position in the file, from 0.
    pub index: usize,
    /// Its resource, if that much could be read.
    pub name: Option<ResourceName>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {} ", self.index + 1)?;
        if let Some(name) = &self.name {
            write!(f, "({name}) ")?;
        }
        write!(f, "rejected: {}", self.problem)
    }
}

/// Reads a document.
pub fn load(bytes: &[u8], defaults: &Defaults) -> Result<Loaded, Problem> {
    let document = Node::document(bytes)?;
    let mut loaded = Loaded::default();
    let members = document.members()?;
    if let Some(list) = members.get("provision") {
        for (index, node) in list.items()?.iter().enumerate() {
            match provision::read(index, node) {
                Ok(entry) => loaded.config.provision.push(entry),
                Err(problem) => loaded
                    .provision_rejected
                    .push(ProvisionRejected { index, problem }),
            }
        }
    }
    if !members.has("resourceList") && !members.has("provision") {
        return Err(document.problem(
            "resourceList is missing: list the pools there, or write [] if none is meant",
        ));
    }
    let Some(list) = members.get("resourceList") else {
        return Ok(loaded);
    };
    for (index, node) in list.items()?.iter().enumerate() {
        let name = pool::name(node, defaults);
        let known = name.as_ref().is_ok_and(|name| loaded.config.has(name));
        let pool = match &name {
            Ok(name) if known => Err(node.problem(format!(
                "resource {name} is configured twice: give each pool a name of its own"
            ))),
            Ok(name) => pool::read(node, name, &mut loaded.warnings)
                .and_then(|pool| provision::agrees(node, pool, &loaded.config.provision)),
            Err(problem) => Err(problem.clone()),
        };
        match pool {
            Ok(pool) => loaded.config.pools.push(pool),
            Err(problem) => loaded.rejected.push(Rejection {
                index,
                name: name.ok(),
                problem,
            }),
        }
    }
    Ok(loaded)
}

impl Config {
    /// Whether any pool selects by RDMA, which sysfs alone does not always show.
    pub fn asks_for_rdma(&self) -> bool {
        self.objects().any(|object| object.rdma)
    }

    /// Whether any pool selects by DDP profile, which only devlink tells.
    pub fn asks_for_ddp(&self) -> bool {
        self.objects().any(|object| !object.ddp_profiles.is_empty())
    }

    fn objects(&self) -> impl Iterator<Item = &Object> {
        self.pools.iter().flat_map(|pool| &pool.objects)
    }

    fn has(&self, name: &ResourceName) -> bool {
        self.pools.iter().any(|pool| pool.name == *name)
    }
}

impl Loaded {
    /// Puts the last good version of a pool where a rejected one stands. Returns the names kept.
    ///
    /// A pool whose edit is wrong goes on as it was; it must not vanish under its pods.
    pub fn keep_last_good(&mut self, last: &Config) -> Vec<ResourceName> {
        if !(self.provision_rejected.is_empty() || last.provision.is_empty()) {
            // Which PF the wrong entry meant is unknown, so no earlier demand is dropped.
            self.config.provision.clone_from(&last.provision);
        }
        let mut kept = Vec::new();
        for (earlier, rejection) in self.rejected.iter().enumerate() {
            let Some(name) = &rejection.name else {
                continue;
            };
            let before = last.pools.iter().find(|pool| pool.name == *name);
            if let Some(pool) = before.filter(|_| !self.config.has(name)) {
                let gone_for_good = earlier - kept.len();
                let place = (rejection.index - gone_for_good).min(self.config.pools.len());
                self.config.pools.insert(place, pool.clone());
                kept.push(name.clone());
            }
        }
        kept
    }
}
