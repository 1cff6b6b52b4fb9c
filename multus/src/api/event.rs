//! Events on pods and on this node: sent reliably, but never so many that the API server suffers.
//!
//! Producers put into a bounded queue and go on; one task sends. A failing pod is retried by the
//! kubelet every few seconds, so the same text for the same pod is sent once per [`REPEAT`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
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

/// Another program took our CNI configuration away or came before it (spec/ecosystem.md §3.2).
pub const CONF_HIJACKED: &str = "CNIConfHijacked";

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A pod.
    Pod(PodRef),
    /// The node that this daemon runs on.
    Node,
    /// A certificate signing request.
    Request(String),
}

impl From<PodRef> for Subject {
    fn from(pod: PodRef) -> Self {
        Self::Pod(pod)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(pod) => write!(f, "pod {pod}"),
            Self::Node => f.write_str("this node"),
            Self::Request(name) => write!(f, "certificate signing request {name}"),
        }
    }
}

/// An event to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// What it is about.
    pub about: Subject,
    /// Something a person has to act upon.
    pub warning: bool,
    /// A word of the closed list, `AddedInterface`, or [`CONF_HIJACKED`].
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
        let whose = match &occurrence.about {
            Subject::Pod(pod) => format!("{pod}/{}", pod.uid.as_deref().unwrap_or_default()),
            other => other.to_string(),
        };
        let key = (whose, occurrence.reason, occurrence.text.clone());
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

    /// Number of events that were dropped or given up.
    pub fn dropped(&self) -> u64 {
        self.state.lock().map_or(0, |state| state.dropped)
    }

    /// Sends what is queued, for ever. `node` is named as the source.
    pub async fn send(&self, client: &Client, node: &str) {
        loop {
            let next = self.state.lock().ok().and_then(|mut s| s.queue.pop_front());
            match next {
                Some(occurrence) => {
                    if !deliver(client, node, &occurrence).await
                        && let Ok(mut state) = self.state.lock()
                    {
                        state.dropped += 1;
                    }
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
                warn!(about = %occurrence.about, reason = occurrence.reason,
                    error = cni::error::chain(&error), "event not sent");
            }
        }
    }
}

/// False if it was given up.
async fn deliver(client: &Client, node: &str, occurrence: &Occurrence) -> bool {
    for attempt in 0..ATTEMPTS {
        match create(client, node, occurrence).await {
            Ok(()) => return true,
            Err(error) => {
                let status = code(&error);
                debug!(about = %occurrence.about, attempt, error = cni::error::chain(&error), "send event");
                // The namespace is being deleted, or the server does not like the object.
                if matches!(status, 400 | 404 | 422) {
                    return false;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500) * 2u32.pow(attempt)).await;
    }
    warn!(about = %occurrence.about, reason = occurrence.reason, "event given up");
    false
}

async fn create(client: &Client, node: &str, occurrence: &Occurrence) -> Result<(), Error> {
    // For what is in no namespace the API server wants this one.
    let namespace = match &occurrence.about {
        Subject::Pod(pod) => &pod.namespace,
        Subject::Node | Subject::Request(_) => "default",
    };
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let event = object(node, namespace, occurrence, Timestamp::now());
    match api.create(&PostParams::default(), &event).await {
        // 409: an earlier attempt of this very event did arrive.
        Err(error) if code(&error) != 409 => Err(error),
        _ => Ok(()),
    }
}

fn object(node: &str, namespace: &str, occurrence: &Occurrence, now: Timestamp) -> Event {
    let involved_object = match &occurrence.about {
        Subject::Pod(pod) => ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            namespace: Some(pod.namespace.clone()),
            name: Some(pod.name.clone()),
            uid: pod.uid.clone(),
            ..ObjectReference::default()
        },
        // As the kubelet does it: the name stands for the UID, which is what "kubectl describe node" looks for.
        Subject::Node => ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Node".into()),
            name: Some(node.to_owned()),
            uid: Some(node.to_owned()),
            ..ObjectReference::default()
        },
        Subject::Request(name) => ObjectReference {
            api_version: Some("certificates.k8s.io/v1".into()),
            kind: Some("CertificateSigningRequest".into()),
            name: Some(name.clone()),
            ..ObjectReference::default()
        },
    };
    let name = involved_object.name.clone().unwrap_or_default();
    let mut text = occurrence.text.clone();
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST - 4);
        text.truncate(end);
        text.push_str(" ...");
    }
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object,
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
            about: Subject::Pod(PodRef {
                namespace: "d".into(),
                name: "p".into(),
                uid: Some("u".into()),
            }),
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
        let event = object(
            "n",
            "d",
            &occurrence(&"ä".repeat(600)),
            Timestamp::UNIX_EPOCH,
        );
        let message = event.message.unwrap();
        assert!(message.len() <= LONGEST && message.ends_with(" ..."));
    }

    #[test]
    fn an_event_about_the_node_is_found_where_kubectl_looks_for_it() {
        let told = Occurrence {
            about: Subject::Node,
            reason: CONF_HIJACKED,
            ..occurrence("gone")
        };
        let event = object("n1", "default", &told, Timestamp::UNIX_EPOCH);
        let involved = &event.involved_object;
        assert_eq!(
            (
                involved.kind.as_deref(),
                involved.name.as_deref(),
                involved.uid.as_deref()
            ),
            (Some("Node"), Some("n1"), Some("n1"))
        );
        assert_eq!(
            (
                involved.namespace.as_deref(),
                event.metadata.namespace.as_deref()
            ),
            (None, Some("default"))
        );
    }
}
