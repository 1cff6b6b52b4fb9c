//! DEL: from the journal alone, in reverse order, everything attempted.

use std::time::{Duration, Instant};

use host::file::{self, Durability};
use host::lock::Lock;

use super::{busy, replay};
use crate::detach::{Remaining, detach, summary};
use crate::failure::Failure;
use crate::journal::record::VERSION as RECORD_VERSION;
use crate::journal::{Entry, JournalError, Record, Shelf, go};
use crate::lifecycle::HostView;
use crate::lifecycle::intent::Store;
use crate::lifecycle::leave::{Left, leave};
use crate::planner::Budget;
use crate::primary;
use crate::session::Session;
use crate::wire::Reason;

/// How often the runtime is told of a secondary network's failure before it is kept (design §2).
const TRIES: u32 = 3;

/// How long the removal of multus waits for other commands; one of them does it otherwise.
const LEAVING: Duration = Duration::from_millis(300);

/// Serves DEL.
pub(super) fn del(session: &Session<'_>) -> Result<(), Failure> {
    let mut budget = Budget::DEL;
    let gc = budget.spend(|deadline| session.journal.lock_out_gc_if_it_ever_ran(left(deadline)));
    let gc = unless_busy(session, "wait for GC", gc)?.flatten();
    let own = if session.journal.has_locks() {
        let own = budget.spend(|deadline| lock_sandbox(session, left(deadline)));
        unless_busy(session, "wait for another command on this sandbox", own)?
    } else {
        None
    };
    let outcome = delete(session);
    if let (Ok(()), Some(lock)) = (&outcome, own)
        && let Err(error) = lock.remove()
    {
        session.log().warn(&cni::error::chain(&error));
    }
    replay::afterwards(session);
    if outcome.is_ok() {
        drop(gc);
        leave_if_last(session, LEAVING);
    }
    outcome
}

/// A delegate that has had its time would have been ended by the command that started it, had that one lived. One that
/// goes on in the background on purpose would otherwise keep every DEL of the sandbox away for ever.
fn lock_sandbox(session: &Session<'_>, within: Duration) -> Result<Lock, JournalError> {
    let (lock, orphans) = session.journal.lock_sandbox_despite_orphans(
        &session.call.container_id,
        within,
        session.conf.delegate_timeout(),
        &session.node.proc,
    )?;
    for orphan in orphans {
        session.log().warn(&format!(
            "{orphan} was left behind by a command that was killed, and is not waited for any longer"
        ));
    }
    Ok(lock)
}

/// Whoever removes the last record of a draining node removes multus too.
fn leave_if_last(session: &Session<'_>, within: Duration) {
    let store = Store::new(session.journal.root());
    match leave(
        &store,
        &HostView::same(),
        &session.node.runtime_cache,
        within,
    ) {
        Ok(Left::Gone { .. }) => session
            .log()
            .warn("the last pod with a network is gone: multus has left this node"),
        Ok(Left::NoOtherConfiguration(why)) => session.log().warn(&format!(
            "multus stays although it is to be removed: the node would be without network: {why}"
        )),
        Ok(Left::NotAsked | Left::Sandboxes(_) | Left::Busy) => {}
        Err(error) => session.log().warn(&format!(
            "remove multus from this node: {}",
            cni::error::chain(&error)
        )),
    }
}

/// Whether an earlier ADD of the same sandbox, by us or by Go multus, left anything.
pub(super) fn has_half_done(session: &Session<'_>) -> bool {
    let id = &session.call.container_id;
    session.journal.has_record(id) || go::has_file(session.journal.root(), id)
}

/// Before an ADD: what an earlier ADD of the same sandbox left is undone first.
pub(super) fn clear_half_done(session: &Session<'_>) -> Result<(), Failure> {
    let found = match recorded(session)? {
        None => left_by_go(session)?,
        found => found,
    };
    found.map_or(Ok(()), |record| delete_recorded(session, record))
}

fn delete(session: &Session<'_>) -> Result<(), Failure> {
    match recorded(session)? {
        Some(record) if record.attachments.is_empty() => {
            return delete_configured(session, record.tries);
        }
        Some(record) => return delete_recorded(session, record),
        None => {}
    }
    if replay::has_kept(session) {
        // An earlier DEL succeeded; what it kept is tried again by the replay.
        return Ok(());
    }
    match left_by_go(session)? {
        Some(record) => delete_recorded(session, record),
        None => delete_configured(session, 0),
    }
}

