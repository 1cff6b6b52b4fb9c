//! The loop: observe, plan, ask the kubelet what pods hold, offer; again at each change.

mod settings;
mod sight;
mod source;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use host::{error::Error, pci::PciAddress, sysfs::Sysfs};
use tokio::{sync::watch::Receiver, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    access::Roots,
    book::Book,
    config::{Preference, ResourceName},
    failure,
    fallback::Fallback,
    handover::{Handover, cdi::Cdi, device_info::DeviceInfoFiles},
    health::Signs,
    http,
    inventory::{Allocated, Inventory, Listing, Seen},
    memory::Memory,
    node::{DeviceId, Network, Node},
    plan::{Plan, plan},
    provision::{self, withhold},
    serve::{Offer, Pools, Shared, Stopping, kubelet::Kubelet},
    status::Status,
    watch::Topics,
};

pub use settings::Settings;
use source::Source;

/// How often PodResources is asked while something waits for a pod to end, or for its answer.
const IMPATIENT: Duration = Duration::from_secs(5);

/// As good as never, and still a time that can be added to now.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// What asks netlink; a value in tests.
pub type Look = Arc<dyn Fn() -> Result<Network, Error> + Send + Sync>;

/// What the kubelet's answer about its pods is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// It knows all pods.
    Full,
    /// It started a moment ago and may not know all of its pods yet.
    WarmingUp,
    /// It does not answer.
    Silent,
}

/// Everything the loop remembers.
struct Daemon {
    settings: Settings,
    look: Look,
    shared: Arc<Shared>,
    pools: Pools,
    source: Source,
    network: Option<Network>,
    node: Option<Arc<Node>>,
    signs: Signs,
    scanned: Instant,
    /// The node or the configuration is new since the last offer.
    fresh: bool,
    allocated: Allocated,
    /// Devices that pods hold and whose files may be missing.
    lacking: Vec<(ResourceName, DeviceId)>,
    kubelet: Knowledge,
    /// Software slots.
    fallback: Fallback,
    /// Functions that provisioning has not made what they are to be.
    pending: BTreeMap<PciAddress, String>,
    offered: BTreeMap<ResourceName, Listing>,
}

/// Runs until `stop`. Bad configurations, a missing kubelet and unreadable devices are told and waited
/// out; nothing ends the daemon but `stop`.
pub async fn run(settings: Settings, topics: Topics, look: Look, stop: CancellationToken) {
    let mut daemon = Daemon::new(settings, &topics, look);
    if let Some(address) = daemon.settings.http.clone() {
        let serving = http::serve(address, Arc::clone(&daemon.shared), stop.clone());
        tokio::spawn(serving);
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = daemon.follow(&topics) => {}
    }
    daemon.pools.stop().await;
}

impl Daemon {
    fn new(settings: Settings, topics: &Topics, look: Look) -> Self {
        let device_info = DeviceInfoFiles::new(&settings.device_info);
        device_info.files.admit();
        let memory = Memory::new(&settings.device_info, &settings.proc_root);
        let shared = Arc::new(Shared {
            kubelet: Kubelet::new(&settings.kubelet_root),
            roots: Roots {
                sysfs: Sysfs::new(&settings.sysfs_root),
                dev: settings.dev_root.clone(),
            },
            handover: Handover {
                device_info,
                cdi: Cdi::new(settings.cdi.clone()),
            },
            book: Book::open(memory),
            status: Status::default(),
            kubelet_changes: topics.kubelet.clone(),
            device_changes: topics.devices.clone(),
            pause: settings.pause,
        });
        // Until the kubelet answers, what was held before still is.
        let allocated = shared.book.lock().inventory.known();
        Self {
            settings,
            look,
            pools: Pools::new(Arc::clone(&shared)),
            shared,
            source: Source::default(),
            network: None,
            node: None,
            signs: Signs::default(),
            scanned: Instant::now(),
            fresh: true,
            allocated,
            lacking: Vec::new(),
            kubelet: Knowledge::Full,
            fallback: Fallback::default(),
            pending: BTreeMap::new(),
            offered: BTreeMap::new(),
        }
    }

