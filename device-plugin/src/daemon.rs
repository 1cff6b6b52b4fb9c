//! The loop: observe, plan, ask the kubelet what pods hold, offer; again at each change.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use host::{error::Error, file, pci::PciAddress, sysfs::Sysfs};
use tokio::{sync::watch::Receiver, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    access::Roots,
    config::{self, Config, Defaults, ResourceName},
    failure,
    handover::{
        Handover,
        cdi::{self, Cdi},
        device_info::DeviceInfoFiles,
    },
    inventory::{Allocated, Inventory, Listing},
    node::{self, DeviceId, Network, Node},
    plan::plan,
    provision::{self, withhold},
    serve::{Pools, Shared, kubelet::Kubelet},
    watch::Topics,
};

/// Where everything is and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pool configuration.
    pub config: PathBuf,
    /// Prefix of pools that have none of their own.
    pub prefix: String,
    /// The kubelet's root directory.
    pub kubelet_root: PathBuf,
    /// `/sys`.
    pub sysfs_root: PathBuf,
    /// `/dev`.
    pub dev_root: PathBuf,
    /// Directory of DeviceInfo files.
    pub device_info: PathBuf,
    /// How containers get device nodes.
    pub cdi: cdi::Settings,
    /// Longest time between two scans.
    pub reconcile: Duration,
    /// How long after a change the next scan begins: changes come in swarms.
    pub settle: Duration,
    /// Pause before a second try with the kubelet.
    pub pause: Duration,
}

/// How often PodResources is asked while something waits for a pod to end, or for its answer.
const IMPATIENT: Duration = Duration::from_secs(5);

/// What asks netlink; a value in tests.
pub type Look = Arc<dyn Fn() -> Result<Network, Error> + Send + Sync>;

/// Everything the loop remembers.
struct Daemon {
    settings: Settings,
    look: Look,
    shared: Arc<Shared>,
    pools: Pools,
    inventory: Inventory,
    config: Config,
    /// Bytes of the configuration file as last read; `None` before, or if it cannot be read.
    document: Option<Vec<u8>>,
    network: Option<Network>,
    node: Option<Arc<Node>>,
    scanned: Instant,
    /// The node or the configuration is new since the last offer.
    fresh: bool,
    allocated: Allocated,
    /// Devices that pods hold and whose files may be missing.
    lacking: Vec<(ResourceName, DeviceId)>,
    kubelet_answers: bool,
    /// Functions that provisioning has not made what they are to be.
    pending: BTreeMap<PciAddress, String>,
    offered: BTreeMap<ResourceName, Listing>,
}

/// Runs until `stop`. Bad configurations, a missing kubelet and unreadable devices are told and waited
/// out; nothing ends the daemon but `stop`.
pub async fn run(settings: Settings, topics: Topics, look: Look, stop: CancellationToken) {
    let mut daemon = Daemon::new(settings, &topics, look);
    tokio::select! {
        () = stop.cancelled() => {}
        () = daemon.follow(&topics) => {}
    }
    daemon.pools.stop().await;
}

