//! Taking a VF back: undo, addresses, files. Shared by DEL, GC, the repair at ADD and ADD's rollback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Context;
use crate::error::{Error, Result};
use crate::node::Place;
use crate::record::{Phase, Record};
use crate::restore::{self, Restored};

impl Context<'_> {
    /// Gives back everything that the record holds, under the VF's lock. What is done is never done again: the record
    /// keeps only what is left. An interface on its way back is waited for, at most `within`.
    pub(super) fn release(&mut self, record: &mut Record, within: Duration) -> Restored {
        if record.phase < Phase::Allocated {
            record.ipam = None;
        }
        record.phase = record.phase.max(Phase::Releasing);
        let held = self.holds(record);
        let mut restored = match &held {
            Ok(true) => self.restore_vf(record, within),
            _ => Restored::default(),
        };
        let vf_is_back = restored.is_complete() && held.is_ok();
        match self.deallocate(record) {
            Ok(()) => record.ipam = None,
            Err(error) => restored.errors.push(error),
        }
        let kept = self.keep_what_is_left(record, vf_is_back, matches!(held, Ok(true)));
        restored.errors.extend(held.err());
        restored.errors.extend(kept.err().map(Error::State));
        for pending in &restored.pending {
            self.log.warning(&format!("kept in the ledger: {pending}"));
        }
        restored
    }

    fn restore_vf(&mut self, record: &Record, within: Duration) -> Restored {
        match self.whereabouts(record) {
            Ok(pod) => restore::restore(self.node, record, pod.as_deref(), within, &self.log),
            Err(error) => Restored {
                errors: vec![error],
                pending: Vec::new(),
            },
        }
    }

    /// Where the VF's interface is looked for besides the host: the record's namespace, or any that has a name and has
    /// the interface, if it was carried away or its namespace has lost its path.
    pub(super) fn whereabouts(&mut self, record: &Record) -> Result<Option<PathBuf>> {
        let also = (!self.call.netns.is_empty() && record.attachment == self.attachment())
            .then(|| Path::new(&self.call.netns));
        if let Some(pod) = restore::reachable(self.node, record, &self.boot, also)? {
            return Ok(Some(pod.to_path_buf()));
        }
        if record.original.netdev.is_none() || self.node.netdev(Place::Host, record.vf)?.is_some() {
            return Ok(None);
        }
        for path in self.node.namespaces()? {
            // Any of them may go at any time.
            if let Ok(Some(_)) = self.node.netdev(Place::Pod(&path), record.vf) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// The VF is the record's: it was not given back, it is the same boot, and neither program gave the VF to another
    /// attachment since.
    pub(super) fn holds(&mut self, record: &Record) -> Result<bool> {
        // No VF state outlives a boot, and somebody else may have the VF by now.
        let boot = record.owner.as_ref().and_then(|owner| owner.boot.as_ref());
        if record.phase == Phase::Released || boot.is_some_and(|boot| *boot != self.boot) {
            return Ok(false);
        }
        let holder = self.ledger.holder(record.vf).map_err(Error::State)?;
        if let Some(holder) = holder.filter(|holder| *holder != record.attachment)
            && self.is_recorded(&holder)?
        {
            return Ok(false);
        }
        let Some(noted) = self.files.owner(record.vf).map_err(Error::State)? else {
            return Ok(true);
        };
        let owner = record.owner.as_ref();
        let is_another = if owner.is_none_or(|owner| owner.identity.is_none()) {
            // The Go plugin notes no owner in its cache: its attachments are told apart by the path that the runtime
            // names, or by being the only one of the VF.
            let of_this_call =
                record.attachment == self.attachment() && !self.call.netns.is_empty();
            if of_this_call {
                noted != Path::new(&self.call.netns)
            } else {
                self.files
                    .records_of(record.vf)
                    .map_err(Error::State)?
                    .len()
                    > 1
            }
        } else {
            owner.is_some_and(|owner| owner.netns != noted)
        };
        Ok(!is_another || self.node.namespace(&noted)?.is_none())
    }

    fn is_recorded(&self, attachment: &cni::plugin::Attachment) -> Result<bool> {
        let entry = self.ledger.get(attachment).map_err(Error::State)?;
        Ok(matches!(entry, crate::ledger::Entry::Record(_)))
    }

    fn keep_what_is_left(
        &mut self,
        record: &mut Record,
        vf_is_back: bool,
        held: bool,
    ) -> host::error::Result<()> {
        if !vf_is_back {
            // Where nobody could tell whose the VF is, it stays with whom it is.
            return if held {
                self.ledger.enter(record)
            } else {
                self.ledger.update(record)
            };
        }
        if held || self.is_unclaimed(record)? {
            self.files.remove(record)?;
        } else {
            // The VF's file is another attachment's.
            self.files.remove_cache(&record.attachment)?;
        }
        if record.ipam.is_none() {
            return self.ledger.remove(&record.attachment, record.vf);
        }
        // A broken IPAM plugin must not keep the VF from others.
        record.phase = Phase::Released;
        self.ledger.create()?;
        self.ledger.update(record)?;
        self.ledger.leave(record.vf, &record.attachment)
    }

    /// No other attachment has the VF, though it is not the record's (any more).
    fn is_unclaimed(&mut self, record: &Record) -> host::error::Result<bool> {
        if self
            .ledger
            .holder(record.vf)?
            .is_some_and(|holder| holder != record.attachment)
        {
            return Ok(false);
        }
        // The Go plugin notes a VF and its attachment in one go.
        let others = self.files.records_of(record.vf)?;
        Ok(others
            .iter()
            .all(|other| other.attachment == record.attachment))
    }
}