    /// Observes and offers, at first and after each change; never ends.
    async fn follow(&mut self, topics: &Topics) {
        // Before the first look, so that no change in between is missed.
        let (mut devices, mut routes) = (topics.devices.subscribe(), topics.routes.subscribe());
        let (mut config, mut kubelet) = (topics.config.subscribe(), topics.kubelet.subscribe());
        self.load();
        self.observe().await;
        loop {
            self.offer().await;
            let interval = self.interval();
            tokio::select! {
                _ = devices.changed() => self.settle(&mut devices).await,
                _ = config.changed() => {
                    self.settle(&mut config).await;
                    // New pools may need facts that nobody asked for before.
                    self.load();
                }
                _ = routes.changed() => {
                    self.settle(&mut routes).await;
                    if !self.network_differs().await {
                        continue;
                    }
                }
                // It may answer now.
                _ = kubelet.changed(), if self.kubelet == Knowledge::Silent => {
                    self.settle(&mut kubelet).await;
                    continue;
                }
                () = tokio::time::sleep(interval) => {
                    if !self.is_scan_due() {
                        continue;
                    }
                    self.load();
                }
            }
            self.observe().await;
        }
    }

    /// Lets a swarm of changes pass, then counts all of it as seen.
    async fn settle(&self, topic: &mut Receiver<u64>) {
        tokio::time::sleep(self.settings.settle).await;
        topic.borrow_and_update();
    }

    fn is_scan_due(&self) -> bool {
        let waiting = self.node.is_none() || !self.pending.is_empty();
        let reconcile = self.settings.reconcile;
        waiting || reconcile.is_some_and(|reconcile| self.scanned.elapsed() >= reconcile)
    }

    fn interval(&self) -> Duration {
        let waiting = self.node.is_none()
            || self.kubelet != Knowledge::Full
            || self.shared.book.lock().inventory.is_waiting()
            || !self.pending.is_empty()
            || self.fallback.is_waiting()
            || self.shared.handover.is_waiting();
        let reconcile = self.settings.reconcile.unwrap_or(NEVER);
        if waiting {
            IMPATIENT.min(reconcile)
        } else {
            reconcile
        }
    }

    fn load(&mut self) {
        self.fresh |= self.source.load(&self.settings, &self.shared.status);
    }

    async fn observe(&mut self) {
        self.scanned = Instant::now();
        let sysfs = &self.shared.roots.sysfs;
        let mut facts = match sight::look(&self.look, sysfs, &self.source.config).await {
            // Without routes nobody knows which interfaces are the node's own: nothing changes.
            Err(error) => {
                error!(error, "the node cannot be observed");
                self.shared.status.lock().scan_problem = Some(error);
                return;
            }
            Ok(facts) => facts,
        };
        for skipped in &facts.node.skipped {
            debug!(error = skipped, "function left out");
        }
        let mut status = self.shared.status.lock();
        status.scanned(&facts.node, &facts.signs, facts.took);
        self.signs = std::mem::take(&mut facts.signs);
        self.network = Some(facts.network);
        self.fresh = true;
        self.node = Some(facts.node);
    }

    async fn network_differs(&self) -> bool {
        match (&self.network, &self.node) {
            (Some(before), Some(node)) => sight::network_differs(&self.look, before, node).await,
            _ => true,
        }
    }

    /// Decides from what is known and tells the kubelet.
    async fn offer(&mut self) {
        let Some(node) = self.node.clone() else {
            return;
        };
        self.ask().await;
        self.provisioning(&node).await;
        let plan = plan(&self.source.config, &node);
        if std::mem::take(&mut self.fresh) {
            for verdict in &plan.verdicts {
                debug!("{verdict}");
            }
        }
        let stopping = self.publish(&node, plan);
        stopping.stop().await;
    }