/// No record: the sandbox has the networks of the configuration and no others. A default network that cannot be found
/// any more, after `tries`, does not keep the sandbox for ever: nobody can delete what nobody can name.
fn delete_configured(session: &Session<'_>, tries: u32) -> Result<(), Failure> {
    let found = primary::attachments(&session.conf, &session.call.ifname);
    let attachments = match found {
        Err(failure) if failure.reason == Reason::PrimaryNotReady => {
            return without_default_network(session, failure, tries);
        }
        found => found?,
    };
    let entries: Vec<_> = attachments.iter().map(Entry::from).collect();
    let place = session.place(session.delegate_args(session.pod.as_ref()));
    let remaining = detach(&entries, &place, &session.runtime(), session.log());
    if remaining.iter().all(|remaining| remaining.entry.default) {
        forget(session, tries)?;
        return summary(&remaining).map_or(Ok(()), Err);
    }
    // Tries are counted in a record, or a secondary that never deletes would block DEL for ever.
    settle(session, from_left(session, go::Left::default())?, remaining)
}

/// Tries are counted in a record that names no attachment.
fn without_default_network(
    session: &Session<'_>,
    failure: Failure,
    tries: u32,
) -> Result<(), Failure> {
    if tries >= TRIES {
        session.log().warn(&format!(
            "given up after {TRIES} tries, addresses of the default network may stay reserved: {}",
            failure.msg
        ));
        return forget(session, tries);
    }
    let counter = Record {
        tries: tries + 1,
        tried: session.node.now,
        ..empty_record(session)
    };
    let step = "count the tries of DEL";
    session
        .journal
        .write(Shelf::Live, &counter, Durability::Process)
        .map_err(|error| Failure::io(step, &error))?;
    Err(failure)
}

fn forget(session: &Session<'_>, tries: u32) -> Result<(), Failure> {
    if tries == 0 {
        return Ok(());
    }
    let removed = session
        .journal
        .remove(Shelf::Live, &session.call.container_id);
    removed
        .map(drop)
        .map_err(|error| Failure::io("remove the count of tries", &error))
}

fn delete_recorded(session: &Session<'_>, record: Record) -> Result<(), Failure> {
    let place = session.place(record.cni_args.clone());
    let remaining = detach(
        &record.attachments,
        &place,
        &session.runtime(),
        session.log(),
    );
    settle(session, record, remaining)
}

/// Records what is left, or that nothing is, and decides whether the runtime is told.
fn settle(
    session: &Session<'_>,
    mut record: Record,
    remaining: Vec<Remaining>,
) -> Result<(), Failure> {
    let id = record.container_id.clone();
    let journal = &session.journal;
    let step = "record what could not be deleted";
    let io = |error: JournalError| Failure::io(step, &error);
    let Some(failure) = summary(&remaining) else {
        journal.remove(Shelf::Live, &id).map_err(io)?;
        return forget_go(session);
    };
    let default_failed = remaining.iter().any(|remaining| remaining.entry.default);
    record.tries += 1;
    record.tried = session.node.now;
    record.failure = Some((&failure).into());
    record.attachments = remaining
        .into_iter()
        .map(|remaining| remaining.entry)
        .collect();
    if default_failed || record.tries <= TRIES {
        journal
            .write(Shelf::Live, &record, Durability::Process)
            .map_err(io)?;
        forget_go(session)?;
        return Err(failure);
    }
    journal
        .write(Shelf::Kept, &record, Durability::PowerCut)
        .map_err(io)?;
    journal.remove(Shelf::Live, &id).map_err(io)?;
    forget_go(session)?;
    session.log().warn(&format!(
        "kept for later, after {TRIES} tries: {}",
        failure.msg
    ));
    Ok(())
}

