//! The objects and their history. Every change has a resource version; each is kept for watchers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::accounts;
use super::admit::{self, Part};
use super::error::ApiError;
use super::object::{self, metadata};
use super::resource::Resource;
use super::selector::Selection;
use super::subscription::{Start, Subscription};

/// Changes kept for watchers that fall behind.
const HISTORY: usize = 4096;

/// A shared handle on the cluster's state; clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    state: Arc<Mutex<State>>,
    latest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
}

type Key = (Resource, String, String);

/// One step of history.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) resource: Resource,
    pub(crate) before: Option<Arc<Value>>,
    /// What the object is now; for a deletion, what it last was.
    pub(crate) object: Arc<Value>,
    pub(crate) deleted: bool,
}

/// How an object is to go (meta/v1 DeleteOptions).
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Seconds; absent = what the object says (pods) or 0.
    pub grace: Option<i64>,
    /// Only this incarnation.
    pub uid: Option<String>,
    /// Only this version.
    pub version: Option<String>,
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl Store {
    /// A store with namespaces `default` and `kube-system`.
    pub fn new() -> Store {
        let store = Store {
            state: Arc::default(),
            latest: watch::Sender::new(0),
        };
        for name in ["default", "kube-system"] {
            // Cannot collide in an empty store; a kernel without random numbers shows itself at the first pod.
            let _ = store.create(
                Resource::Namespaces,
                "",
                json!({"metadata": {"name": name}}),
            );
        }
        store
    }

    /// Stores a new object; `namespace` is "" for kinds without.
    pub fn create(
        &self,
        resource: Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let uid = object::new_uid()
            .map_err(|cause| ApiError::bad_request(format!("no identity: {cause}")))?;
        let mut object = admit::create(resource, namespace, object, &uid)?;
        let name = object::name(&object).to_owned();
        let mut state = self.lock();
        if resource.namespaced()
            && !state
                .objects
                .contains_key(&key(Resource::Namespaces, "", namespace))
        {
            return Err(ApiError::not_found(Resource::Namespaces, namespace));
        }
        let key = key(resource, namespace, &name);
        if state.objects.contains_key(&key) {
            return Err(ApiError::already_exists(resource, &name));
        }
        if resource == Resource::Pods {
            accounts::mount_token(&mut object, |account| {
                let key = self::key(Resource::ServiceAccounts, namespace, account);
                state.objects.get(&key).cloned()
            })?;
        }
        Ok(self.put(&mut state, &key, object))
    }

    /// One object.
    pub fn get(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, ApiError> {
        let found = self
            .lock()
            .objects
            .get(&key(resource, namespace, name))
            .cloned();
        found.ok_or_else(|| ApiError::not_found(resource, name))
    }

    /// The objects meant, by namespace and name, and the version they are of.
    pub fn list(&self, resource: Resource, selection: &Selection) -> (Vec<Arc<Value>>, u64) {
        let state = self.lock();
        let objects = state
            .objects
            .iter()
            .filter(|((kind, ..), object)| *kind == resource && selection.matches(object));
        (
            objects.map(|(_, object)| Arc::clone(object)).collect(),
            state.version,
        )
    }

    /// Replaces a part of an object by what `change` makes of the current one.
    pub fn update(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        part: Part,
        change: impl FnOnce(&Value) -> Result<Value, ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.lock();
        let key = key(resource, namespace, name);
        let current = state
            .objects
            .get(&key)
            .cloned()
            .ok_or_else(|| ApiError::not_found(resource, name))?;
        let next = admit::update(resource, part, &current, &change(&current)?)?;
        if next == *current {
            return Ok(current);
        }
        if is_finished(&next) {
            return Ok(self.remove(&mut state, &key, next));
        }
        Ok(self.put(&mut state, &key, next))
    }

    /// Deletes, or marks a bound pod (and what has finalizers) for deletion. Returns the object as it then is.
    pub fn delete(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        how: &DeleteOptions,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.lock();
        let key = key(resource, namespace, name);
        let current = state
            .objects
            .get(&key)
            .cloned()
            .ok_or_else(|| ApiError::not_found(resource, name))?;
        check_preconditions(resource, &current, how)?;
        let grace = grace(resource, &current, how);
        let mut next = (*current).clone();
        let earlier = current
            .pointer("/metadata/deletionGracePeriodSeconds")
            .and_then(Value::as_i64);
        if earlier.is_some_and(|earlier| earlier <= grace) && !is_finished(&current) {
            return Ok(current);
        }
        let meta = metadata(&mut next);
        meta.insert(
            "deletionTimestamp".into(),
            json!(object::seconds_from_now(grace)),
        );
        meta.insert("deletionGracePeriodSeconds".into(), json!(grace));
        if is_finished(&next) {
            return Ok(self.remove(&mut state, &key, next));
        }
        Ok(self.put(&mut state, &key, next))
    }

    /// Follows the objects meant from `start` on.
    pub fn subscribe(
        &self,
        resource: Resource,
        selection: Selection,
        start: Start,
    ) -> Result<Subscription, ApiError> {
        Subscription::open(self, resource, selection, start)
    }

    /// Forgets all history, as etcd's compaction does: watchers from before must list again.
    pub fn compact(&self) {
        let mut state = self.lock();
        state.history.clear();
        state.forgotten = state.version;
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    pub(crate) fn latest(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// What happened to a kind after `version`, and the version reached; 410 when that is forgotten.
    pub(crate) fn since(
        &self,
        resource: Resource,
        version: u64,
    ) -> Result<(Vec<Change>, u64), ApiError> {
        let state = self.lock();
        if version < state.forgotten {
            return Err(ApiError::expired(version, state.forgotten));
        }
        let start = state
            .history
            .partition_point(|change| change.version <= version);
        let changes = state
            .history
            .range(start..)
            .filter(|change| change.resource == resource)
            .cloned()
            .collect();
        Ok((changes, state.version))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one insertion after all checks, so a panicking thread leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, state: &mut State, key: &Key, mut object: Value) -> Arc<Value> {
        let object = stamp(state, &mut object);
        let before = state.objects.insert(key.clone(), Arc::clone(&object));
        self.record(state, key.0, before, &object, false);
        object
    }

    fn remove(&self, state: &mut State, key: &Key, mut object: Value) -> Arc<Value> {
        let object = stamp(state, &mut object);
        let before = state.objects.remove(key);
        self.record(state, key.0, before, &object, true);
        object
    }

    fn record(
        &self,
        state: &mut State,
        resource: Resource,
        before: Option<Arc<Value>>,
        object: &Arc<Value>,
        deleted: bool,
    ) {
        let version = state.version;
        state.history.push_back(Change {
            version,
            resource,
            before,
            object: Arc::clone(object),
            deleted,
        });
        if state.history.len() > HISTORY
            && let Some(oldest) = state.history.pop_front()
        {
            state.forgotten = oldest.version;
        }
        self.latest.send_replace(version);
    }
}

fn stamp(state: &mut State, object: &mut Value) -> Arc<Value> {
    state.version += 1;
    metadata(object).insert("resourceVersion".into(), json!(state.version.to_string()));
    Arc::new(object.take())
}

fn key(resource: Resource, namespace: &str, name: &str) -> Key {
    (resource, namespace.to_owned(), name.to_owned())
}

/// Marked, its time is up, and nobody holds it.
fn is_finished(object: &Value) -> bool {
    let held = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    object::is_terminating(object)
        && !held
        && object.pointer("/metadata/deletionGracePeriodSeconds") == Some(&json!(0))
}

/// A pod that no kubelet runs, or that has ended, goes at once.
fn grace(resource: Resource, object: &Value, how: &DeleteOptions) -> i64 {
    let ended = matches!(
        object::text(object, "/status/phase"),
        "Succeeded" | "Failed"
    );
    if resource != Resource::Pods || object::text(object, "/spec/nodeName").is_empty() || ended {
        return 0;
    }
    let own = object
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64);
    how.grace.or(own).unwrap_or(30).max(0)
}

fn check_preconditions(
    resource: Resource,
    object: &Value,
    how: &DeleteOptions,
) -> Result<(), ApiError> {
    let name = object::name(object);
    if let Some(uid) = how.uid.as_deref().filter(|uid| *uid != object::uid(object)) {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            object::uid(object)
        );
        return Err(ApiError::conflict(resource, name, &why));
    }
    let current = object::text(object, "/metadata/resourceVersion");
    if let Some(version) = how.version.as_deref().filter(|version| *version != current) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {current}"
        );
        return Err(ApiError::conflict(resource, name, &why));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
