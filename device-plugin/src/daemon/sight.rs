//! Looking at the node, away from the thread that serves the kubelet.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use host::{error::Error, sysfs::Sysfs};
use tracing::error;

use super::Look;
use crate::{
    config::Config,
    failure,
    health::{self, Signs},
    node::{self, Network, Node},
};

/// What one scan saw.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) network: Network,
    pub(super) node: Arc<Node>,
    pub(super) signs: Signs,
    pub(super) took: Duration,
}

/// Looks at everything. The error is for people.
pub(super) async fn look(look: &Look, sysfs: &Sysfs, config: &Config) -> Result<Sight, String> {
    let (look, sysfs) = (Arc::clone(look), sysfs.clone());
    let (rdma, ddp) = (config.asks_for_rdma(), config.asks_for_ddp());
    let scan = move || -> Result<Sight, Error> {
        let begun = Instant::now();
        let network = look()?;
        let mut devlink = node::Kernel::new(rdma, ddp);
        let node = node::scan_asking(&sysfs, &network, &mut devlink)?;
        let signs = health::observe(&sysfs, &network, &node);
        Ok(Sight {
            network,
            node: Arc::new(node),
            signs,
            took: begun.elapsed(),
        })
    };
    away("scan", scan).await
}

/// Whether links or routes differ for any interface of the node's functions.
pub(super) async fn network_differs(look: &Look, before: &Network, node: &Node) -> bool {
    let look = Arc::clone(look);
    let Ok(now) = away("look at the network", move || look()).await else {
        return true;
    };
    let interfaces = node.functions.iter().flat_map(|function| {
        let parent = function.parent.iter();
        let of_pf = parent.flat_map(|parent| &parent.pf.names);
        function.interfaces.iter().chain(of_pf).map(String::as_str)
    });
    !now.agrees(before, interfaces)
}

/// Does `work` on a thread of its own; a defect in it is an error like others.
pub(super) async fn away<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failure::chain(&error)),
        Err(defect) => {
            error!(%defect, "{what} ended by a defect");
            Err(format!("{what} ended by a defect"))
        }
    }
}
