//! Records of sandboxes that are gone and that no DEL came for: collected a few at a time by whatever command comes by,
//! because containerd calls no GC (design §2).
//!
//! Stale is what GC takes for stale, and what no DEL has been tried for lately: the runtime's own tries are counted.

use std::time::{Duration, Instant};

use super::gc::{YOUNG, collect, is_stale};
use super::replay::is_time_left;
use crate::journal::{Record, Shelf};
use crate::session::Session;

/// Records that one command looks at. Looking costs a tenth of a millisecond, and a plain pod waits for it.
const LOOKS: usize = 3;

/// Looks at a few records, other ones each time, and deletes what stale ones name. What fails is kept for the replay.
pub(super) fn collect_some(session: &Session<'_>, until: Instant) {
    let Ok(ids) = session.journal.list(Shelf::Live) else {
        return;
    };
    let own = &session.call.container_id;
    // Ids are random, so the sum over one is as good as a die.
    let start = own.bytes().fold(0, |sum, byte| sum + usize::from(byte));
    let some = ids
        .iter()
        .cycle()
        .skip(start.checked_rem(ids.len()).unwrap_or_default())
        .take(ids.len().min(LOOKS));
    for id in some.filter(|id| *id != own) {
        if !is_time_left(until) {
            return;
        }
        if abandoned(session, id).is_some() {
            collect_one(session, id, until);
        }
    }
}

/// Under the locks of a DEL. The record may have been deleted, or made again, just before.
fn collect_one(session: &Session<'_>, id: &str, until: Instant) {
    let Ok(_gc) = session.journal.lock_out_gc(Duration::ZERO) else {
        return;
    };
    let Ok(lock) = session.journal.lock_sandbox(id, Duration::ZERO) else {
        return;
    };
    let Some(record) = abandoned(session, id) else {
        return;
    };
    if let Some(problem) = collect(session, record, &session.runtime_until(until)) {
        session.log().warn(&format!(
            "sandbox {id} is gone and kept for later: {problem}"
        ));
        return;
    }
    session
        .log()
        .verbose(|| format!("sandbox {id} is gone: its networks are deleted"));
    // A lock file that stays is found again by the next command of that name.
    let _ = lock.remove();
}

/// The record, if nobody will delete what it names. A damaged one is left for the DEL of its sandbox.
fn abandoned(session: &Session<'_>, id: &str) -> Option<Record> {
    let record = session.journal.read(Shelf::Live, id).ok()??;
    let untried = session.node.now.saturating_sub(record.tried) >= YOUNG;
    (untried && is_stale(&record, session)).then_some(record)
}
