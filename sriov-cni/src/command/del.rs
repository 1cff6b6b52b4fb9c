//! DEL: gives back what the record says, whatever became of pod, namespace and interface (spec/sriov-cni.md §3.1).

use std::path::Path;
use std::time::Duration;

use cni::plugin::Invocation;

use super::{Context, Known};
use crate::config::Network;
use crate::crash::{self, Verb};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::record::{Record, SlotRecord};
use crate::site::Site;
use crate::slot::Slot;

/// Writing a file takes far less; an older temporary file is a killed process's.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// Takes the VF back. Succeeds if there is nothing left to take, and if what is left can only be done later.
pub fn del(site: &Site, node: &mut dyn Node, call: &Invocation) -> Result<()> {
    let _scope = crash::scope(Verb::Del);
    let network = Network::read(&call.config)?;
    let mut context = Context::new(site, node, call, &network)?;
    let deleted = context.del();
    if let Err(error) = &deleted {
        context.log.error(&cni::error::chain(error));
    }
    deleted
}

impl Context<'_> {
    fn del(&mut self) -> Result<()> {
        // A courtesy to the disk, not worth an error.
        let _ = self.ledger.sweep(LEFT_BEHIND);
        let attachment = self.attachment();
        let Some(known) = self.known(&attachment)? else {
            return self.del_unknown();
        };
        let device = known.device();
        let _lock = self.lock(&device, self.site.del_lock)?;
        // An ADD that healed it may have been faster.
        match self
            .known(&attachment)?
            .filter(|now| now.device() == device)
        {
            Some(Known::Vf(record)) => self.del_recorded(*record),
            Some(Known::Slot(record)) => self.del_slot(*record),
            None => self.del_unknown(),
        }
    }

    fn del_slot(&mut self, mut record: SlotRecord) -> Result<()> {
        self.release_slot(&mut record)?;
        self.log.info(&format!("{} taken back", record.slot));
        Ok(())
    }

    fn del_recorded(&mut self, mut record: Record) -> Result<()> {
        let restored = self.release(&mut record, self.site.comes_back);
        if let Some(error) = Error::from_many(restored.errors) {
            return Err(error);
        }
        self.log.info(&format!("VF {} taken back", record.vf));
        Ok(())
    }

    /// Nothing is known of the attachment; addresses may be allocated nevertheless.
    fn del_unknown(&mut self) -> Result<()> {
        self.log.info("nothing is recorded of this attachment");
        let attachment = self.attachment();
        self.ledger.forget(&attachment).map_err(Error::State)?;
        self.files.remove_cache(&attachment).map_err(Error::State)?;
        self.forget_slot()?;
        self.forget_owner_without_cache()?;
        self.deallocate_unknown()
    }

    /// An ADD killed before its record was written leaves the slot's file in the ledger.
    fn forget_slot(&mut self) -> Result<()> {
        let id: Option<String> = self.call.config.typed_folded("deviceID").ok().flatten();
        let Some(slot) = id.and_then(|id| id.parse::<Slot>().ok()) else {
            return Ok(());
        };
        let _lock = self.lock(slot, self.site.del_lock)?;
        self.ledger
            .leave(slot, &self.attachment())
            .map_err(Error::State)
    }

    /// An ADD killed before its record was written leaves the VF's file in the ledger, and a Go DEL that failed half
    /// way leaves the VF's file without a cache (K3). A power cut leaves files that name nobody.
    fn forget_owner_without_cache(&mut self) -> Result<()> {
        let id: Option<String> = self.call.config.typed_folded("deviceID").ok().flatten();
        let Some(vf) = id.and_then(|id| id.parse().ok()) else {
            return Ok(());
        };
        let is_ours = |context: &Self| -> host::error::Result<(bool, bool)> {
            let noted = context
                .files
                .owner(vf)?
                .filter(|_| !context.call.netns.is_empty());
            Ok((
                context.ledger.is_left_by(vf, &context.attachment())?,
                noted.as_deref() == Some(Path::new(&context.call.netns))
                    || context.files.is_torn(vf)?,
            ))
        };
        if is_ours(self).map_err(Error::State)? == (false, false) {
            return Ok(());
        }
        let _lock = self.lock(vf, self.site.del_lock)?;
        let (in_ledger, in_file) = is_ours(self).map_err(Error::State)?;
        if in_ledger {
            self.ledger
                .leave(vf, &self.attachment())
                .map_err(Error::State)?;
        }
        let is_recorded = matches!(self.ledger.of_vf(vf), Ok(crate::ledger::Entry::Record(_)));
        if in_file && !is_recorded && self.files.records_of(vf).map_err(Error::State)?.is_empty() {
            self.files.remove_owner(vf).map_err(Error::State)?;
        }
        Ok(())
    }
}
