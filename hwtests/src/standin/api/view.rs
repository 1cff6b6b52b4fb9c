//! How a stored object looks to a request: events of two groups, metadata only.

use serde_json::{Map, Value, json};

use super::object::{self, put, text};
use super::resource::Resource;

/// The shape a request asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) resource: Resource,
    /// Events of group events.k8s.io.
    pub(crate) events_group: bool,
    /// Only metadata (PartialObjectMetadata).
    pub(crate) partial: bool,
}

/// Event fields that changed their name: core/v1, events.k8s.io/v1.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

impl View {
    /// The view for an `Accept` header.
    pub(crate) fn of(resource: Resource, events_group: bool, accept: &str) -> View {
        // Clients list what they understand, best first; `Table` is never offered.
        let partial = accept
            .split(',')
            .next()
            .is_some_and(|first| first.contains("as=PartialObjectMetadata"));
        View {
            resource,
            events_group,
            partial,
        }
    }

    /// A stored object as the client sees it.
    pub(crate) fn show(self, object: &Value) -> Value {
        if self.partial {
            return json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": object.get("metadata").cloned().unwrap_or_default(),
            });
        }
        if self.events_group {
            rename(object, true)
        } else {
            object.clone()
        }
    }

    /// All of a stored object, also for a client that asked for metadata only: what its patch applies to.
    pub(crate) fn show_whole(self, object: &Value) -> Value {
        View {
            partial: false,
            ..self
        }
        .show(object)
    }

    /// A client's object as it is stored.
    pub(crate) fn read(self, object: Value) -> Value {
        let from_group = self.events_group && text(&object, "/apiVersion") != "v1";
        if from_group {
            rename(&object, false)
        } else {
            object
        }
    }

    /// A list of shown objects.
    pub(crate) fn list(self, items: &[Value], version: u64) -> Value {
        let (kind, api_version) = if self.partial {
            (
                "PartialObjectMetadataList".to_owned(),
                "meta.k8s.io/v1".to_owned(),
            )
        } else {
            (format!("{}List", self.resource.kind()), self.api_version())
        };
        json!({"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": version.to_string()}, "items": items})
    }

    /// The object of a BOOKMARK event.
    pub(crate) fn bookmark(self, version: u64, initial_end: bool) -> Value {
        let mut meta = json!({"resourceVersion": version.to_string()});
        if initial_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        if self.partial {
            return json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta});
        }
        json!({"kind": self.resource.kind(), "apiVersion": self.api_version(), "metadata": meta})
    }

    fn api_version(self) -> String {
        if self.events_group {
            "events.k8s.io/v1".to_owned()
        } else {
            self.resource.api_version()
        }
    }
}

fn rename(event: &Value, to_group: bool) -> Value {
    let mut renamed = Map::new();
    for (key, value) in event.as_object().into_iter().flatten() {
        let other = RENAMED.iter().find_map(|(core, group)| {
            let (from, to) = if to_group {
                (core, group)
            } else {
                (group, core)
            };
            (from == key).then_some(*to)
        });
        renamed.insert(other.unwrap_or(key).to_owned(), value.clone());
    }
    let version = if to_group { "events.k8s.io/v1" } else { "v1" };
    put(&mut renamed, "apiVersion", Some(json!(version)));
    let mut renamed = Value::Object(renamed);
    if object::name(&renamed).is_empty() && !to_group {
        object::metadata(&mut renamed);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_new_group_is_an_event_of_the_core_group() {
        let view = View::of(Resource::Events, true, "");
        let sent = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
            "regarding": {"kind": "Pod", "name": "p"}, "note": "text", "reportingController": "multus", "reason": "R",
        });
        let stored = view.read(sent.clone());
        assert_eq!(text(&stored, "/involvedObject/name"), "p");
        assert_eq!(text(&stored, "/message"), "text");
        assert_eq!(text(&stored, "/reportingComponent"), "multus");
        assert_eq!(text(&stored, "/apiVersion"), "v1");
        assert_eq!(view.show(&stored), sent);
    }

    #[test]
    fn metadata_only_is_metadata_only() {
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let view = View::of(Resource::Pods, false, accept);
        let shown = view.show(&json!({"metadata": {"name": "p"}, "spec": {}}));
        assert_eq!(
            shown,
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "p"}})
        );
    }
}
