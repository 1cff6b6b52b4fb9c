//! `sriov recover`: gives back what belongs to nobody any more, once, for boot and installer (design §3).

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use cni::plugin::{Attachment, Command, Env, Invocation};
use cni::raw::Object;
use cni::version::Version;
use host::pci::PciAddress;

use super::{Context, Known};
use crate::compat::cache_name;
use crate::config::Network;
use crate::crash::{self, Verb};
use crate::error::{Error, Result};
use crate::ledger::Entry;
use crate::node::Node;
use crate::record::{Phase, Record, SlotRecord};
use crate::restore::Restored;
use crate::site::Site;
use crate::slot::Slot;
use crate::{observe, undo};

/// What became of one record or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// VF or slot.
    pub device: String,
    /// Who had it.
    pub attachment: Option<Attachment>,
    /// What was done, or is left.
    pub told: String,
    /// Nothing is left to be done.
    pub is_done: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.device)?;
        if let Some(attachment) = &self.attachment {
            write!(
                f,
                " of container {} as {}",
                attachment.container_id, attachment.ifname
            )?;
        }
        write!(f, ": {}", self.told)
    }
}

/// Heals every record whose owner is dead; living owners are left alone. With `dry_run` nothing is changed, and lines
/// tell the steps. `env` has `CNI_PATH` for IPAM plugins whose own one is not recorded.
pub fn recover(site: &Site, node: &mut dyn Node, env: &Env, dry_run: bool) -> Result<Vec<Line>> {
    let _scope = crash::scope(Verb::Recover);
    let call = call(site, env);
    let mut context = Context::new(site, node, &call, &Network::unnamed())?;
    let mut lines = Vec::new();
    for attachment in context.attachments()? {
        lines.extend(context.recover_attachment(&attachment, dry_run));
    }
    lines.extend(context.recover_files(dry_run)?);
    Ok(lines)
}

/// The DEL of nobody: records bring their own container and configuration.
pub(super) fn call(site: &Site, env: &Env) -> Invocation {
    let path = match env.get("CNI_PATH") {
        Some(path) => std::env::split_paths(path).collect(),
        None => site.programs.clone(),
    };
    Invocation {
        command: Command::Del,
        container_id: String::new(),
        netns: String::new(),
        ifname: String::new(),
        args_text: String::new(),
        path,
        name: String::new(),
        version: Version::CURRENT,
        config: Object::new(),
        stdin: b"{}".to_vec(),
        env: env.clone(),
    }
}

