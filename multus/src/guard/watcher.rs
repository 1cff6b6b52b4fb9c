//! One look at the node after the other: what was told before, and what has to be told now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use multus_plugin::journal::Journal;
use multus_plugin::lifecycle::heal::Healed;
use tracing::warn;

use super::backlog::Backlog;
use super::contest::Contest;
use super::{Guard, RECONCILE, renamed};
use crate::api::event::{CONF_HIJACKED, Events, Occurrence, Subject};
use crate::install::told;
use crate::metrics::{Configuration, Metrics};

/// Events live for an hour in the API server.
const REPEAT: Duration = Duration::from_mins(30);

/// What the guard remembers, and whom it tells.
#[derive(Debug)]
pub struct Watcher {
    events: Arc<Events>,
    metrics: Arc<Metrics>,
    contest: Contest,
    backlog: Backlog,
    /// Trouble that was logged.
    standing: Option<Healed>,
    /// Who came before ours, and when that was told.
    hijacked: Option<(String, Instant)>,
}

impl Watcher {
    /// A watcher that has seen nothing.
    pub fn new(events: Arc<Events>, metrics: Arc<Metrics>) -> Self {
        Self {
            events,
            metrics,
            contest: Contest::default(),
            backlog: Backlog::default(),
            standing: None,
            hijacked: None,
        }
    }

    /// Looks, heals and tells. Returns how long nothing has to be looked at, if nothing changes.
    pub(super) fn look(&mut self, guard: &Guard, now: Instant) -> Duration {
        for occurrence in self.backlog.look(&Journal::new(&guard.cni_dir), now) {
            warn!(reason = occurrence.reason, "{}", occurrence.text);
            self.events.push(now, occurrence);
        }
        if let Some(ours) = guard.missing() {
            let news = self.contest.lost(now);
            let pause = self.contest.pause(now);
            if news {
                self.metrics.displaced();
                self.lost(&ours, pause, now);
            }
            if !pause.is_zero() {
                self.metrics.configuration(Some(Configuration::Hijacked));
                return pause.min(RECONCILE);
            }
        }
        match guard.heal() {
            Ok(healed) => self.healed(guard, healed, now),
            Err(error) => {
                warn!(
                    error = cni::error::chain(&error),
                    "keep the CNI configuration"
                );
            }
        }
        RECONCILE
    }

    fn healed(&mut self, guard: &Guard, healed: Healed, now: Instant) {
        // The same trouble is told once.
        let standing = Healed {
            done: Vec::new(),
            ..healed.clone()
        };
        if !healed.done.is_empty() || self.standing.as_ref() != Some(&standing) {
            told(&healed);
        }
        self.standing = Some(standing);
        let missing = guard.missing().is_some();
        if !missing {
            self.contest.holds(now);
            guard.remove_renamed();
        }
        self.metrics.configuration(guard.serves().then(|| {
            if healed.displaced_by.is_some() {
                Configuration::Hijacked
            } else if healed.trouble.is_some() {
                Configuration::PrimaryInvalid
            } else if missing {
                Configuration::Missing
            } else {
                Configuration::Active
            }
        }));
        let Some(file) = healed.displaced_by else {
            self.hijacked = None;
            return;
        };
        let before = self.hijacked.as_ref().filter(|(known, _)| *known == file);
        if before.is_none() {
            self.metrics.displaced();
        }
        if before.is_none_or(|(_, at)| now.duration_since(*at) >= REPEAT) {
            self.tell(
                format!(
                    "{file} in {} comes before the configuration of multus: pods on this node do not get the networks that they ask for; remove it, or give it a name that sorts behind 00-multus",
                    guard.conf_dir.display()
                ),
                now,
            );
            self.hijacked = Some((file, now));
        }
    }

    fn lost(&self, ours: &std::path::Path, pause: Duration, now: Instant) {
        let other = renamed(ours);
        let what = if other.exists() {
            format!(
                "was renamed to {} (Cilium does that unless its cni.exclusive is false)",
                other.display()
            )
        } else {
            "was removed by another program".to_owned()
        };
        let next = if pause.is_zero() {
            "it is put back now".to_owned()
        } else {
            format!(
                "it is put back in {} s, until then pods on this node do not get the networks that they ask for",
                pause.as_secs()
            )
        };
        self.tell(format!("{} {what}; {next}", ours.display()), now);
    }

    fn tell(&self, text: String, now: Instant) {
        warn!("{text}");
        self.events.push(
            now,
            Occurrence {
                about: Subject::Node,
                warning: true,
                reason: CONF_HIJACKED,
                text,
            },
        );
    }
}
