//! Our own DaemonSet, of which only one thing matters: whether somebody deletes it.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use kube::core::ObjectMeta;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use kube::{Api, Client, Resource};
use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;

/// A DaemonSet; nothing of its spec is read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DaemonSet {
    /// Name, namespace, UID and the time of deletion.
    #[serde(default)]
    pub metadata: ObjectMeta,
}

/// Calls `deleted` when the DaemonSet is seen to be deleted on a watch that saw it alive before. That it is not there,
/// or that we may not look, means nothing: an API server with an empty store would remove multus from every node.
pub async fn follow_deletion(
    client: Client,
    namespace: &str,
    name: &str,
    metrics: &Metrics,
    mut deleted: impl FnMut(),
) {
    let api: Api<DaemonSet> = Api::namespaced(client, namespace);
    let (_, store) = reflector::store();
    let selector = format!("metadata.name={name}");
    let mut alive = false;
    let seen = |event: &Event<DaemonSet>| match event {
        Event::Apply(set) | Event::InitApply(set) if set.metadata.deletion_timestamp.is_none() => {
            alive = true;
        }
        Event::Apply(_) | Event::Delete(_) if alive => {
            alive = false;
            deleted();
        }
        _ => {}
    };
    super::watch::follow(api, &selector, trim, store, metrics, seen).await;
}

fn trim(set: &mut DaemonSet) {
    set.metadata.managed_fields = None;
    set.metadata.annotations = None;
}

impl Resource for DaemonSet {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "DaemonSet".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "apps".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "daemonsets".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
