//! The asynchronous edge: one supervised task per pool, and what they share.

mod grant;
pub mod kubelet;
mod pool;
mod service;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    access::Roots,
    book::Book,
    config::{Preference, ResourceName},
    handover::Handover,
    inventory::Listing,
    status::Status,
    watch::Topic,
};

use kubelet::Kubelet;

/// What all pools need.
#[derive(Debug)]
pub struct Shared {
    /// The kubelet's side.
    pub kubelet: Kubelet,
    /// The node's trees, read at Allocate.
    pub roots: Roots,
    /// Files for those who start containers.
    pub handover: Handover,
    /// What pods hold.
    pub book: Book,
    /// How everything is.
    pub status: Status,
    /// Changes in the kubelet's directories.
    pub kubelet_changes: Topic,
    /// Told when Allocate found the node different from the last scan.
    pub device_changes: Topic,
    /// Pause before a second try; doubles with each further one, up to one second.
    pub pause: Duration,
}

/// What a pool offers, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The devices.
    pub listing: Listing,
    /// Which of them the kubelet had better take.
    pub preference: Preference,
    /// The pool's selectors, as the inventory tells them apart.
    pub selectors: u64,
}

/// The running pools.
#[derive(Debug)]
pub struct Pools {
    shared: Arc<Shared>,
    running: BTreeMap<ResourceName, Running>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    offer: watch::Sender<Arc<Offer>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Pools {
    /// No pools yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            running: BTreeMap::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Makes the pools offer exactly this: new ones start, and the kubelet hears of each list that differs.
    /// An empty pool is offered, too, so that its capacity is 0 and not unknown. Gives the pools that are
    /// not among them, to be stopped.
    pub fn publish(&mut self, offers: BTreeMap<ResourceName, Offer>) -> Stopping {
        let gone: Vec<ResourceName> = self
            .running
            .keys()
            .filter(|name| !offers.contains_key(name))
            .cloned()
            .collect();
        for (name, offer) in offers {
            let Some(running) = self.running.get(&name) else {
                let running = Running::start(
                    Arc::clone(&self.shared),
                    name.clone(),
                    offer,
                    self.stop.child_token(),
                );
                self.running.insert(name, running);
                continue;
            };
            running.offer.send_if_modified(|known| {
                let differs = **known != offer;
                if differs {
                    *known = Arc::new(offer);
                }
                differs
            });
        }
        let gone = gone.iter().filter_map(|name| self.running.remove(name));
        Stopping(gone.collect())
    }

    /// Stops all pools at once.
    pub async fn stop(self) {
        self.stop.cancel();
        join_all(self.running.into_values().map(Running::stop)).await;
    }
}

/// Pools that are no longer offered.
#[derive(Debug)]
#[must_use = "they go on until they are stopped"]
pub struct Stopping(Vec<Running>);

impl Stopping {
    /// Stops them all at once.
    pub async fn stop(self) {
        join_all(self.0.into_iter().map(Running::stop)).await;
    }
}

impl Running {
    fn start(
        shared: Arc<Shared>,
        name: ResourceName,
        offer: Offer,
        stop: CancellationToken,
    ) -> Self {
        let (offer, heard) = watch::channel(Arc::new(offer));
        let context = Arc::new(pool::Context {
            shared,
            name,
            offer: heard,
            stop: stop.clone(),
        });
        Self {
            offer,
            stop,
            task: tokio::spawn(supervise(context)),
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        // The supervisor does not panic.
        let _ended = self.task.await;
    }
}

/// Runs a pool until it is told to stop; a panic costs that pool a pause, not its life.
async fn supervise(context: Arc<pool::Context>) {
    while let Err(failed) = tokio::spawn(pool::run(Arc::clone(&context))).await {
        error!(resource = %context.name, error = %failed, "pool ended by a defect, starting it again");
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(context.shared.pause) => {}
        }
    }
}