/// Our own record. A damaged one is set aside, and what libcni's cache knows takes its place.
fn recorded(session: &Session<'_>) -> Result<Option<Record>, Failure> {
    let id = &session.call.container_id;
    let step = "read the record of the sandbox";
    match session.journal.read(Shelf::Live, id) {
        Ok(record) => Ok(record),
        Err(error @ JournalError::Damaged { .. }) => {
            session.log().warn(&cni::error::chain(&error));
            let root = session.journal.root();
            let left =
                go::cached(root, id, &session.call.ifname).map_err(|e| Failure::io(step, &e))?;
            let record = from_left(session, left)?;
            session
                .journal
                .set_aside(id)
                .map_err(|e| Failure::io(step, &e))?;
            // For the next DEL, should this one be killed on the way.
            let written = session
                .journal
                .write(Shelf::Live, &record, Durability::Process);
            if let Err(error) = written {
                session.log().warn(&cni::error::chain(&error));
            }
            Ok(Some(record))
        }
        Err(error) => Err(Failure::io(step, &error)),
    }
}

fn left_by_go(session: &Session<'_>) -> Result<Option<Record>, Failure> {
    let id = &session.call.container_id;
    let root = session.journal.root();
    let left = go::read(root, id, &session.call.ifname, &session.node.devinfo)
        .map_err(|error| Failure::io("read the state of Go multus", &error))?;
    left.map(|left| from_left(session, left)).transpose()
}

/// A record from what others wrote. If they do not know the default network, it is the configured one.
fn from_left(session: &Session<'_>, left: go::Left) -> Result<Record, Failure> {
    for warning in &left.warnings {
        session.log().warn(warning);
    }
    let mut attachments = left.entries;
    if !attachments.iter().any(|entry| entry.default) {
        let configured = primary::attachments(&session.conf, &session.call.ifname)?;
        attachments.splice(0..0, configured.iter().take(1).map(Entry::from));
    }
    Ok(Record {
        attachments,
        ..empty_record(session)
    })
}

/// Of a sandbox that another program made, or that has nothing.
fn empty_record(session: &Session<'_>) -> Record {
    Record {
        version: RECORD_VERSION,
        container_id: session.call.container_id.clone(),
        netns: session.call.netns.clone(),
        ifname: session.call.ifname.clone(),
        network: session.call.name.clone(),
        pod: session.pod.clone(),
        boot_id: String::new(),
        namespace: None,
        created: 0,
        cni_args: session.delegate_args(session.pod.as_ref()),
        attachments: Vec::new(),
        tries: 0,
        tried: 0,
        failure: None,
    }
}

fn forget_go(session: &Session<'_>) -> Result<(), Failure> {
    let path = session.journal.root().join(&session.call.container_id);
    if path.is_dir() {
        return Ok(());
    }
    let removed = file::remove(&path);
    removed
        .map(drop)
        .map_err(|error| Failure::io("remove the state of Go multus", &error))
}

/// A lock that stays taken is a reason to come back; one that cannot be made is none to block a DEL.
fn unless_busy<T>(
    session: &Session<'_>,
    step: &str,
    lock: Result<T, JournalError>,
) -> Result<Option<T>, Failure> {
    match lock {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.is_deadline() => Err(busy(step, &error)),
        Err(error) => {
            session.log().warn(&cni::error::chain(&error));
            Ok(None)
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Runtimes take a DEL error with "not found" or "no such file" in it for success.
pub(super) fn without_words_of_success(mut error: cni::Error) -> cni::Error {
    let words = [
        ("no such file or directory", "missing file"),
        ("no such file", "missing file"),
        ("not found", "absent"),
    ];
    for text in [&mut error.msg, &mut error.details] {
        for (bad, good) in words {
            while let Some(at) = text.to_ascii_lowercase().find(&bad.to_ascii_lowercase()) {
                text.replace_range(at..at + bad.len(), good);
            }
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_del_error_says_not_found_or_no_such_file() {
        let error = cni::Error::new(
            7,
            "open x: No such file or directory: Not Found: link not found",
        )
        .with_details("NetworkNotFound: no such File");
        let told = without_words_of_success(error);
        let text = format!("{} {}", told.msg, told.details).to_ascii_lowercase();
        assert!(
            !text.contains("not found") && !text.contains("no such file"),
            "{text}"
        );
        assert!(told.msg.starts_with("open x: missing file"), "{}", told.msg);
    }
}
