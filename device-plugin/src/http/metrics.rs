//! `/metrics`: pools, devices, pods and traffic (spec/device-plugin.md §9, spec/ecosystem.md §3.2).
//!
//! Names and labels of the separate exporter are kept, so that its dashboards work: `sriov_vf_*` and
//! `sriov_kubepoddevice`. The same counters come once more with `_total` and the pod's labels, for those who
//! would rather not join.

mod devices;
mod pools;

use std::{collections::BTreeMap, sync::Arc};

use tracing::debug;

use crate::{
    counters::{self, Counters},
    failure,
    holder::{Holder, Holding},
    node::{DeviceId, Node},
    serve::Shared,
};
use host::pci::PciAddress;
use proto::prometheus::Page;

/// What a scrape asks others for.
struct Asked {
    holdings: Vec<Holding>,
    counters: BTreeMap<PciAddress, Counters>,
}

impl Asked {
    fn holder(&self, id: &DeviceId) -> Option<&Holder> {
        let holding = self.holdings.iter().find(|holding| holding.id == *id);
        holding.map(|holding| &holding.holder)
    }
}

/// The page.
pub(super) async fn render(shared: &Arc<Shared>) -> String {
    let holdings = shared.kubelet.holdings().await.unwrap_or_else(|error| {
        debug!(error = %failure::chain(&error), "metrics without pods");
        Vec::new()
    });
    let node: Arc<Node> = shared.status.lock().node.clone().unwrap_or_default();
    let (sysfs, seen) = (shared.roots.sysfs.clone(), Arc::clone(&node));
    let counted = tokio::task::spawn_blocking(move || counters::observe(&sysfs, &seen)).await;
    let asked = Asked {
        holdings,
        counters: counted.unwrap_or_default(),
    };
    let mut page = Page::default();
    let facts = shared.status.lock();
    pools::write(&mut page, &facts, &asked);
    devices::write(&mut page, &facts, &node, &asked);
    drop(facts);
    page.text()
}
