//! GC: stale records are deleted, then every network is told which of its attachments are valid.
//!
//! The runtime's list speaks of sandboxes; networks are told of attachments, joined over the journal
//! (spec/multus.md, appendix C4). Two NADs with one network name share one list, or each would
//! collect the other's addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cni::config::NetworkList;
use cni::error::code;
use cni::plugin::Attachment;
use host::error::Kind;
use host::file::Durability;

use super::busy;
use super::replay::{is_alive, netns_of};
use crate::detach::{Place, detach};
use crate::failure::Failure;
use crate::journal::{Entry, JournalError, Record, Shelf, go};
use crate::primary;
use crate::session::Session;
use crate::wire::Reason;

/// Records younger than this are left alone: their sandbox may not be in the runtime's list yet.
const YOUNG: u64 = 600;

/// How long GC waits for ADDs and DELs to end before it does nothing.
const WAIT: Duration = Duration::from_secs(1);

/// Longest time of one plugin: ADDs wait for GC, and not for long.
const PLUGIN: Duration = Duration::from_secs(10);

/// A network and its valid attachments.
type Networks = BTreeMap<String, (NetworkList, BTreeSet<Attachment>)>;

/// Serves GC.
pub(super) fn gc(session: &Session<'_>) -> Result<(), Failure> {
    let valid = session.call.valid_attachments().map_err(Failure::refused)?;
    let default = primary::resolve(&session.conf)?;
    let _lock = match session.journal.lock_for_gc(WAIT) {
        Ok(lock) => lock,
        Err(JournalError::File(error)) if error.kind() == Kind::Deadline => {
            session
                .log()
                .warn("GC does nothing: an ADD or DEL is at work");
            return Ok(());
        }
        Err(error) => return Err(busy("lock out ADD and DEL", &error)),
    };
    let ids: BTreeSet<&str> = valid.iter().map(|a| a.container_id.as_str()).collect();
    let mut problems = Vec::new();
    let mut unreadable = Vec::new();
    let mut networks = Networks::new();
    networks.insert(
        default.name().to_owned(),
        (default.clone(), valid.iter().cloned().collect()),
    );
    for id in session
        .journal
        .list(Shelf::Live)
        .map_err(|e| Failure::io("list the records", &e))?
    {
        match session.journal.read(Shelf::Live, &id) {
            Ok(None) => {}
            Ok(Some(record)) if ids.contains(id.as_str()) || !is_stale(&record, session) => {
                protect(&mut networks, &id, &record.attachments);
            }
            Ok(Some(record)) => problems.extend(collect(session, record)),
            Err(error) if ids.contains(id.as_str()) => unreadable.push(cni::error::chain(&error)),
            Err(error) => session.log().warn(&cni::error::chain(&error)),
        }
    }
    for attachment in &valid {
        let root = session.journal.root();
        let left = go::read(
            root,
            &attachment.container_id,
            &attachment.ifname,
            &session.node.devinfo,
        );
        match left {
            Ok(None) => {}
            Ok(Some(left)) if left.warnings.is_empty() => {
                protect(&mut networks, &attachment.container_id, &left.entries);
            }
            Ok(Some(left)) => unreadable.extend(left.warnings),
            Err(error) => unreadable.push(cni::error::chain(&error)),
        }
    }
    if !unreadable.is_empty() {
        networks.retain(|name, _| name == default.name());
        let words = unreadable.join(" / ");
        problems.push(format!(
            "secondary networks are not collected, a valid sandbox's record is unreadable: {words}"
        ));
    }
    let runtime = session.runtime_within(PLUGIN);
    for (network, valid) in networks.values() {
        let valid: Vec<_> = valid.iter().cloned().collect();
        if let Err(error) = runtime.gc(network, &valid) {
            problems.push(format!(
                "collect network {}: {}",
                network.name(),
                cni::error::chain(&error)
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        code::INTERNAL,
        Reason::DelegateFailed,
        problems.join(" / "),
    ))
}

/// Adds a sandbox's attachments to the valid ones of their networks.
fn protect(networks: &mut Networks, container_id: &str, entries: &[Entry]) {
    for entry in entries {
        let Ok(network) = NetworkList::parse(entry.config.get().as_bytes()) else {
            continue;
        };
        let name = network.name().to_owned();
        let (_, valid) = networks
            .entry(name)
            .or_insert_with(|| (network, BTreeSet::new()));
        valid.insert(Attachment {
            container_id: container_id.to_owned(),
            ifname: entry.ifname.clone(),
        });
    }
}

fn is_stale(record: &Record, session: &Session<'_>) -> bool {
    session.node.now.saturating_sub(record.created) >= YOUNG && !is_alive(record, session.node)
}

/// Deletes a stale sandbox's attachments; what fails is kept for the replay. Returns a problem.
fn collect(session: &Session<'_>, mut record: Record) -> Option<String> {
    let place = Place {
        container_id: record.container_id.clone(),
        netns: netns_of(&record, session.node),
        args: record.cni_args.clone(),
        prev_result: None,
    };
    let runtime = session.runtime_within(PLUGIN);
    let remaining = detach(&record.attachments, &place, &runtime, session.log());
    let failed = remaining
        .first()
        .map(|remaining| remaining.failure.msg.clone());
    record.attachments = remaining
        .into_iter()
        .map(|remaining| remaining.entry)
        .collect();
    record.tried = session.node.now;
    let kept = if failed.is_some() {
        session
            .journal
            .write(Shelf::Kept, &record, Durability::PowerCut)
    } else {
        Ok(())
    };
    let settled = kept.and_then(|()| session.journal.remove(Shelf::Live, &record.container_id));
    settled
        .err()
        .map(|error| cni::error::chain(&error))
        .or(failed)
}
