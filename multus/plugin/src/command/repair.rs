//! `multus repair`: everything that is recorded and needs deleting is tried, without a runtime asking for it.

use std::fmt;

use super::gc::YOUNG;
use super::replay::{is_alive, netns_of};
use crate::detach::{Place, detach};
use crate::journal::record::VERSION;
use crate::journal::{JournalError, Record, Shelf, go};
use crate::session::Session;

use host::file::Durability;

/// What became of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// CNI_CONTAINERID.
    pub(crate) container_id: String,
    /// Namespace and name of the pod, if known.
    pub(crate) pod: String,
    /// Attachments that were tried, or would be: network and interface.
    pub(crate) attachments: Vec<String>,
    /// Why some of them are still there.
    pub(crate) left: Option<String>,
    /// Nothing was tried.
    pub(crate) dry_run: bool,
}

impl Repaired {
    /// Whether nothing of the sandbox is left.
    pub(crate) fn is_done(&self) -> bool {
        self.left.is_none()
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.dry_run, &self.left) {
            (true, _) => "would delete".to_owned(),
            (false, None) => "deleted".to_owned(),
            (false, Some(why)) => format!("could not delete all ({why}) of"),
        };
        write!(
            f,
            "{} {}: {what} {}",
            self.container_id,
            self.pod,
            self.attachments.join(", ")
        )
    }
}

/// Tries every kept record, every damaged one that libcni's cache can replace, and every live one whose sandbox is
/// gone for longer than an ADD takes.
///
/// # Errors
/// When the journal cannot be listed.
pub(crate) fn repair(session: &Session<'_>, dry_run: bool) -> Result<Vec<Repaired>, JournalError> {
    let mut all = Vec::new();
    for shelf in [Shelf::Kept, Shelf::Damaged, Shelf::Live] {
        for id in session.journal.list(shelf)? {
            let Some(record) = record(session, shelf, &id) else {
                continue;
            };
            all.push(one(session, shelf, record, dry_run));
        }
    }
    Ok(all)
}

/// What is to be deleted; `None` if nothing is.
fn record(session: &Session<'_>, shelf: Shelf, id: &str) -> Option<Record> {
    let read = session.journal.read(shelf, id);
    match (shelf, read) {
        (Shelf::Live, Ok(record)) => record.filter(|record| {
            let age = session.node.now.saturating_sub(record.created);
            age >= YOUNG && !is_alive(record, session.node)
        }),
        // A DEL of the runtime sets it aside, if one comes; until then it is the runtime's.
        (Shelf::Live, Err(_)) => None,
        (_, Ok(record)) => record,
        (_, Err(error)) => {
            session.log().warn(&cni::error::chain(&error));
            Some(from_cache(session, id))
        }
    }
}

/// Of a damaged record only what libcni kept of its delegates is known.
fn from_cache(session: &Session<'_>, id: &str) -> Record {
    let left = go::cached(session.journal.root(), id, "eth0").unwrap_or_default();
    Record {
        version: VERSION,
        container_id: id.to_owned(),
        netns: String::new(),
        ifname: "eth0".to_owned(),
        network: String::new(),
        pod: None,
        boot_id: String::new(),
        namespace: None,
        created: 0,
        cni_args: Vec::new(),
        attachments: left.entries,
        tries: 0,
        tried: 0,
        failure: None,
    }
}

fn one(session: &Session<'_>, shelf: Shelf, record: Record, dry_run: bool) -> Repaired {
    let id = record.container_id.clone();
    let mut told = Repaired {
        pod: record.pod.as_ref().map_or_else(
            || "(pod unknown)".to_owned(),
            |pod| format!("{}/{}", pod.namespace, pod.name),
        ),
        attachments: record
            .attachments
            .iter()
            .map(|entry| format!("{} on {}", entry.name, entry.ifname))
            .collect(),
        container_id: id.clone(),
        left: None,
        dry_run,
    };
    if dry_run {
        return told;
    }
    let lock = match session.journal.lock_sandbox(&id, std::time::Duration::ZERO) {
        Ok(lock) => lock,
        Err(error) => {
            told.left = Some(cni::error::chain(&error));
            return told;
        }
    };
    let place = Place {
        container_id: id.clone(),
        netns: netns_of(&record, session.node),
        args: record.cni_args.clone(),
        prev_result: None,
    };
    let remaining = detach(
        &record.attachments,
        &place,
        &session.runtime(),
        session.log(),
    );
    let summary = crate::detach::summary(&remaining);
    let failure = summary.as_ref().map(Into::into);
    told.left = summary.map(|failure| failure.msg);
    let settled = if remaining.is_empty() {
        session.journal.remove(shelf, &id).map(drop)
    } else {
        let record = Record {
            attachments: remaining.into_iter().map(|left| left.entry).collect(),
            tried: session.node.now,
            failure,
            ..record
        };
        session
            .journal
            .write(Shelf::Kept, &record, Durability::PowerCut)
            .and_then(|()| match shelf {
                Shelf::Kept => Ok(()),
                other => session.journal.remove(other, &id).map(drop),
            })
    };
    if let Err(error) = settled {
        told.left = Some(cni::error::chain(&error));
    }
    if told.is_done() {
        // A lock file that stays is found again by the next command of that name.
        let _ = lock.remove();
    }
    told
}
