//! What earlier commands left is done after our own work, for at most a second: DELs that failed and were kept, then
//! records of sandboxes that are gone ([`super::stale`]).

use std::time::{Duration, Instant};

use host::boot::boot_id;
use host::file::Durability;
use host::netns::NetNs;

use super::stale;
use crate::detach::{Place, detach};
use crate::journal::{JournalError, Record, Shelf};
use crate::session::{Node, Session};

/// Longest time of all of it, every plugin of every network together.
const LIMIT: Duration = Duration::from_secs(1);

/// Below this it is not worth starting a program.
const SHORTEST: Duration = Duration::from_millis(20);

/// Whether this sandbox has attachments that are kept.
pub(super) fn has_kept(session: &Session<'_>) -> bool {
    let record = session
        .journal
        .read(Shelf::Kept, &session.call.container_id);
    matches!(record, Ok(Some(_)))
}

/// Never fails: the command has done its own work.
pub(super) fn afterwards(session: &Session<'_>) {
    let until = Instant::now() + LIMIT;
    replay(session, until);
    stale::collect_some(session, until);
}

/// Whether there is time for one more program.
pub(super) fn is_time_left(until: Instant) -> bool {
    until.saturating_duration_since(Instant::now()) >= SHORTEST
}

/// Tries what is kept, the one whose last try is longest ago first.
fn replay(session: &Session<'_>, until: Instant) {
    let ids = session.journal.list(Shelf::Kept).unwrap_or_else(|error| {
        session.log().warn(&cni::error::chain(&error));
        Vec::new()
    });
    let mut records: Vec<_> = ids.iter().filter_map(|id| readable(session, id)).collect();
    records.sort_unstable_by_key(|record| record.tried);
    for record in records {
        let id = record.container_id.clone();
        if !is_time_left(until) {
            return;
        }
        // Another command may be at it.
        let Ok(lock) = session.journal.lock_sandbox(&id, Duration::ZERO) else {
            continue;
        };
        // The other command may have finished it just before.
        let Some(record) = readable(session, &id) else {
            continue;
        };
        if retry(session, record, until) {
            // A lock file that stays is found again by the next command of that name.
            let _ = lock.remove();
        }
    }
}

/// True if nothing of the sandbox is left.
fn retry(session: &Session<'_>, mut record: Record, until: Instant) -> bool {
    let place = Place {
        container_id: record.container_id.clone(),
        netns: netns_of(&record, session.node),
        args: record.cni_args.clone(),
        prev_result: None,
    };
    let runtime = session.runtime_until(until);
    let mut remaining = Vec::new();
    for entry in std::mem::take(&mut record.attachments).iter().rev() {
        let gone = is_time_left(until) && {
            let failed = detach(std::slice::from_ref(entry), &place, &runtime, session.log());
            if let Some(failed) = failed.first() {
                record.failure = Some((&failed.failure).into());
            }
            failed.is_empty()
        };
        if !gone {
            remaining.insert(0, entry.clone());
        }
    }
    let done = remaining.is_empty();
    record.attachments = remaining;
    record.tries += 1;
    record.tried = session.node.now;
    let written = if done {
        session
            .journal
            .remove(Shelf::Kept, &record.container_id)
            .map(drop)
    } else {
        session
            .journal
            .write(Shelf::Kept, &record, Durability::Process)
    };
    if let Err(error) = written {
        session.log().warn(&cni::error::chain(&error));
    }
    done
}

/// A damaged one is set aside, or every command would stumble over it; `multus repair` and the backlog show it there.
fn readable(session: &Session<'_>, id: &str) -> Option<Record> {
    let error = match session.journal.read(Shelf::Kept, id) {
        Ok(record) => return record,
        Err(error) => error,
    };
    session.log().warn(&cni::error::chain(&error));
    if matches!(error, JournalError::Damaged { .. })
        && let Err(error) = session.journal.set_kept_aside(id)
    {
        session.log().warn(&cni::error::chain(&error));
    }
    None
}

/// CNI_NETNS of a recorded sandbox: its path if the same namespace is still behind it, else empty.
pub(super) fn netns_of(record: &Record, node: &Node) -> String {
    if is_alive(record, node) {
        record.netns.clone()
    } else {
        String::new()
    }
}

/// The namespace of a record lives: same boot, same path, same identity.
pub(super) fn is_alive(record: &Record, node: &Node) -> bool {
    let same_boot = boot_id(&node.proc).is_ok_and(|id| id == record.boot_id);
    let now = NetNs::open(&record.netns).and_then(|netns| netns.identity());
    match (now, &record.namespace) {
        (Ok(now), Some(then)) => same_boot && now.is_same(then),
        _ => false,
    }
}
