//! The whole page: counts, and what is looked up when somebody asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use kube::runtime::reflector::Store;
use multus_plugin::journal::{Journal, Shelf};
use serde_json::{Value, json};

use super::Metrics;
use super::process;
use crate::api::event::Events;
use crate::api::nad::NetworkAttachmentDefinition;
use crate::outbox::Outbox;
use proto::prometheus::{Kind, Page};

/// Everything that is asked.
pub struct Scrape {
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Status that is not written yet; `None` without an API server.
    pub outbox: Option<Arc<Outbox>>,
    /// Events that are not sent yet.
    pub events: Arc<Events>,
    /// NADs as they are watched.
    pub nads: Store<NetworkAttachmentDefinition>,
    /// State folder, shared with the plugin.
    pub cni_dir: PathBuf,
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrape")
            .field("metrics", &self.metrics)
            .field("cni_dir", &self.cni_dir)
            .finish_non_exhaustive()
    }
}

/// Number of records on each shelf of the journal.
#[derive(Debug, Clone, Copy, Default)]
struct Shelves {
    live: usize,
    kept: usize,
    damaged: usize,
}

impl Scrape {
    /// The page of `/metrics`.
    pub async fn page(&self) -> String {
        let (shelves, usage) = self.look().await;
        let mut page = Page::default();
        self.metrics.write(&mut page, Instant::now());
        page.metric(
            "cni_pending_deletes",
            Kind::Gauge,
            "Deleted sandboxes of which a network is not deleted yet.",
        );
        page.sample("cni_pending_deletes", &[("plugin", "multus")], shelves.kept);
        page.single(
            "multus_sandboxes",
            Kind::Gauge,
            "Sandboxes with recorded networks.",
            shelves.live,
        );
        page.single(
            "multus_damaged_records",
            Kind::Gauge,
            "Records that could not be read, for 'multus repair'.",
            shelves.damaged,
        );
        let waiting = self.outbox.as_ref().map_or(0, |outbox| outbox.waiting());
        page.single(
            "multus_status_waiting",
            Kind::Gauge,
            "Values of network-status that are not written yet.",
            waiting,
        );
        page.single(
            "multus_events_waiting",
            Kind::Gauge,
            "Events that are not sent yet.",
            self.events.waiting(),
        );
        page.single(
            "multus_events_dropped_total",
            Kind::Counter,
            "Events that were given up.",
            self.events.dropped(),
        );
        page.single(
            "multus_nads",
            Kind::Gauge,
            "NetworkAttachmentDefinitions that are known.",
            self.nads.len(),
        );
        page.metric("multus_build_info", Kind::Gauge, "1, with the version.");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.sample("multus_build_info", &version, 1);
        process::write(&mut page, &usage);
        page.text()
    }

    /// What a person wants to know of a daemon that does not behave: what waits, and what it uses.
    pub async fn state(&self) -> Value {
        let (shelves, usage) = self.look().await;
        json!({
            "inFlight": self.metrics.in_flight(Instant::now()),
            "statusWaiting": self.outbox.as_ref().map(|outbox| outbox.pods()).unwrap_or_default(),
            "eventsWaiting": self.events.waiting(),
            "nads": self.nads.len(),
            "records": {"live": shelves.live, "kept": shelves.kept, "damaged": shelves.damaged},
            "process": {
                "residentBytes": usage.resident, "threads": usage.threads,
                "descriptors": usage.descriptors, "cpuSeconds": usage.cpu.as_secs_f64(),
            },
        })
    }

    async fn look(&self) -> (Shelves, process::Usage) {
        let journal = Journal::new(&self.cni_dir);
        let looked = tokio::task::spawn_blocking(move || {
            let count = |shelf| journal.list(shelf).map_or(0, |names| names.len());
            let shelves = Shelves {
                live: count(Shelf::Live),
                kept: count(Shelf::Kept),
                damaged: count(Shelf::Damaged),
            };
            (shelves, process::usage(std::path::Path::new("/proc")))
        });
        looked.await.unwrap_or_default()
    }
}
