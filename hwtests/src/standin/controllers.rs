//! The controllers that an installation needs: DaemonSets become pods, what lost its owner goes, every namespace can
//! trust the API server. They see the store's changes and act until nothing is left to do.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;

use super::api::{ApiError, Part, Resource, Selection, Service, Store, object};

mod daemon_sets;
mod garbage;
mod rolling;

/// What has changed nowhere is looked at again after this time: pods that failed are replaced after a while.
const AGAIN: Duration = Duration::from_secs(1);

/// Running controllers; dropping them ends them.
#[derive(Debug)]
pub struct Controllers(JoinHandle<()>);

impl Drop for Controllers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Controllers {
    /// Starts them on a cluster's state. `service` is what pods are told to trust.
    pub fn start(store: Store, service: &Service) -> Controllers {
        let authority = service.authority().to_owned();
        Controllers(tokio::spawn(async move {
            let mut latest = store.latest();
            loop {
                latest.mark_unchanged();
                for done in [
                    publish(&store, &authority),
                    garbage::collect(&store),
                    daemon_sets::reconcile(&store),
                ] {
                    if let Err(error) = done {
                        tracing::debug!(%error, "a controller tries again");
                    }
                }
                // An error means that it is time, or that somebody changed something.
                let _ = tokio::time::timeout(AGAIN, latest.changed()).await;
            }
        }))
    }
}

/// The ConfigMap `kube-root-ca.crt` in each namespace.
fn publish(store: &Store, authority: &str) -> Result<(), ApiError> {
    let name = super::api::AUTHORITY;
    let (namespaces, _) = store.list(Resource::Namespaces, &Selection::default());
    for namespace in namespaces {
        let namespace = object::name(&namespace);
        if store.get(Resource::ConfigMaps, namespace, name).is_err() {
            let map = json!({"metadata": {"name": name}, "data": {"ca.crt": authority}});
            store.create(Resource::ConfigMaps, namespace, map)?;
        }
    }
    Ok(())
}

/// Writes a status; an object that is gone has none.
fn write_status(
    store: &Store,
    resource: Resource,
    of: &serde_json::Value,
    status: &serde_json::Value,
) -> Result<(), ApiError> {
    let (namespace, name) = (object::namespace(of), object::name(of));
    let written = store.update(resource, namespace, name, Part::Status, |current| {
        let mut next = current.clone();
        next["status"] = status.clone();
        Ok(next)
    });
    match written {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
