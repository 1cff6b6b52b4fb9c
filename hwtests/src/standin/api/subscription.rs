//! Following changes: the ordered events of the objects that are meant, none lost, none twice.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::error::ApiError;
use super::resource::Resource;
use super::selector::Selection;
use super::store::{Change, Store};

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what exists, each as `Added`.
    Existing,
    /// With what happened after this version.
    After(u64),
}

/// What became of an object that is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It exists, or is meant only now.
    Added(Arc<Value>),
    /// It changed.
    Modified(Arc<Value>),
    /// It is gone, or no longer meant.
    Deleted(Arc<Value>),
}

/// An open subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    store: Store,
    resource: Resource,
    selection: Selection,
    latest: watch::Receiver<u64>,
    reached: u64,
    waiting: VecDeque<Event>,
}

impl Subscription {
    pub(crate) fn open(
        store: &Store,
        resource: Resource,
        selection: Selection,
        start: Start,
    ) -> Result<Subscription, ApiError> {
        let latest = store.latest();
        let (waiting, reached) = match start {
            Start::Existing => {
                let (objects, version) = store.list(resource, &selection);
                (objects.into_iter().map(Event::Added).collect(), version)
            }
            Start::After(version) => {
                store.since(resource, version)?;
                (VecDeque::new(), version)
            }
        };
        Ok(Subscription {
            store: store.clone(),
            resource,
            selection,
            latest,
            reached,
            waiting,
        })
    }

    /// The next event; waits for one. 410 when this subscription fell behind what is remembered.
    pub async fn next(&mut self) -> Result<Event, ApiError> {
        loop {
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            // The sender lives in our own handle on the store, so waiting cannot fail.
            let _ = self.latest.changed().await;
        }
    }

    /// The next event if there is one already.
    pub fn take(&mut self) -> Result<Option<Event>, ApiError> {
        if self.waiting.is_empty() {
            self.latest.mark_unchanged();
            let (changes, reached) = self.store.since(self.resource, self.reached)?;
            let events = changes.into_iter().filter_map(|change| self.event(change));
            self.waiting = events.collect();
            self.reached = reached;
        }
        Ok(self.waiting.pop_front())
    }

    /// The version all of whose events have been taken; only exact when [`Subscription::take`] gave none.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    fn event(&self, change: Change) -> Option<Event> {
        let was = change
            .before
            .as_deref()
            .is_some_and(|before| self.selection.matches(before));
        let is = !change.deleted && self.selection.matches(&change.object);
        match (was, is) {
            (true, true) => Some(Event::Modified(change.object)),
            (false, true) => Some(Event::Added(change.object)),
            (true, false) => Some(Event::Deleted(change.object)),
            (false, false) => None,
        }
    }
}

impl Event {
    /// The word on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Event::Added(_) => "ADDED",
            Event::Modified(_) => "MODIFIED",
            Event::Deleted(_) => "DELETED",
        }
    }

    /// The object it is about.
    pub fn object(&self) -> &Arc<Value> {
        match self {
            Event::Added(object) | Event::Modified(object) | Event::Deleted(object) => object,
        }
    }
}