impl Context<'_> {
    /// Everyone of whom either program has a file.
    pub(super) fn attachments(&self) -> Result<BTreeSet<Attachment>> {
        let mut known: BTreeSet<_> = self
            .ledger
            .attachments()
            .map_err(Error::State)?
            .into_iter()
            .collect();
        // A Go file's name does not tell where the container's id ends.
        let named: BTreeSet<_> = known.iter().map(cache_name).collect();
        let of_go = self.files.attachments().map_err(Error::State)?;
        known.extend(
            of_go
                .into_iter()
                .filter(|of_go| !named.contains(&cache_name(of_go))),
        );
        Ok(known)
    }

    fn recover_attachment(&mut self, attachment: &Attachment, dry_run: bool) -> Option<Line> {
        let known = match self.known(attachment) {
            Ok(Some(known)) => known,
            Ok(None) => return self.recover_torn(attachment, dry_run),
            Err(error) => return Some(line("state", Some(attachment), Err(&error))),
        };
        let told = match &known {
            Known::Vf(record) => self.recover_record(record, dry_run),
            Known::Slot(record) => self.recover_slot(record, dry_run),
        };
        let told = told.as_ref().map(Clone::clone);
        Some(line(known.device(), Some(attachment), told))
    }

    fn recover_slot(&mut self, record: &SlotRecord, dry_run: bool) -> Result<(String, bool)> {
        if self.is_slot_alive(record)? {
            return Ok(("in use".to_owned(), true));
        }
        if dry_run {
            let told = format!("would call DEL of {}, remove the record", record.plugin);
            return Ok((told, false));
        }
        let _lock = self.lock(record.slot, self.site.del_lock)?;
        // What was read without the lock may be gone or renewed.
        match self.known(&record.attachment)? {
            Some(Known::Slot(mut now)) if now.slot == record.slot => {
                if self.is_slot_alive(&now)? {
                    return Ok(("in use".to_owned(), true));
                }
                self.release_slot(&mut now)?;
                Ok(("taken back".to_owned(), true))
            }
            _ => Ok(("given back by another process".to_owned(), true)),
        }
    }

    fn recover_record(&mut self, record: &Record, dry_run: bool) -> Result<(String, bool)> {
        if self.is_alive(record)? {
            return Ok(("in use".to_owned(), true));
        }
        if let Some(path) = self.other_name(record)? {
            return Ok((format!("in use, by namespace {}", path.display()), true));
        }
        if dry_run {
            let steps = self.steps(record)?;
            return Ok((format!("would {}", steps.join(", ")), false));
        }
        let _lock = self.lock(record.vf, self.site.del_lock)?;
        // What was read without the lock may be gone or renewed.
        let Some(mut record) = self
            .record(&record.attachment)?
            .filter(|now| now.vf == record.vf)
        else {
            return Ok(("given back by another process".to_owned(), true));
        };
        if self.is_alive(&record)? {
            return Ok(("in use".to_owned(), true));
        }
        let restored = self.release(&mut record, self.site.comes_back);
        Ok(told(restored))
    }

    /// Another path to the owner's namespace: it lives, though the runtime has taken its own path away. A DEL would take
    /// the VF from it; nobody has asked for one.
    fn other_name(&mut self, record: &Record) -> Result<Option<PathBuf>> {
        let owner = record
            .owner
            .as_ref()
            .filter(|owner| owner.boot.as_ref() == Some(&self.boot));
        // Device and inode are reused, and mean something together with the path only.
        let told = owner.and_then(|owner| owner.identity);
        let Some(identity) = told.filter(|identity| identity.cookie.is_some()) else {
            return Ok(None);
        };
        if record.phase >= Phase::Releasing {
            return Ok(None);
        }
        for path in self.node.namespaces()? {
            // Any of them may go at any time.
            if let Ok(Some(there)) = self.node.namespace(&path)
                && identity.is_same(&there)
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// What [`Context::release`] would do.
    fn steps(&mut self, record: &Record) -> Result<Vec<String>> {
        let mut steps = Vec::new();
        if self.holds(record)? {
            let pod = self.whereabouts(record)?;
            let observed = observe::before_undo(self.node, record, pod.as_deref())?;
            if undo::is_away(record, &observed) {
                steps.push("wait for the interface to come back to the host".to_owned());
            }
            let plan = undo::plan(record, &observed, undo::Progress::default());
            steps.extend(plan.iter().map(crate::step::Step::alone));
        }
        if let Some(ipam) = &record.ipam {
            steps.push(format!("release addresses with {}", ipam.r#type));
        }
        steps.push("remove the record".to_owned());
        Ok(steps)
    }

    /// A file of the ledger that nobody can read and for which the Go format has none: what it was is lost, and the
    /// addresses are released by the runtime's DEL.
    fn recover_torn(&mut self, attachment: &Attachment, dry_run: bool) -> Option<Line> {
        if !self.ledger.has(attachment).unwrap_or(true) {
            return None;
        }
        let what = "remove a record that cannot be read";
        if dry_run {
            return Some(line(
                "ledger",
                Some(attachment),
                Ok((format!("would {what}"), false)),
            ));
        }
        let forgotten = self.ledger.forget(attachment).map_err(Error::State);
        Some(match forgotten {
            Ok(()) => line(
                "ledger",
                Some(attachment),
                Ok(("a record that cannot be read is removed".to_owned(), true)),
            ),
            Err(error) => line("ledger", Some(attachment), Err(&error)),
        })
    }

    /// Files that name an attachment of which there is nothing else: an ADD or a DEL died between two files.
    fn recover_files(&mut self, dry_run: bool) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for vf in self.ledger.vfs().map_err(Error::State)? {
            if self.is_left_in_ledger(vf)? {
                lines.push(self.recover_file(vf, dry_run));
            }
        }
        for slot in self.ledger.slots().map_err(Error::State)? {
            if self.is_slot_left(slot)? {
                lines.push(self.recover_slot_file(slot, dry_run));
            }
        }
        for vf in self.files.vfs().map_err(Error::State)? {
            if self.is_left_by_go(vf)? {
                lines.push(self.recover_file(vf, dry_run));
            }
        }
        Ok(lines)
    }

    fn recover_file(&mut self, vf: PciAddress, dry_run: bool) -> Line {
        if dry_run {
            return line(
                vf,
                None,
                Ok(("would remove a file without record".to_owned(), false)),
            );
        }
        match self.remove_left_file(vf) {
            Ok(()) => line(
                vf,
                None,
                Ok(("a file without record is removed".to_owned(), true)),
            ),
            Err(error) => line(vf, None, Err(&error)),
        }
    }

    fn recover_slot_file(&mut self, slot: Slot, dry_run: bool) -> Line {
        if dry_run {
            return line(
                slot,
                None,
                Ok(("would remove a file without record".to_owned(), false)),
            );
        }
        let removed = self.remove_left_slot(slot);
        let told = removed
            .as_ref()
            .map(|()| ("a file without record is removed".to_owned(), true));
        line(slot, None, told)
    }

    fn remove_left_slot(&mut self, slot: Slot) -> Result<()> {
        let _lock = self.lock(slot, self.site.del_lock)?;
        if self.is_slot_left(slot)? {
            let holder = self.ledger.holder(slot).map_err(Error::State)?;
            let holder = holder.unwrap_or_else(|| self.attachment());
            self.ledger.leave(slot, &holder).map_err(Error::State)?;
        }
        Ok(())
    }

    fn is_slot_left(&self, slot: Slot) -> Result<bool> {
        let entry = self.ledger.of_slot(slot).map_err(Error::State)?;
        Ok(!matches!(entry, Entry::Slot(_)))
    }

    fn remove_left_file(&mut self, vf: PciAddress) -> Result<()> {
        let _lock = self.lock(vf, self.site.del_lock)?;
        if self.is_left_in_ledger(vf)? {
            let holder = self.ledger.holder(vf).map_err(Error::State)?;
            let holder = holder.unwrap_or_else(|| self.attachment());
            self.ledger.leave(vf, &holder).map_err(Error::State)?;
        }
        if self.is_left_by_go(vf)? {
            self.files.remove_owner(vf).map_err(Error::State)?;
        }
        Ok(())
    }

    fn is_left_in_ledger(&self, vf: PciAddress) -> Result<bool> {
        if let Entry::Record(_) = self.ledger.of_vf(vf).map_err(Error::State)? {
            return Ok(false);
        }
        let holder = self.ledger.holder(vf).map_err(Error::State)?;
        let record = holder.map_or(Ok(None), |holder| self.record(&holder))?;
        Ok(record.is_none_or(|record| record.vf != vf))
    }

    fn is_left_by_go(&mut self, vf: PciAddress) -> Result<bool> {
        let is_dead = match self.files.owner(vf).map_err(Error::State)? {
            Some(netns) => self.node.namespace(&netns)?.is_none(),
            None => self.files.is_torn(vf).map_err(Error::State)?,
        };
        Ok(is_dead
            && self.is_left_in_ledger(vf)?
            && self.files.records_of(vf).map_err(Error::State)?.is_empty())
    }
}

fn told(restored: Restored) -> (String, bool) {
    let errors = restored.errors.iter().map(|error| cni::error::chain(error));
    let left: Vec<_> = errors.chain(restored.pending).collect();
    if left.is_empty() {
        return ("taken back".to_owned(), true);
    }
    (format!("left: {}", left.join("; ")), false)
}

fn line(
    device: impl fmt::Display,
    attachment: Option<&Attachment>,
    outcome: std::result::Result<(String, bool), &Error>,
) -> Line {
    let (told, is_done) = outcome.unwrap_or_else(|error| (cni::error::chain(error), false));
    Line {
        device: device.to_string(),
        attachment: attachment.cloned(),
        told,
        is_done,
    }
}
