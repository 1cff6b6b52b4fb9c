//! Events on pods: sent reliably, but never so many that the API server suffers.
//!
//! Producers put into a bounded queue and go on; one task sends. A failing pod is retried by the
//! kubelet every few seconds, so the same text for the same pod is sent once per [`REPEAT`].

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use kube::{Client, Error};
use multus_plugin::wire::PodRef;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::code;

/// How long the same event is not sent again.
pub const REPEAT: Duration = Duration::from_mins(1);
/// Longest queue; the oldest event is dropped beyond.
const CAPACITY: usize = 1024;
/// Shortest pause between two events: at most 20 a second.
const PACE: Duration = Duration::from_millis(50);
/// Attempts per event; with the pauses between them about two minutes.
const ATTEMPTS: u32 = 8;
/// The API server's limit for an event's message.
const LONGEST: usize = 1024;

/// An event to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The pod it is about.
    pub pod: PodRef,
    /// Something a person has to act upon.
    pub warning: bool,
    /// A word of the closed list, or `AddedInterface`.
    pub reason: &'static str,
    /// One sentence: cause and what to do.
    pub text: String,
}

/// The queue between producers and [`Events::send`].
#[derive(Debug, Default)]
pub struct Events {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Occurrence>,
    sent: HashMap<(String, &'static str, String), Instant>,
    dropped: u64,
}

impl Events {
    /// Queues an event, unless the same was queued within [`REPEAT`] before `now`.
    pub fn push(&self, now: Instant, occurrence: Occurrence) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        let pod = &occurrence.pod;
        let key = (
            format!("{pod}/{}", pod.uid.as_deref().unwrap_or_default()),
            occurrence.reason,
            occurrence.text.clone(),
        );
        state.sent.retain(|_, at| now.duration_since(*at) < REPEAT);
        if state.sent.insert(key, now).is_some() {
            return;
        }
        if state.queue.len() == CAPACITY {
            state.queue.pop_front();
            state.dropped += 1;
            let dropped = state.dropped;
            warn!(dropped, "event queue full, the oldest was dropped");
        }
        state.queue.push_back(occurrence);
        drop(state);
        self.filled.notify_one();
    }

    /// Number of events that wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().map_or(0, |state| state.queue.len())
    }

    /// Sends what is queued, for ever. `node` is named as the source.
    pub async fn send(&self, client: &Client, node: &str) {
        loop {
            let next = self.state.lock().ok().and_then(|mut s| s.queue.pop_front());
            match next {
                Some(occurrence) => {
                    deliver(client, node, &occurrence).await;
                    tokio::time::sleep(PACE).await;
                }
                None => self.filled.notified().await,
            }
        }
    }

    /// Sends what is queued, once each, and returns: for a process that ends.
    pub async fn flush(&self, client: &Client, node: &str) {
        let queued = self
            .state
            .lock()
            .map(|mut s| std::mem::take(&mut s.queue))
            .unwrap_or_default();
        for occurrence in queued {
            if let Err(error) = create(client, node, &occurrence).await {
                warn!(pod = %occurrence.pod, reason = occurrence.reason,
                    error = cni::error::chain(&error), "event not sent");
            }
        }
    }
}

async fn deliver(client: &Client, node: &str, occurrence: &Occurrence) {
    for attempt in 0..ATTEMPTS {
        match create(client, node, occurrence).await {
            Ok(()) => return,
            Err(error) => {
                let status = code(&error);
                debug!(pod = %occurrence.pod, attempt, error = cni::error::chain(&error), "send event");
                // The namespace is being deleted, or the server does not like the object.
                if matches!(status, 400 | 404 | 422) {
                    return;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500) * 2u32.pow(attempt)).await;
    }
    warn!(pod = %occurrence.pod, reason = occurrence.reason, "event given up");
}

async fn create(client: &Client, node: &str, occurrence: &Occurrence) -> Result<(), Error> {
    let api: Api<Event> = Api::namespaced(client.clone(), &occurrence.pod.namespace);
    let event = object(node, occurrence, Timestamp::now());
    match api.create(&PostParams::default(), &event).await {
        // 409: an earlier attempt of this very event did arrive.
        Err(error) if code(&error) != 409 => Err(error),
        _ => Ok(()),
    }
}

fn object(node: &str, occurrence: &Occurrence, now: Timestamp) -> Event {
    let pod = &occurrence.pod;
    let mut text = occurrence.text.clone();
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST - 4);
        text.truncate(end);
        text.push_str(" ...");
    }
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", pod.name, now.as_nanosecond())),
            namespace: Some(pod.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            namespace: Some(pod.namespace.clone()),
            name: Some(pod.name.clone()),
            uid: pod.uid.clone(),
            ..ObjectReference::default()
        },
        reason: Some(occurrence.reason.into()),
        message: Some(text),
        type_: Some(
            if occurrence.warning {
                "Warning"
            } else {
                "Normal"
            }
            .into(),
        ),
        source: Some(EventSource {
            component: Some("multus".into()),
            host: Some(node.to_owned()).filter(|n| !n.is_empty()),
        }),
        reporting_component: Some("multus".into()),
        reporting_instance: Some(node.to_owned()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(text: &str) -> Occurrence {
        Occurrence {
            pod: PodRef {
                namespace: "d".into(),
                name: "p".into(),
                uid: Some("u".into()),
            },
            warning: true,
            reason: "NetworkNotFound",
            text: text.into(),
        }
    }

    #[test]
    fn the_same_event_is_queued_once_a_minute() {
        let events = Events::default();
        let now = Instant::now();
        events.push(now, occurrence("a"));
        events.push(now, occurrence("a"));
        events.push(now, occurrence("b"));
        assert_eq!(events.waiting(), 2);
        events.push(now + REPEAT, occurrence("a"));
        assert_eq!(events.waiting(), 3);
    }

    #[test]
    fn a_full_queue_drops_the_oldest() {
        let events = Events::default();
        let now = Instant::now();
        for i in 0..=CAPACITY {
            events.push(now, occurrence(&i.to_string()));
        }
        assert_eq!(events.waiting(), CAPACITY);
        let first = events.state.lock().unwrap().queue.pop_front().unwrap();
        assert_eq!(first.text, "1");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_boundary() {
        let event = object("n", &occurrence(&"ä".repeat(600)), Timestamp::UNIX_EPOCH);
        let message = event.message.unwrap();
        assert!(message.len() <= LONGEST && message.ends_with(" ..."));
    }
}
