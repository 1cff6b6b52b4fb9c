//! What the daemon counts, under the names of spec/ecosystem.md §3.2 and of Go multus (spec/multus.md §10 row 55).
//!
//! Labels come from closed lists: verbs, [`Reason`]s, endpoints, kinds of objects. Only plugin types come from outside,
//! and no more than [`KINDS`] of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cni::config::NetworkList;
use multus_plugin::wire::{Plan, Reason, Report};

mod histogram;
pub mod http;
pub mod process;
pub mod scrape;

use histogram::Histogram;
use proto::prometheus::{Kind, Page};

/// Plugin types that get a label of their own.
const KINDS: usize = 64;
/// A plan whose report did not come in this time is not in flight any more.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// Name of this program in the metrics that other CNI programs have, too.
const PLUGIN: (&str, &str) = ("plugin", "multus");

/// What the runtime finds first in its configuration folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Configuration {
    /// Ours.
    Active,
    /// Somebody put another one before ours, or took ours away.
    Hijacked,
    /// Ours is not there.
    Missing,
    /// There is no primary to put ours before.
    PrimaryInvalid,
}

impl Configuration {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Active, "active"),
        (Self::Hijacked, "hijacked"),
        (Self::Missing, "missing"),
        (Self::PrimaryInvalid, "primary_invalid"),
    ];
}

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: BTreeMap<(&'static str, u16, &'static str), u64>,
    plans: BTreeMap<Option<Reason>, Histogram>,
    adds: BTreeMap<Option<Reason>, Histogram>,
    attachments: BTreeMap<String, Histogram>,
    failures: BTreeMap<(String, Reason), u64>,
    open: HashMap<String, Open>,
    statuses: BTreeMap<&'static str, u64>,
    watches: BTreeMap<String, Watch>,
    configuration: Option<Configuration>,
    displacements: u64,
    certificate_ends: Option<u64>,
}

/// An ADD whose plan was given.
#[derive(Debug)]
struct Open {
    since: Instant,
    /// Name and interface of each attachment, and its plugin's type.
    kinds: Vec<(String, String, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    works: bool,
    since: Instant,
    interruptions: u64,
}

impl Metrics {
    /// An answered request.
    pub fn request(&self, handler: &'static str, code: u16, method: &'static str) {
        *self
            .lock()
            .requests
            .entry((handler, code, method))
            .or_default() += 1;
    }

    /// A plan for `container_id`, asked for at `asked` and answered at `now`.
    pub fn planned(
        &self,
        container_id: &str,
        plan: Result<&Plan, Reason>,
        asked: Instant,
        now: Instant,
    ) {
        let kinds = plan.map(kinds_of);
        let mut state = self.lock();
        let took = now.saturating_duration_since(asked);
        let reason = kinds.as_ref().err().copied();
        state.plans.entry(reason).or_default().observe(took);
        state
            .open
            .retain(|_, open| now.saturating_duration_since(open.since) < FORGOTTEN);
        match kinds {
            Ok(kinds) => {
                let open = Open {
                    since: asked,
                    kinds,
                };
                state.open.insert(container_id.to_owned(), open);
            }
            // The ADD ends with this answer.
            Err(reason) => state.adds.entry(Some(reason)).or_default().observe(took),
        }
    }

    /// What became of a plan, told at `now`.
    pub fn reported(&self, report: &Report, now: Instant) {
        let mut state = self.lock();
        let open = state.open.remove(&report.container_id);
        let reason = report.error.as_ref().map(|error| error.reason);
        if let Some(open) = &open {
            let took = now.saturating_duration_since(open.since);
            state.adds.entry(reason).or_default().observe(took);
        }
        let kind_of = |name: &str, ifname: Option<&str>| {
            let open = open.as_ref()?;
            let found = open
                .kinds
                .iter()
                .find(|(known, at, _)| known == name && ifname.is_none_or(|ifname| ifname == at))?;
            Some(found.2.clone())
        };
        for attachment in &report.attachments {
            let Some(took) = attachment.duration_ms else {
                continue;
            };
            let kind = kind_of(&attachment.name, Some(&attachment.ifname));
            let kind = state.bounded(kind.unwrap_or_default());
            let histogram = state.attachments.entry(kind).or_default();
            histogram.observe(Duration::from_millis(took));
        }
        if let Some(error) = &report.error {
            let kind = kind_of(&error.attachment, None).unwrap_or_default();
            let kind = state.bounded(kind);
            *state.failures.entry((kind, error.reason)).or_default() += 1;
        }
    }

    /// An attempt to write network-status: `written`, `pod_gone` or `failed`.
    pub fn status(&self, outcome: &'static str) {
        *self.lock().statuses.entry(outcome).or_default() += 1;
    }

    /// A watch works, or is interrupted.
    pub fn watch(&self, kind: &str, works: bool, now: Instant) {
        let mut state = self.lock();
        let watch = state.watches.entry(kind.to_owned()).or_insert(Watch {
            works,
            since: now,
            interruptions: 0,
        });
        if watch.works != works {
            watch.works = works;
            watch.since = now;
            watch.interruptions += u64::from(!works);
        }
    }

    /// How our configuration is found.
    pub fn configuration(&self, found: Option<Configuration>) {
        self.lock().configuration = found;
    }

    /// Somebody took our configuration away, or came before it.
    pub fn displaced(&self) {
        self.lock().displacements += 1;
    }

    /// The node's client certificate is good until then, in seconds since 1970.
    pub fn certificate(&self, ends: u64) {
        self.lock().certificate_ends = Some(ends);
    }

