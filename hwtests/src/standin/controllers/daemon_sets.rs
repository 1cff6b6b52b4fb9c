//! DaemonSets: a pod on each node that its selector means. Taints are not looked at: the stand-in's nodes have none.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Value, json};

use super::rolling::{Member, Steps, Strategy, steps};
use super::write_status;
use crate::standin::api::{ApiError, DeleteOptions, Resource, Selection, Store, object};

/// Label of a pod that names the template it was made from.
const HASH: &str = "controller-revision-hash";

/// Seconds that a failed pod stays, so that one that can never run is not made without end.
const FAILED_STAYS: i64 = 5;

/// Does for every set what is to be done now.
pub(super) fn reconcile(store: &Store) -> Result<(), ApiError> {
    let (sets, _) = store.list(Resource::DaemonSets, &Selection::default());
    for set in sets {
        one(store, &set)?;
    }
    Ok(())
}

fn one(store: &Store, set: &Value) -> Result<(), ApiError> {
    let nodes = nodes_of(store, set);
    let hash = hash(&set["spec"]["template"]);
    let owned = owned(store, set);
    let strategy = Strategy::of(set, nodes.len() as u64);
    let mut tally = Tally::default();
    for node in &nodes {
        let mut pods: Vec<&Arc<Value>> = owned
            .iter()
            .filter(|pod| object::text(pod, "/spec/nodeName") == node)
            .collect();
        pods.sort_by_key(|pod| object::version(pod));
        let mut members = Vec::new();
        for pod in &pods {
            members.push(member(store, pod, &hash)?);
        }
        tally.add(&members);
        let Steps { create, delete } = steps(&members, strategy);
        for at in delete {
            delete_pod(store, pods[at])?;
        }
        if create {
            let pod = pod(set, node, &hash);
            store.create(Resource::Pods, object::namespace(set), pod)?;
        }
    }
    for stray in owned.iter().filter(|pod| {
        !nodes
            .iter()
            .any(|node| object::text(pod, "/spec/nodeName") == node)
            && !object::is_terminating(pod)
    }) {
        delete_pod(store, stray)?;
    }
    let status = tally.status(set, nodes.len());
    write_status(store, Resource::DaemonSets, set, &status)
}

/// Names of the nodes that the template's selector means.
fn nodes_of(store: &Store, set: &Value) -> Vec<String> {
    let wanted = set["spec"]["template"]["spec"]["nodeSelector"].as_object();
    let (nodes, _) = store.list(Resource::Nodes, &Selection::default());
    let meant = |node: &&Arc<Value>| {
        let labels = &node["metadata"]["labels"];
        wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| labels.get(key) == Some(value))
    };
    nodes
        .iter()
        .filter(meant)
        .map(|node| object::name(node).to_owned())
        .collect()
}

fn owned(store: &Store, set: &Value) -> Vec<Arc<Value>> {
    let (pods, _) = store.list(Resource::Pods, &Selection::of(Some(object::namespace(set))));
    let of_set = |pod: &Arc<Value>| {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        owners
            .into_iter()
            .flatten()
            .any(|owner| owner["uid"] == object::uid(set))
    };
    pods.into_iter().filter(of_set).collect()
}

/// What a pod counts as. One that has ended is deleted after a while, and counts as going.
fn member(store: &Store, pod: &Value, hash: &str) -> Result<Member, ApiError> {
    let ended = matches!(object::text(pod, "/status/phase"), "Failed" | "Succeeded");
    let since = object::age(object::text(pod, "/metadata/creationTimestamp"));
    if ended && since >= FAILED_STAYS {
        delete_pod(store, pod)?;
    }
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Ready" && one["status"] == "True");
    Ok(Member {
        current: pod["metadata"]["labels"][HASH] == hash,
        available: ready && !ended,
        terminating: ended || object::is_terminating(pod),
    })
}

