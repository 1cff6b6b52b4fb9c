//! Events about pods. The same words about the same pod are one event with a count, as a kubelet's are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::identity::Identity;
use crate::standin::api::{ApiError, Part, Resource, Store, object};

/// Names of the events that were written, by uid, reason and message.
type Written = HashMap<(String, String, String), String>;

/// Writes events.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    store: Store,
    node: String,
    seen: Arc<Mutex<Written>>,
}

impl Recorder {
    pub(crate) fn new(store: Store, node: &str) -> Recorder {
        Recorder {
            store,
            node: node.to_owned(),
            seen: Arc::default(),
        }
    }

    /// Something went as it should.
    pub(crate) fn normal(&self, pod: &Identity, reason: &str, message: &str) {
        self.write("Normal", pod, reason, message);
    }

    /// Something did not.
    pub(crate) fn warning(&self, pod: &Identity, reason: &str, message: &str) {
        tracing::warn!(%pod, reason, message, "pod event");
        self.write("Warning", pod, reason, message);
    }

    fn write(&self, kind: &str, pod: &Identity, reason: &str, message: &str) {
        let key = (pod.uid.clone(), reason.to_owned(), message.to_owned());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match seen.get(&key) {
            Some(name) => self
                .count(pod, name)
                .or_else(|_| self.create(kind, pod, reason, message)),
            None => self.create(kind, pod, reason, message),
        };
        match written {
            Ok(name) => {
                seen.insert(key, name);
            }
            Err(error) => tracing::debug!(%pod, reason, %error, "event not written"),
        }
    }

    fn create(
        &self,
        kind: &str,
        pod: &Identity,
        reason: &str,
        message: &str,
    ) -> Result<String, ApiError> {
        let now = object::now();
        let event = json!({
            // Named by time, as by other writers of events: so a list has them in order.
            "metadata": {"name": format!("{}.{:x}", pod.name, object::nanoseconds())},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid,
            },
            "reason": reason, "message": message, "type": kind, "count": 1,
            "source": {"component": "kubelet", "host": self.node},
            "reportingComponent": "kubelet", "reportingInstance": self.node,
            "firstTimestamp": now, "lastTimestamp": now,
        });
        Ok(object::name(&*self.store.create(Resource::Events, &pod.namespace, event)?).to_owned())
    }

    fn count(&self, pod: &Identity, name: &str) -> Result<String, ApiError> {
        self.store.update(
            Resource::Events,
            &pod.namespace,
            name,
            Part::Main,
            |event| {
                let mut event = event.clone();
                event["count"] = json!(event["count"].as_u64().unwrap_or_default() + 1);
                event["lastTimestamp"] = json!(object::now());
                Ok(event)
            },
        )?;
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::api::Selection;

    #[test]
    fn the_same_words_are_counted() {
        let store = Store::new();
        let recorder = Recorder::new(store.clone(), "n");
        let pod = Identity {
            namespace: "default".into(),
            name: "p".into(),
            uid: "u".into(),
        };
        recorder.warning(&pod, "Failed", "once");
        recorder.warning(&pod, "Failed", "twice");
        recorder.warning(&pod, "Failed", "twice");
        let (events, _) = store.list(Resource::Events, &Selection::default());
        let mut counts: Vec<(&str, u64)> = events
            .iter()
            .map(|event| {
                (
                    object::text(event, "/message"),
                    event["count"].as_u64().unwrap(),
                )
            })
            .collect();
        counts.sort_unstable();
        assert_eq!(counts, [("once", 1), ("twice", 2)]);
    }
}