    /// Plans whose report is awaited.
    pub fn in_flight(&self, now: Instant) -> usize {
        let state = self.lock();
        let open = state.open.values();
        open.filter(|open| now.saturating_duration_since(open.since) < FORGOTTEN)
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, page: &mut Page, now: Instant) {
        let in_flight = self.in_flight(now);
        let state = self.lock();
        page.metric(
            "multus_server_request_total",
            Kind::Counter,
            "Requests by endpoint, HTTP status and method.",
        );
        for ((handler, code, method), count) in &state.requests {
            let code = code.to_string();
            let labels = [("handler", *handler), ("code", &code), ("method", method)];
            page.sample("multus_server_request_total", &labels, count);
        }
        page.metric(
            "cni_request_duration_seconds",
            Kind::Histogram,
            "ADDs that needed a plan, from the request for it to the report.",
        );
        for (reason, histogram) in &state.adds {
            let labels = [PLUGIN, ("command", "ADD"), result(*reason), word(*reason)];
            histogram.write(page, "cni_request_duration_seconds", &labels);
        }
        page.metric(
            "cni_inflight",
            Kind::Gauge,
            "ADDs that have their plan and have not reported.",
        );
        page.sample("cni_inflight", &[PLUGIN], in_flight);
        page.metric(
            "multus_plan_duration_seconds",
            Kind::Histogram,
            "Answers to requests for a plan, waiting for a turn included.",
        );
        for (reason, histogram) in &state.plans {
            let labels = [result(*reason), word(*reason)];
            histogram.write(page, "multus_plan_duration_seconds", &labels);
        }
        page.metric(
            "multus_attachment_duration_seconds",
            Kind::Histogram,
            "Networks attached, by type of their plugin, as the plugin on the host measured it.",
        );
        for (kind, histogram) in &state.attachments {
            histogram.write(
                page,
                "multus_attachment_duration_seconds",
                &[("type", kind)],
            );
        }
        page.metric(
            "multus_attachments_failed_total",
            Kind::Counter,
            "Networks that could not be attached.",
        );
        for ((kind, reason), count) in &state.failures {
            let labels = [("type", kind.as_str()), ("reason", reason.as_str())];
            page.sample("multus_attachments_failed_total", &labels, count);
        }
        state.write_surroundings(page, now);
    }
}

impl State {
    /// The type, unless too many others were met before it.
    fn bounded(&self, kind: String) -> String {
        let known = |kind: &String| {
            self.attachments.contains_key(kind) || self.failures.keys().any(|(k, _)| k == kind)
        };
        let met = self.attachments.len() + self.failures.len();
        if kind.is_empty() || (met >= KINDS && !known(&kind)) {
            "other".to_owned()
        } else {
            kind
        }
    }

    fn write_surroundings(&self, page: &mut Page, now: Instant) {
        page.metric(
            "multus_status_writes_total",
            Kind::Counter,
            "Attempts to write network-status.",
        );
        for (outcome, count) in &self.statuses {
            page.sample("multus_status_writes_total", &[("result", *outcome)], count);
        }
        page.metric(
            "multus_watch_up",
            Kind::Gauge,
            "Whether a watch of the API server works.",
        );
        for (kind, watch) in &self.watches {
            page.sample("multus_watch_up", &[("kind", kind)], u8::from(watch.works));
        }
        page.metric(
            "multus_watch_interruptions_total",
            Kind::Counter,
            "Times a watch was interrupted.",
        );
        for (kind, watch) in &self.watches {
            page.sample(
                "multus_watch_interruptions_total",
                &[("kind", kind)],
                watch.interruptions,
            );
        }
        page.metric(
            "multus_watch_stale_seconds",
            Kind::Gauge,
            "For how long what is known may be out of date; 0 while the watch works. For kind NetworkAttachmentDefinition this is the age of the copies on disk.",
        );
        for (kind, watch) in &self.watches {
            let stale = if watch.works {
                Duration::ZERO
            } else {
                now.saturating_duration_since(watch.since)
            };
            page.sample(
                "multus_watch_stale_seconds",
                &[("kind", kind)],
                stale.as_secs(),
            );
        }
        page.metric(
            "net_conf_state",
            Kind::Gauge,
            "What the container runtime finds first in its configuration folder.",
        );
        for (state, word) in Configuration::ALL {
            let is = self.configuration == Some(state);
            page.sample("net_conf_state", &[("state", word)], u8::from(is));
        }
        page.metric(
            "multus_conf_displacements_total",
            Kind::Counter,
            "Times another program took our configuration away or came before it.",
        );
        page.sample("multus_conf_displacements_total", &[], self.displacements);
        if let Some(ends) = self.certificate_ends {
            page.single(
                "multus_certificate_expiration_timestamp_seconds",
                Kind::Gauge,
                "End of this node's client certificate since 1970.",
                ends,
            );
        }
    }
}

fn result(reason: Option<Reason>) -> (&'static str, &'static str) {
    ("result", if reason.is_none() { "success" } else { "error" })
}

fn word(reason: Option<Reason>) -> (&'static str, &'static str) {
    ("reason", reason.map_or("", Reason::as_str))
}

fn kinds_of(plan: &Plan) -> Vec<(String, String, String)> {
    let attachments = plan.attachments.iter();
    attachments
        .map(|attachment| {
            let list = NetworkList::parse(attachment.config.get().as_bytes()).ok();
            let kind = list
                .as_ref()
                .and_then(|list| list.plugins().first())
                .map(|plugin| plugin.plugin_type().to_owned());
            (
                attachment.name.clone(),
                attachment.ifname.clone(),
                kind.unwrap_or_default(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
