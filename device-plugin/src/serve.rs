//! The asynchronous edge: one supervised task per pool, and what they share.

pub mod kubelet;
mod pool;
mod service;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    access::Roots, config::ResourceName, handover::Handover, inventory::Listing, watch::Topic,
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
    /// Changes in the kubelet's directories.
    pub kubelet_changes: Topic,
    /// Told when Allocate found the node different from the last scan.
    pub device_changes: Topic,
    /// Pause before a second try; doubles with each further one, up to 30 s.
    pub pause: Duration,
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
    listing: watch::Sender<Arc<Listing>>,
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

    /// Makes the pools offer exactly this: new ones start, others stop, and the kubelet hears of each
    /// list that differs. An empty pool is offered, too, so that its capacity is 0 and not unknown.
    pub async fn offer(&mut self, pools: BTreeMap<ResourceName, Listing>) {
        let gone: Vec<ResourceName> = self
            .running
            .keys()
            .filter(|name| !pools.contains_key(name))
            .cloned()
            .collect();
        let gone = gone.iter().filter_map(|name| self.running.remove(name));
        join_all(gone.map(Running::stop)).await;
        for (name, listing) in pools {
            let Some(running) = self.running.get(&name) else {
                let running = Running::start(
                    Arc::clone(&self.shared),
                    name.clone(),
                    listing,
                    self.stop.child_token(),
                );
                self.running.insert(name, running);
                continue;
            };
            running.listing.send_if_modified(|known| {
                let differs = **known != listing;
                if differs {
                    *known = Arc::new(listing);
                }
                differs
            });
        }
    }

    /// Stops all pools at once.
    pub async fn stop(self) {
        self.stop.cancel();
        join_all(self.running.into_values().map(Running::stop)).await;
    }
}

impl Running {
    fn start(
        shared: Arc<Shared>,
        name: ResourceName,
        listing: Listing,
        stop: CancellationToken,
    ) -> Self {
        let (listing, heard) = watch::channel(Arc::new(listing));
        let context = Arc::new(pool::Context {
            shared,
            name,
            listing: heard,
            stop: stop.clone(),
        });
        Self {
            listing,
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
