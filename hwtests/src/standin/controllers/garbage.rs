//! Pods whose owner is gone go, too: background deletion (meta/v1 ownerReferences).

use std::collections::HashSet;

use crate::standin::api::{ApiError, DeleteOptions, Resource, Selection, Store, object};

/// Asks for the deletion of every pod that only a DaemonSet owns which is not there any more.
pub(super) fn collect(store: &Store) -> Result<(), ApiError> {
    let everywhere = Selection::default();
    let (pods, _) = store.list(Resource::Pods, &everywhere);
    let (sets, _) = store.list(Resource::DaemonSets, &everywhere);
    let present: HashSet<&str> = sets.iter().map(|set| object::uid(set)).collect();
    for pod in pods {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        let owners: Vec<_> = owners.into_iter().flatten().collect();
        let lost = |owner: &&serde_json::Value| {
            owner["kind"] == "DaemonSet"
                && !present.contains(owner["uid"].as_str().unwrap_or_default())
        };
        if owners.is_empty() || !owners.iter().all(lost) || object::is_terminating(&pod) {
            continue;
        }
        let how = DeleteOptions {
            uid: Some(object::uid(&pod).to_owned()),
            ..DeleteOptions::default()
        };
        match store.delete(
            Resource::Pods,
            object::namespace(&pod),
            object::name(&pod),
            &how,
        ) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
