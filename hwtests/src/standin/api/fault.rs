//! Planted faults: a proof that the scenarios notice. Only the honesty test plants them.

use std::sync::{Arc, Mutex, PoisonError};

use super::admit::Part;
use super::object;
use super::patch::Patch;
use super::resource::Resource;
use super::selector::Selection;
use super::store::Store;

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiFault {
    /// The annotations of a status patch land on another pod of the namespace (nowhere when there is none),
    /// and the client is told that all is well.
    StatusOfWrongPod,
}

/// The fault in force, shared with the connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<ApiFault>>>);

impl Fault {
    pub(crate) fn set(&self, fault: Option<ApiFault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Carries out [`ApiFault::StatusOfWrongPod`]; gives back what is left for the pod that was meant.
    pub(crate) fn misdirect(
        &self,
        store: &Store,
        namespace: &str,
        name: &str,
        mut patch: Patch,
    ) -> Patch {
        let fault = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fault != Some(ApiFault::StatusOfWrongPod) {
            return patch;
        }
        let Some(annotations) = patch.take_annotations() else {
            return patch;
        };
        let (pods, _) = store.list(Resource::Pods, &Selection::of(Some(namespace)));
        if let Some(other) = pods.iter().find(|pod| object::name(pod) != name) {
            let wrong = Patch::Merge(serde_json::json!({"metadata": {"annotations": annotations}}));
            let written = store.update(
                Resource::Pods,
                namespace,
                object::name(other),
                Part::Status,
                |current| wrong.apply(Resource::Pods, name, current),
            );
            tracing::warn!(
                pod = name,
                other = object::name(other),
                written = written.is_ok(),
                "planted fault: status of the wrong pod"
            );
        }
        patch
    }
}
