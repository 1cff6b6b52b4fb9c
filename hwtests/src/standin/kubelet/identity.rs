//! Which pod is meant.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

/// Namespace, name and incarnation of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Identity {
    pub(crate) fn of(pod: &Pod) -> Identity {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Identity {
            namespace: text(&pod.metadata.namespace),
            name: text(&pod.metadata.name),
            uid: text(&pod.metadata.uid),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