fn delete_pod(store: &Store, pod: &Value) -> Result<(), ApiError> {
    let how = DeleteOptions {
        uid: Some(object::uid(pod).to_owned()),
        ..DeleteOptions::default()
    };
    match store.delete(
        Resource::Pods,
        object::namespace(pod),
        object::name(pod),
        &how,
    ) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn pod(set: &Value, node: &str, hash: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels[HASH] = json!(hash);
    let mut spec = template["spec"].clone();
    spec["nodeName"] = json!(node);
    json!({
        "metadata": {
            "generateName": format!("{}-", object::name(set)),
            "labels": labels,
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "DaemonSet", "name": object::name(set), "uid": object::uid(set),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

fn hash(template: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// Nodes whose pods are there, new, ready.
#[derive(Debug, Default)]
struct Tally {
    present: usize,
    updated: usize,
    ready: usize,
}

impl Tally {
    fn add(&mut self, members: &[Member]) {
        let any = |test: &dyn Fn(&Member) -> bool| {
            usize::from(members.iter().any(|one| !one.terminating && test(one)))
        };
        self.present += any(&|_| true);
        self.updated += any(&|one| one.current);
        self.ready += any(&|one| one.available);
    }

    fn status(&self, set: &Value, desired: usize) -> Value {
        json!({
            "observedGeneration": set["metadata"]["generation"],
            "desiredNumberScheduled": desired, "currentNumberScheduled": self.present, "numberMisscheduled": 0,
            "updatedNumberScheduled": self.updated, "numberReady": self.ready, "numberAvailable": self.ready,
            "numberUnavailable": desired - self.ready.min(desired),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let store = Store::new();
        for (name, os) in [("a", "linux"), ("b", "other")] {
            let node =
                json!({"metadata": {"name": name, "labels": {"kubernetes.io/os": os}}, "spec": {}});
            store.create(Resource::Nodes, "", node).unwrap();
        }
        let set = json!({
            "metadata": {"name": "d"},
            "spec": {
                "selector": {"matchLabels": {"app": "d"}},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": {"app": "d"}},
                    "spec": {"nodeSelector": {"kubernetes.io/os": "linux"}, "containers": [{"name": "c", "image": "i:1"}]},
                },
            },
        });
        store
            .create(Resource::DaemonSets, "kube-system", set)
            .unwrap();
        store
    }

    fn pods(store: &Store) -> Vec<Arc<Value>> {
        store.list(Resource::Pods, &Selection::default()).0
    }

    fn make_ready(store: &Store, pod: &Value) {
        let status =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        write_status(store, Resource::Pods, pod, &status).unwrap();
    }

    fn set(store: &Store) -> Arc<Value> {
        store.get(Resource::DaemonSets, "kube-system", "d").unwrap()
    }

    #[test]
    fn a_set_has_a_pod_on_each_node_it_means_and_counts_it() {
        let store = store();
        reconcile(&store).unwrap();
        reconcile(&store).unwrap();
        let made = pods(&store);
        assert_eq!(made.len(), 1);
        assert_eq!(object::text(&made[0], "/spec/nodeName"), "a");
        assert_eq!(
            made[0]["metadata"]["ownerReferences"][0]["uid"],
            object::uid(&set(&store))
        );
        assert_eq!(set(&store)["status"]["numberReady"], 0);
        make_ready(&store, &made[0]);
        reconcile(&store).unwrap();
        assert_eq!(set(&store)["status"]["numberReady"], 1);
        let version = store.version();
        reconcile(&store).unwrap();
        assert_eq!(store.version(), version, "nothing is left to do");
    }

    #[test]
    fn a_new_template_goes_round_and_a_deleted_set_takes_its_pods_along() {
        let store = store();
        reconcile(&store).unwrap();
        let old = pods(&store).remove(0);
        make_ready(&store, &old);
        let update = |set: &Value| {
            let mut next = set.clone();
            next["spec"]["template"]["spec"]["containers"][0]["image"] = json!("i:2");
            Ok(next)
        };
        let part = crate::standin::api::Part::Main;
        store
            .update(Resource::DaemonSets, "kube-system", "d", part, update)
            .unwrap();
        reconcile(&store).unwrap();
        let both = pods(&store);
        assert_eq!(both.len(), 2);
        let new = both
            .iter()
            .find(|pod| object::uid(pod) != object::uid(&old))
            .unwrap();
        assert_eq!(new["spec"]["containers"][0]["image"], "i:2");
        make_ready(&store, new);
        reconcile(&store).unwrap();
        let old = store
            .get(Resource::Pods, "kube-system", object::name(&old))
            .unwrap();
        assert!(object::is_terminating(&old));
        assert!(!object::is_terminating(
            &store
                .get(Resource::Pods, "kube-system", object::name(new))
                .unwrap()
        ));
        assert_eq!(set(&store)["status"]["observedGeneration"], 2);
        let how = DeleteOptions::default();
        store
            .delete(Resource::DaemonSets, "kube-system", "d", &how)
            .unwrap();
        super::super::garbage::collect(&store).unwrap();
        assert!(pods(&store).iter().all(|pod| object::is_terminating(pod)));
    }
}
