//! Telling people of networks that deleted sandboxes still have: DELs that `multus` keeps and tries again (design §2).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use multus_plugin::journal::{Journal, Record, Shelf};
use multus_plugin::wire::Reason;
use tracing::{info, warn};

use crate::api::event::{Occurrence, Subject};

/// Events live for an hour in the API server.
const REPEAT: Duration = Duration::from_hours(1);
/// Sandboxes that are told one by one; more of them have one cause mostly.
const SINGLY: usize = 10;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    told: HashMap<String, Instant>,
}

impl Backlog {
    /// What has to be told now of what is kept in `journal`.
    pub(super) fn look(&mut self, journal: &Journal, now: Instant) -> Vec<Occurrence> {
        let ids = journal.list(Shelf::Kept).unwrap_or_else(|error| {
            warn!(error = cni::error::chain(&error), "look at the kept DELs");
            Vec::new()
        });
        let records = ids.iter().filter_map(|id| {
            let read = journal.read(Shelf::Kept, id);
            read.inspect_err(|error| warn!(error = cni::error::chain(error), "kept DEL"))
                .ok()?
        });
        self.tell(&records.collect::<Vec<_>>(), now)
    }

    fn tell(&mut self, kept: &[Record], now: Instant) -> Vec<Occurrence> {
        let ids: Vec<&str> = kept.iter().map(|r| r.container_id.as_str()).collect();
        self.told.retain(|id, at| {
            let stays = ids.contains(&id.as_str());
            if !stays {
                info!(
                    sandbox = id,
                    "what was left of a deleted sandbox is deleted"
                );
            }
            stays && now.duration_since(*at) < REPEAT
        });
        let news: Vec<&Record> = kept
            .iter()
            .filter(|record| !self.told.contains_key(&record.container_id))
            .collect();
        for record in &news {
            self.told.insert(record.container_id.clone(), now);
        }
        let singly = news.iter().take(SINGLY).map(|record| occurrence(record));
        let mut told: Vec<Occurrence> = singly.collect();
        if news.len() > SINGLY {
            told.push(Occurrence {
                about: Subject::Node,
                warning: true,
                reason: Reason::DelegateFailed.as_str(),
                text: format!(
                    "{} further deleted sandboxes have networks that are not deleted yet; 'multus repair --dry-run' on the node lists them",
                    news.len() - SINGLY
                ),
            });
        }
        told
    }
}

/// The pod is gone, so the event is the node's.
fn occurrence(record: &Record) -> Occurrence {
    let networks: Vec<&str> = record.attachments.iter().map(|a| a.name.as_str()).collect();
    let of = match &record.pod {
        Some(pod) => format!("deleted pod {pod}"),
        None => "a deleted pod".to_owned(),
    };
    let why = record.failure.as_ref();
    Occurrence {
        about: Subject::Node,
        warning: true,
        reason: why
            .map_or(Reason::DelegateFailed, |why| why.reason)
            .as_str(),
        text: format!(
            "{} of {of} (sandbox {}) not deleted after {} tries: {}; it is tried again with every further pod, 'multus repair' on the node does it now",
            networks.join(", "),
            record.container_id,
            record.tries,
            why.map_or("the cause was not recorded", |why| why.msg.as_str()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use multus_plugin::journal::LastFailure;
    use multus_plugin::wire::PodRef;

    use super::*;

    fn record(id: &str) -> Record {
        let entry = r#"{"name":"d/a","ifname":"net1","config":{},"capabilities":{}}"#;
        Record {
            version: 1,
            container_id: id.into(),
            netns: String::new(),
            ifname: "eth0".into(),
            network: "multus-cni-network".into(),
            pod: Some(PodRef {
                namespace: "d".into(),
                name: "p".into(),
                uid: None,
            }),
            boot_id: String::new(),
            namespace: None,
            created: 0,
            cni_args: Vec::new(),
            attachments: vec![serde_json::from_str(entry).unwrap()],
            tries: 4,
            tried: 0,
            failure: Some(LastFailure {
                reason: Reason::IPAMFailed,
                msg: "delete network d/a: the address server does not answer".into(),
            }),
        }
    }

    #[test]
    fn a_kept_del_is_told_with_pod_network_and_cause_and_again_after_an_hour() {
        let mut backlog = Backlog::default();
        let now = Instant::now();
        let told = backlog.tell(&[record("c1")], now);
        assert_eq!((told[0].reason, told.len()), ("IPAMFailed", 1));
        for word in ["d/a", "d/p", "c1", "4 tries", "does not answer"] {
            assert!(told[0].text.contains(word), "{word}: {}", told[0].text);
        }
        assert!(backlog.tell(&[record("c1")], now).is_empty());
        assert_eq!(backlog.tell(&[record("c1")], now + REPEAT).len(), 1);
        // Gone, and back: news.
        assert!(backlog.tell(&[], now + REPEAT).is_empty());
        assert_eq!(backlog.tell(&[record("c1")], now + REPEAT).len(), 1);
    }

    #[test]
    fn a_hundred_kept_dels_are_no_hundred_events() {
        let kept: Vec<Record> = (0..100).map(|i| record(&format!("c{i}"))).collect();
        let told = Backlog::default().tell(&kept, Instant::now());
        assert_eq!(told.len(), SINGLY + 1);
        assert!(
            told[SINGLY].text.starts_with("90 further"),
            "{}",
            told[SINGLY].text
        );
    }
}