    /// Under the lock, so that no Allocate gives away what is just being taken off the list.
    fn publish(&mut self, node: &Node, mut plan: Plan) -> Stopping {
        let config = &self.source.config;
        let mut pages = self.shared.book.lock();
        let now = Instant::now();
        let held = pages.inventory.effective(&self.allocated, now);
        let told = self.fallback.told.then_some(&held);
        self.fallback.apply(config, node, &mut plan, told, now);
        let plan = Arc::new(plan);
        let seen = Seen {
            config,
            plan: &plan,
            node,
            signs: &self.signs,
        };
        let mut pools = pages.inventory.apply(&seen, &held);
        pages.save();
        withhold(&mut pools, &self.pending, &held);
        let lacking = std::mem::take(&mut self.lacking);
        let handover = &self.shared.handover;
        handover.restore(&self.shared.roots, &pools, &lacking);
        self.tell(&pools);
        let mut facts = self.shared.status.lock();
        facts.offer(&pools);
        // The reasons of a big node are megabytes, and only HTTP shows them.
        facts.plan = self.settings.http.is_some().then_some(plan);
        drop(facts);
        self.offered.clone_from(&pools);
        let offers = pools.into_iter().map(|(name, listing)| {
            let pool = config.pools.iter().find(|pool| pool.name == name);
            let offer = Offer {
                listing,
                preference: pool.map_or(Preference::None, |pool| pool.preference),
                selectors: pool.map_or(0, Inventory::selectors),
            };
            (name, offer)
        });
        self.pools.publish(offers.collect())
    }

    /// Looks what provisioning has yet to do. What cannot be observed stays as it was.
    async fn provisioning(&mut self, node: &Arc<Node>) {
        let entries = self.source.config.provision.clone();
        let Some(network) = self.network.clone().filter(|_| !entries.is_empty()) else {
            self.pending.clear();
            return;
        };
        let (sysfs, node) = (self.shared.roots.sysfs.clone(), Arc::clone(node));
        let look = move || {
            let functions = provision::observe(&sysfs, &network, &node)?;
            Ok::<_, Error>(provision::pending(&entries, &functions))
        };
        let pending = match sight::away("look at provisioning", look).await {
            Ok(pending) => pending,
            Err(error) => {
                error!(error, "provisioning cannot be observed");
                return;
            }
        };
        for (device, reason) in &pending {
            if self.pending.get(device) != Some(reason) {
                warn!(%device, reason, "withheld until `sriovdp provision` has done its work");
            }
        }
        self.pending = pending;
    }

    /// Asks which devices pods hold; an unanswered question leaves the last answer.
    async fn ask(&mut self) {
        let answer = self.shared.kubelet.allocated().await;
        let answers = answer.is_ok();
        self.shared.status.lock().kubelet_answers = answers;
        let mut allocated = match answer {
            Ok(allocated) => allocated,
            Err(error) => {
                if std::mem::replace(&mut self.kubelet, Knowledge::Silent) != Knowledge::Silent {
                    let error = failure::chain(&error);
                    warn!(
                        error,
                        "the kubelet does not tell what pods hold; the last answer counts"
                    );
                }
                return;
            }
        };
        // Just after its start the kubelet answers before it knows its pods: nothing is free by that.
        let age = self.shared.kubelet.age();
        let is_warm = age.is_none_or(|age| age >= self.settings.warm_up);
        self.kubelet = if is_warm {
            Knowledge::Full
        } else {
            Knowledge::WarmingUp
        };
        if !is_warm {
            for (resource, ids) in std::mem::take(&mut self.allocated) {
                allocated.entry(resource).or_default().extend(ids);
            }
        }
        self.fallback.told |= self.kubelet == Knowledge::Full;
        self.allocated = allocated;
        let pools = self.source.config.pools.iter();
        let names: Vec<_> = pools.map(|pool| pool.name.clone()).collect();
        match self.shared.handover.clean(&names, &self.allocated) {
            Ok(held) => self.lacking.extend(held),
            Err(error) => warn!(error = %failure::chain(&error), "a stale file stays"),
        }
    }

    /// Logs what changed in the pools.
    fn tell(&self, pools: &BTreeMap<ResourceName, Listing>) {
        for (name, listing) in pools {
            let before = self.offered.get(name);
            if before == Some(listing) {
                continue;
            }
            let unwell: Vec<_> = listing
                .iter()
                .filter_map(|(address, listed)| Some((address, listed.unwell.as_ref()?)))
                .collect();
            info!(resource = %name, devices = listing.len(), unhealthy = unwell.len(), "pool");
            for (address, reason) in unwell {
                warn!(resource = %name, device = %address, %reason, "device is unhealthy");
            }
            if listing.is_empty() {
                warn!(resource = %name, "pool is empty: `sriovdp explain` says why for each device");
            }
        }
    }
}