impl Daemon {
    fn new(settings: Settings, topics: &Topics, look: Look) -> Self {
        let shared = Arc::new(Shared {
            kubelet: Kubelet::new(&settings.kubelet_root),
            roots: Roots {
                sysfs: Sysfs::new(&settings.sysfs_root),
                dev: settings.dev_root.clone(),
            },
            handover: Handover {
                device_info: DeviceInfoFiles::new(&settings.device_info),
                cdi: Cdi::new(settings.cdi.clone()),
            },
            kubelet_changes: topics.kubelet.clone(),
            device_changes: topics.devices.clone(),
            pause: settings.pause,
        });
        Self {
            settings,
            look,
            pools: Pools::new(Arc::clone(&shared)),
            shared,
            inventory: Inventory::default(),
            config: Config::default(),
            document: None,
            network: None,
            node: None,
            scanned: Instant::now(),
            fresh: true,
            allocated: Allocated::new(),
            lacking: Vec::new(),
            kubelet_answers: true,
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
                _ = kubelet.changed(), if !self.kubelet_answers => {
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
        waiting || self.scanned.elapsed() >= self.settings.reconcile
    }

    fn interval(&self) -> Duration {
        let waiting = self.node.is_none()
            || !self.kubelet_answers
            || self.inventory.is_waiting()
            || !self.pending.is_empty()
            || self.shared.handover.is_waiting();
        if waiting {
            IMPATIENT.min(self.settings.reconcile)
        } else {
            self.settings.reconcile
        }
    }

    /// Reads the configuration. What is wrong is told; the last good one stays.
    fn load(&mut self) {
        let path = &self.settings.config;
        let read = file::read(path)
            .map_err(|error| failure::chain(&error))
            .and_then(|found| found.ok_or_else(|| format!("{}: no such file", path.display())));
        let document = match read {
            Ok(document) => document,
            Err(error) => {
                if self.document.take().is_some() || self.config == Config::default() {
                    error!(
                        error,
                        "configuration cannot be read, the last good one stays"
                    );
                }
                return;
            }
        };
        if self.document.as_ref() == Some(&document) {
            return;
        }
        let file = path.display();
        let defaults = Defaults {
            prefix: self.settings.prefix.clone(),
            socket_directory: Kubelet::longest_directory(&self.settings.kubelet_root),
        };
        match config::load(&document, &defaults) {
            Err(problem) => {
                error!(%file, %problem, "configuration refused, the last good one stays");
            }
            Ok(mut loaded) => {
                for warning in &loaded.warnings {
                    warn!(%file, %warning, "configuration");
                }
                for rejection in &loaded.rejected {
                    error!(%file, "{rejection}");
                }
                for rejection in &loaded.provision_rejected {
                    error!(%file, "{rejection}");
                }
                for name in loaded.keep_last_good(&self.config) {
                    warn!(resource = %name, "the pool goes on with its last good configuration");
                }
                info!(%file, pools = loaded.config.pools.len(), "configuration loaded");
                self.config = loaded.config;
                self.fresh = true;
            }
        }
        self.document = Some(document);
    }

    /// Scans the node, away from the thread that serves the kubelet.
    async fn observe(&mut self) {
        self.scanned = Instant::now();
        let (look, sysfs) = (Arc::clone(&self.look), self.shared.roots.sysfs.clone());
        let (rdma, ddp) = (self.config.asks_for_rdma(), self.config.asks_for_ddp());
        let scan = move || {
            let network = look()?;
            let mut devlink = node::Kernel::new(rdma, ddp);
            let node = node::scan_asking(&sysfs, &network, &mut devlink)?;
            Ok((network, node))
        };
        let scanned: Result<(Network, Node), Error> = match tokio::task::spawn_blocking(scan).await
        {
            Ok(scanned) => scanned,
            Err(defect) => {
                error!(%defect, "scan ended by a defect");
                return;
            }
        };
        match scanned {
            Ok((network, node)) => {
                for skipped in &node.skipped {
                    debug!(error = skipped, "function left out");
                }
                self.network = Some(network);
                self.fresh = true;
                self.node = Some(Arc::new(node));
            }
            // Without routes nobody knows which interfaces are the node's own: nothing changes.
            Err(error) => error!(error = %failure::chain(&error), "the node cannot be observed"),
        }
    }

    async fn network_differs(&self) -> bool {
        let look = Arc::clone(&self.look);
        let now = tokio::task::spawn_blocking(move || look()).await;
        !matches!((now, &self.network), (Ok(Ok(now)), Some(before)) if now == *before)
    }

    /// Decides from what is known and tells the kubelet.
    async fn offer(&mut self) {
        let Some(node) = self.node.clone() else {
            return;
        };
        self.ask().await;
        let plan = plan(&self.config, &node);
        if std::mem::take(&mut self.fresh) {
            for verdict in &plan.verdicts {
                debug!("{verdict}");
            }
        }
        let mut pools = self
            .inventory
            .apply(&self.config, &plan, &node, &self.allocated);
        self.provisioning(&node).await;
        withhold(&mut pools, &self.pending, &self.allocated);
        self.shared.handover.restore(
            &self.shared.roots,
            &pools,
            &std::mem::take(&mut self.lacking),
        );
        self.tell(&pools);
        self.offered.clone_from(&pools);
        self.pools.offer(pools).await;
    }

    /// Looks what provisioning has yet to do. What cannot be observed stays as it was.
    async fn provisioning(&mut self, node: &Arc<Node>) {
        let entries = self.config.provision.clone();
        let Some(network) = self.network.clone().filter(|_| !entries.is_empty()) else {
            self.pending.clear();
            return;
        };
        let (sysfs, node) = (self.shared.roots.sysfs.clone(), Arc::clone(node));
        let look = move || {
            let functions = provision::observe(&sysfs, &network, &node)?;
            Ok::<_, Error>(provision::pending(&entries, &functions))
        };
        let pending = match tokio::task::spawn_blocking(look).await {
            Ok(Ok(pending)) => pending,
            Ok(Err(error)) => {
                error!(error = %failure::chain(&error), "provisioning cannot be observed");
                return;
            }
            Err(defect) => {
                error!(%defect, "looking at provisioning ended by a defect");
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
        match self.shared.kubelet.allocated().await {
            Ok(allocated) => {
                self.kubelet_answers = true;
                self.allocated = allocated;
                let names: Vec<_> = self
                    .config
                    .pools
                    .iter()
                    .map(|pool| pool.name.clone())
                    .collect();
                match self.shared.handover.clean(&names, &self.allocated) {
                    Ok(held) => self.lacking.extend(held),
                    Err(error) => warn!(error = %failure::chain(&error), "a stale file stays"),
                }
            }
            Err(error) if std::mem::take(&mut self.kubelet_answers) => {
                let error = failure::chain(&error);
                warn!(
                    error,
                    "the kubelet does not tell what pods hold; the last answer counts"
                );
            }
            Err(_) => {}
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
