//! GC: stale records are deleted, then every network is told which of its attachments are valid.
//!
//! The runtime's list speaks of sandboxes; networks are told of attachments, joined over the journal
//! (spec/multus.md, appendix C4). Two NADs with one network name share one list, or each would
//! collect the other's addresses.

use std::time::Duration;

use cni::config::NetworkList;
use cni::error::code;
use cni::plugin::Attachment;
use cni::runtime::Runtime;
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
pub(super) const YOUNG: u64 = 600;

/// How long GC waits for ADDs and DELs to end before it does nothing.
const WAIT: Duration = Duration::from_secs(1);

/// Longest time of one plugin: ADDs wait for GC, and not for long.
const PLUGIN: Duration = Duration::from_secs(10);

/// The networks that are told, the default network first.
struct Networks(Vec<Told>);

/// A network and its valid attachments.
struct Told {
    network: NetworkList,
    valid: Vec<Attachment>,
}

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
    let runtime = session.runtime_within(PLUGIN);
    let is_valid = |id: &str| valid.iter().any(|valid| valid.container_id == id);
    let mut problems = Vec::new();
    let mut unreadable = Vec::new();
    let mut networks = Networks(vec![Told {
        network: default,
        valid: valid.clone(),
    }]);
    for id in session
        .journal
        .list(Shelf::Live)
        .map_err(|e| Failure::io("list the records", &e))?
    {
        match session.journal.read(Shelf::Live, &id) {
            Ok(None) => {}
            Ok(Some(record)) if is_valid(&id) || !is_stale(&record, session) => {
                networks.protect(&id, &record.attachments);
            }
            Ok(Some(record)) => problems.extend(collect(session, record, &runtime)),
            Err(error) if is_valid(&id) => unreadable.push(cni::error::chain(&error)),
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
                networks.protect(&attachment.container_id, &left.entries);
            }
            Ok(Some(left)) => unreadable.extend(left.warnings),
            Err(error) => unreadable.push(cni::error::chain(&error)),
        }
    }
    if !unreadable.is_empty() {
        networks.0.truncate(1);
        let words = unreadable.join(" / ");
        problems.push(format!(
            "secondary networks are not collected, a valid sandbox's record is unreadable: {words}"
        ));
    }
    for told in &networks.0 {
        if let Err(error) = runtime.gc(&told.network, &told.valid) {
            let (name, cause) = (told.network.name(), cni::error::chain(&error));
            problems.push(format!("collect network {name}: {cause}"));
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

impl Networks {
    /// Adds a sandbox's attachments to the valid ones of their networks.
    fn protect(&mut self, container_id: &str, entries: &[Entry]) {
        for entry in entries {
            let Ok(network) = NetworkList::parse(entry.config.get().as_bytes()) else {
                continue;
            };
            let attachment = Attachment {
                container_id: container_id.to_owned(),
                ifname: entry.ifname.clone(),
            };
            let known = self
                .0
                .iter_mut()
                .find(|told| told.network.name() == network.name());
            match known {
                Some(told) if told.valid.contains(&attachment) => {}
                Some(told) => told.valid.push(attachment),
                None => self.0.push(Told {
                    network,
                    valid: vec![attachment],
                }),
            }
        }
    }
}

pub(super) fn is_stale(record: &Record, session: &Session<'_>) -> bool {
    session.node.now.saturating_sub(record.created) >= YOUNG && !is_alive(record, session.node)
}

/// Deletes a stale sandbox's attachments; what fails is kept for the replay. Returns a problem.
pub(super) fn collect(
    session: &Session<'_>,
    mut record: Record,
    runtime: &Runtime,
) -> Option<String> {
    let place = Place {
        container_id: record.container_id.clone(),
        netns: netns_of(&record, session.node),
        args: record.cni_args.clone(),
        prev_result: None,
    };
    let remaining = detach(&record.attachments, &place, runtime, session.log());
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
