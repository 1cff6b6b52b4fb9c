//! Follows the pods bound to this node and keeps one worker for each.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::agent::Agent;
use super::identity::Identity;
use super::worker::Worker;
use crate::standin::api::{ApiError, Event, Resource, Selection, Start, object};

/// Workers by the uid of their pod.
struct Workers {
    agent: Arc<Agent>,
    wanted: HashMap<String, watch::Sender<Option<Arc<Value>>>>,
    tasks: JoinSet<()>,
}

/// Runs for ever; ending it ends the workers, not the pods.
pub(crate) async fn run(agent: Arc<Agent>) {
    let mut workers = Workers {
        agent,
        wanted: HashMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        if let Err(error) = workers.follow().await {
            tracing::warn!(%error, "pods are listed again");
        }
    }
}

impl Workers {
    async fn follow(&mut self) -> Result<(), ApiError> {
        let store = self.agent.config.store.clone();
        let selector = format!("spec.nodeName={}", self.agent.config.node);
        let selection = Selection::default().with_fields(Resource::Pods, &selector)?;
        let (present, _) = store.list(Resource::Pods, &selection);
        for (uid, worker) in &self.wanted {
            if !present.iter().any(|pod| object::uid(pod) == uid) {
                worker.send_replace(None);
            }
        }
        let mut pods = store.subscribe(Resource::Pods, selection, Start::Existing)?;
        loop {
            match pods.next().await? {
                Event::Added(pod) | Event::Modified(pod) => self.apply(pod),
                Event::Deleted(pod) => {
                    if let Some(worker) = self.wanted.get(object::uid(&pod)) {
                        worker.send_replace(None);
                    }
                }
            }
            while self.tasks.try_join_next().is_some() {}
            self.wanted.retain(|_, worker| !worker.is_closed());
        }
    }

    fn apply(&mut self, pod: Arc<Value>) {
        let uid = object::uid(&pod).to_owned();
        if let Some(worker) = self.wanted.get(&uid).filter(|worker| !worker.is_closed()) {
            worker.send_replace(Some(pod));
            return;
        }
        // The event may be older than the end of the worker it was meant for.
        let identity = Identity {
            namespace: object::namespace(&pod).to_owned(),
            name: object::name(&pod).to_owned(),
            uid: uid.clone(),
        };
        let current =
            self.agent
                .config
                .store
                .get(Resource::Pods, &identity.namespace, &identity.name);
        let Ok(current) = current else { return };
        let over = matches!(
            object::text(&current, "/status/phase"),
            "Succeeded" | "Failed"
        );
        if object::uid(&current) != uid || over {
            return;
        }
        let (sender, wanted) = watch::channel(Some(current));
        self.tasks
            .spawn(Worker::new(Arc::clone(&self.agent), wanted, identity).run());
        self.wanted.insert(uid, sender);
    }
}
