//! How the program is doing, for probes, metrics and people. Written by the loop and the pools, read by
//! [`crate::http`].

mod histogram;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use histogram::Histogram;

use crate::{
    config::ResourceName,
    health::Signs,
    inventory::{Listing, Unwell},
    node::Node,
    plan::Plan,
};

/// The facts, behind a lock that nobody keeps.
#[derive(Debug, Default)]
pub struct Status(Mutex<Facts>);

/// What is known now.
#[derive(Debug, Default)]
pub struct Facts {
    /// Number of configurations that were taken.
    pub generation: u64,
    /// What is wrong with the configuration as it is on disk, one line each.
    pub config_problems: Vec<String>,
    /// Number of scans.
    pub scans: u64,
    /// Time that the last scan took.
    pub scan_time: Duration,
    /// Why the last scan failed.
    pub scan_problem: Option<String>,
    /// What the last scan saw.
    pub node: Option<Arc<Node>>,
    /// What was decided about it.
    pub plan: Option<Arc<Plan>>,
    /// How the devices are.
    pub signs: Signs,
    /// PodResources answers.
    pub kubelet_answers: bool,
    /// The pools that are served.
    pub pools: BTreeMap<ResourceName, PoolFacts>,
    /// How often devices changed to Unhealthy, by resource and reason, and back (`healthy`).
    pub transitions: BTreeMap<(String, &'static str), u64>,
    /// How often the carrier of a PF came or went.
    pub link_changes: BTreeMap<String, u64>,
}

/// One pool.
#[derive(Debug, Default)]
pub struct PoolFacts {
    /// Where it stands with the kubelet.
    pub phase: Phase,
    /// What it offers.
    pub listing: Arc<Listing>,
    /// How often the kubelet took it.
    pub registrations: u64,
    /// Time that Allocate took.
    pub allocations: Histogram,
    /// Requests of Allocate that were refused.
    pub refused: u64,
}

/// Where a pool stands with the kubelet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has no socket yet.
    #[default]
    Starting,
    /// It has a socket.
    Listening,
    /// The kubelet took it.
    Registered,
    /// The kubelet follows its list.
    Streaming,
    /// Another process serves it.
    StandingBy,
    /// Something broke, and it begins again after a pause.
    Broken(String),
}

impl Phase {
    /// As one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Listening => "listening",
            Self::Registered => "registered",
            Self::Streaming => "streaming",
            Self::StandingBy => "standing-by",
            Self::Broken(_) => "broken",
        }
    }
}

impl Status {
    /// The facts, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where a pool stands.
    pub fn phase(&self, pool: &ResourceName, phase: Phase) {
        let mut facts = self.lock();
        // A pool that is stopped leaves the facts first.
        if let Some(pool) = facts.pools.get_mut(pool) {
            if phase == Phase::Streaming && pool.phase != phase {
                pool.registrations += 1;
            }
            pool.phase = phase;
        }
    }
}

impl Facts {
    /// What keeps the program from doing its job, one line each; empty if it is ready.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = self.config_problems.clone();
        if self.generation == 0 && obstacles.is_empty() {
            obstacles.push("no configuration yet".to_owned());
        }
        if self.node.is_none() {
            obstacles.push("the node is not observed yet".to_owned());
        }
        obstacles.extend(self.scan_problem.clone());
        for (name, pool) in &self.pools {
            match &pool.phase {
                Phase::Streaming => {}
                Phase::Broken(reason) => obstacles.push(format!("{name}: {reason}")),
                phase => obstacles.push(format!("{name}: {}", phase.word())),
            }
        }
        obstacles
    }

    /// Takes the new lists, and counts what changed in them.
    pub fn offer(&mut self, pools: &BTreeMap<ResourceName, Listing>) {
        self.pools.retain(|name, _| pools.contains_key(name));
        for (name, listing) in pools {
            let pool = self.pools.entry(name.clone()).or_default();
            if *pool.listing == *listing {
                continue;
            }
            for (id, listed) in listing {
                let before = pool
                    .listing
                    .get(id)
                    .and_then(|listed| listed.unwell.as_ref());
                let now = listed.unwell.as_ref();
                if before.map(Unwell::word) != now.map(Unwell::word) {
                    let word = now.map_or("healthy", Unwell::word);
                    *self
                        .transitions
                        .entry((name.to_string(), word))
                        .or_default() += 1;
                }
            }
            pool.listing = Arc::new(listing.clone());
        }
    }

    /// Takes what a scan saw.
    pub fn scanned(&mut self, node: &Arc<Node>, signs: &Signs, took: Duration) {
        for (pf, carrier) in &signs.carriers {
            if self
                .signs
                .carriers
                .get(pf)
                .is_some_and(|before| before != carrier)
            {
                *self.link_changes.entry(pf.clone()).or_default() += 1;
            }
        }
        self.scans += 1;
        self.scan_time = took;
        self.scan_problem = None;
        self.node = Some(Arc::clone(node));
        self.signs = signs.clone();
    }
}
