//! Making sure, under its lock, that the VF is free: what died or was left half done is taken back first.

use std::path::Path;
use std::time::Duration;

use cni::plugin::Attachment;
use host::pci::PciAddress;

use super::{Context, Known};
use crate::config::Config;
use crate::crash::{self, Verb};
use crate::error::{Error, Result, holder};
use crate::ledger::Entry;
use crate::node::Function;
use crate::record::{Phase, Record};
use crate::restore;

/// What a dead owner's VF could not yet be given back.
#[derive(Debug)]
pub(super) struct Owed {
    /// Whose record says so.
    pub(super) attachment: Attachment,
    /// The interface's name on the host, which another link has.
    pub(super) name: String,
}

impl Context<'_> {
    /// Gives back what this attachment has of another device, from an ADD that was not finished (its device may have
    /// changed since). Takes that device's lock.
    pub(super) fn leave_other_device(&mut self, device: &str) -> Result<()> {
        let attachment = self.attachment();
        let Some(known) = self.known(&attachment)? else {
            return Ok(());
        };
        let other = match &known {
            Known::Vf(record) if record.phase == Phase::Released => record.vf.to_string(),
            known if known.device() == device => return Ok(()),
            known => known.device(),
        };
        let _lock = self.lock(&other, self.site.add_lock)?;
        // What was read without the lock may be gone or renewed.
        match self.known(&attachment)? {
            Some(Known::Vf(mut record)) if record.vf.to_string() == other => {
                self.take_back(&mut record).map(drop)
            }
            Some(Known::Slot(mut record)) if record.slot.to_string() == other => {
                self.take_back_slot(&mut record)
            }
            _ => Ok(()),
        }
    }

    /// Fails if a living attachment has the VF; takes it back from a dead one, and from an earlier ADD of this one.
    /// Returns what the dead one still owes to the VF and its next owner has to give back instead.
    pub(super) fn claim(&mut self, vf: PciAddress) -> Result<Option<Owed>> {
        let record = match self.ledger.of_vf(vf).map_err(Error::State)? {
            Entry::Record(record) => Some(*record),
            Entry::Torn(error) => {
                self.log
                    .warning(&format!("ignored: {}", cni::error::chain(&error)));
                self.damaged(vf)?
            }
            Entry::Absent | Entry::Slot(_) => None,
        };
        let noted = self.files.owner(vf).map_err(Error::State)?;
        // The Go plugin wrote another owner after our record, or there is none of ours.
        let foreign = noted.filter(|noted| {
            record
                .as_ref()
                .is_none_or(|record| path(record) != Some(noted))
        });
        if let Some(netns) = foreign {
            self.claim_from_go(vf, &netns)?;
        }
        let Some(mut record) = record else {
            return Ok(None);
        };
        if record.attachment != self.attachment() && self.is_alive(&record)? {
            return Err(Error::InUse {
                device: vf.to_string(),
                holder: holder(&record.attachment),
            });
        }
        let is_back = self.take_back(&mut record)?;
        let name = record.original.netdev.map(|netdev| netdev.name);
        Ok(name.filter(|_| !is_back).map(|name| Owed {
            attachment: record.attachment,
            name,
        }))
    }

    /// What the baseline says of a VF whose record cannot be read; the Go plugin's file says more.
    fn damaged(&self, vf: PciAddress) -> Result<Option<Record>> {
        let holder = self.ledger.holder(vf).map_err(Error::State)?;
        match holder {
            Some(holder) if self.files.record(&holder).map_err(Error::State)?.is_none() => {
                self.baseline_record(vf, &holder)
            }
            _ => Ok(None),
        }
    }

    /// Takes back other VFs of the PF whose dead owners have left them with the address that is wanted (design §3). True
    /// if something was taken back.
    pub(super) fn free_address(&mut self, config: &Config, function: &Function) -> Result<bool> {
        let is_meant = |record: &Record| {
            record.vf != config.vf
                && record.pf == Some(function.pf.address)
                && (record.pf_address() == config.mac || record.address == config.mac)
        };
        let mut is_freed = false;
        for record in self.ledger.all().map_err(Error::State)? {
            if !is_meant(&record) || self.is_alive(&record)? {
                continue;
            }
            // Whoever has the lock gives the VF back or has it anew.
            let Ok(_lock) = self.lock(record.vf, Duration::ZERO) else {
                continue;
            };
            let Some(mut record) = self.record(&record.attachment)?.filter(is_meant) else {
                continue;
            };
            if self.is_alive(&record)? {
                continue;
            }
            match self.take_back(&mut record) {
                Ok(_) => is_freed = true,
                // The other VF's trouble is not this one's.
                Err(error) => self.log.warning(&cni::error::chain(&error)),
            }
        }
        Ok(is_freed)
    }

    fn claim_from_go(&mut self, vf: PciAddress, netns: &Path) -> Result<()> {
        let alive = self.node.namespace(netns)?.is_some();
        for mut record in self.files.records_of(vf).map_err(Error::State)? {
            if record.attachment == self.attachment() || !alive {
                self.take_back(&mut record)?;
            }
        }
        // Taking back our own attachment removes the file.
        if alive && self.files.owner(vf).map_err(Error::State)?.is_some() {
            return Err(Error::InUse {
                device: vf.to_string(),
                holder: format!("network namespace {} has it", netns.display()),
            });
        }
        self.files.remove_owner(vf).map_err(Error::State)
    }

    /// The record's owner exists: not another boot, and its path leads to the very same namespace.
    pub(super) fn is_alive(&mut self, record: &Record) -> Result<bool> {
        // What DEL left to be finished has no owner any more.
        if record.phase >= Phase::Releasing {
            return Ok(false);
        }
        Ok(restore::reachable(self.node, record, &self.boot, None)?.is_some())
    }

    /// Addresses that cannot be released stay in the ledger and do not keep the VF from its next owner.
    /// False if the VF still owes its name.
    fn take_back(&mut self, record: &mut Record) -> Result<bool> {
        let _scope = crash::scope(Verb::Heal);
        let attachment = record.attachment.clone();
        self.log.info(&format!(
            "VFLeakRepaired: taking back VF {}, {}",
            record.vf,
            holder(&attachment)
        ));
        let mut restored = self.release(record, self.site.comes_back);
        if record.phase == Phase::Released && attachment != self.attachment() {
            restored.errors.retain(|error| {
                self.log.warning(&cni::error::chain(error));
                false
            });
        }
        if let Some(error) = Error::from_many(restored.errors) {
            return Err(error);
        }
        let is_back = restored.pending.is_empty();
        if let Some(pending) = restored
            .pending
            .into_iter()
            .find(|_| !self.has_interface(record.vf))
        {
            return Err(Error::Vf {
                vf: record.vf,
                problem: format!(
                    "it is on its way back from {}: {pending}; try again",
                    holder(&attachment)
                ),
                code: cni::error::code::TRY_AGAIN_LATER,
            });
        }
        Ok(is_back)
    }

    fn has_interface(&mut self, vf: PciAddress) -> bool {
        matches!(self.node.netdev(crate::node::Place::Host, vf), Ok(Some(_)))
    }
}

fn path(record: &Record) -> Option<&std::path::PathBuf> {
    record.owner.as_ref().map(|owner| &owner.netns)
}
