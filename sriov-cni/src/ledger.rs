//! The ledger: one file per attachment, and one per VF that names the attachment it was given to.
//!
//! `ledger/<container>@<interface>` holds the record, `ledger/pci/<address>` its name. The VF's file is written first
//! and removed last, so a record is always found by its VF; a name without a record means nothing. Neither is synced:
//! a power cut erases the state of the VFs too (design §3). All access is under the VF's lock.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni::plugin::Attachment;
use host::error::{Error, Result};
use host::file::{self, Durability};
use host::pci::PciAddress;
use serde::Deserialize;

use crate::crash::{self, Point};
use crate::record::{FORMAT, Record, SlotRecord};
use crate::slot::Slot;

/// Records of this node.
#[derive(Debug, Clone)]
pub struct Ledger {
    records: PathBuf,
    vfs: PathBuf,
}

/// What is there under a key.
#[derive(Debug)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A file that cannot be read as a record; counts as absent, but is told about.
    Torn(Error),
    /// A record of a VF.
    Record(Box<Record>),
    /// A record of a software slot.
    Slot(Box<SlotRecord>),
}

impl Ledger {
    /// The ledger in the plugin's state directory.
    pub fn new(state: &Path) -> Self {
        let records = state.join("ledger");
        Self {
            vfs: records.join("pci"),
            records,
        }
    }

    /// Makes the directories.
    pub fn create(&self) -> Result<()> {
        file::create_dir(&self.vfs, file::PRIVATE_DIR)
    }

    /// Fails if nothing can be written.
    pub fn probe(&self) -> Result<()> {
        self.create()?;
        let path = self.records.join("probe");
        file::write(&path, b"", file::PRIVATE, Durability::Process)?;
        file::remove(&path).map(drop)
    }

    /// Removes temporary files that killed processes left more than `age` ago, the Go formats' included.
    pub fn sweep(&self, age: Duration) -> Result<()> {
        let state = self.records.parent();
        let directories = [Some(&*self.records), Some(&*self.vfs), state];
        for directory in directories.into_iter().flatten() {
            file::remove_temporary(directory, age)?;
        }
        if let Some(state) = state {
            file::remove_temporary(&state.join("pci"), age)?;
        }
        Ok(())
    }

    /// The record of an attachment.
    pub fn get(&self, attachment: &Attachment) -> Result<Entry> {
        self.read(&key(attachment))
    }

    /// The attachment that a VF or slot was given to last; `None` if no record can be meant.
    pub fn holder(&self, device: impl Display) -> Result<Option<Attachment>> {
        let text = file::read_text(&self.vfs.join(device.to_string()))?;
        Ok(text.as_deref().and_then(parse_key))
    }

    /// The VF that was given to an attachment last, found without its record.
    pub fn vf_of(&self, attachment: &Attachment) -> Result<Option<PciAddress>> {
        for vf in self.vfs()? {
            if self.holder(vf)?.as_ref() == Some(attachment) {
                return Ok(Some(vf));
            }
        }
        Ok(None)
    }

    /// The record that holds a VF.
    pub fn of_vf(&self, vf: PciAddress) -> Result<Entry> {
        match self.holder(vf)? {
            None => Ok(Entry::Absent),
            Some(holder) => match self.get(&holder)? {
                // The attachment has got another VF since.
                Entry::Record(record) if record.vf != vf => Ok(Entry::Absent),
                Entry::Slot(_) => Ok(Entry::Absent),
                entry => Ok(entry),
            },
        }
    }

    /// The record that holds a slot.
    pub fn of_slot(&self, slot: Slot) -> Result<Entry> {
        match self.holder(slot)? {
            None => Ok(Entry::Absent),
            Some(holder) => match self.get(&holder)? {
                Entry::Slot(record) if record.slot != slot => Ok(Entry::Absent),
                Entry::Record(_) => Ok(Entry::Absent),
                entry => Ok(entry),
            },
        }
    }

    /// Every record of a VF, ordered by container and interface. Torn files are left out.
    pub fn all(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for name in file::list(&self.records)? {
            if parse_key(&name).is_some()
                && let Entry::Record(record) = self.read(&name)?
            {
                records.push(*record);
            }
        }
        Ok(records)
    }

    /// Every attachment that has a file, readable or not.
    pub fn attachments(&self) -> Result<Vec<Attachment>> {
        let names = file::list(&self.records)?;
        Ok(names.iter().filter_map(|name| parse_key(name)).collect())
    }

    /// Every VF that has a file, whatever is in it.
    pub fn vfs(&self) -> Result<Vec<PciAddress>> {
        let names = file::list(&self.vfs)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Every slot that has a file, whatever is in it.
    pub fn slots(&self) -> Result<Vec<Slot>> {
        let names = file::list(&self.vfs)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The attachment has a file, readable or not.
    pub fn has(&self, attachment: &Attachment) -> Result<bool> {
        Ok(!matches!(self.get(attachment)?, Entry::Absent))
    }

    /// Enters a new record and makes it the VF's.
    pub fn enter(&self, record: &Record) -> Result<()> {
        self.give(record.vf, &record.attachment)?;
        self.update(record)
    }

    /// Enters the record of a slot and makes it the slot's.
    pub fn enter_slot(&self, record: &SlotRecord) -> Result<()> {
        self.give(record.slot, &record.attachment)?;
        self.update_slot(record)
    }

    fn give(&self, device: impl Display, attachment: &Attachment) -> Result<()> {
        let (path, key) = (self.vfs.join(device.to_string()), key(attachment));
        crash::around(Point::VfFile, || {
            file::with_dir(&self.vfs, || {
                file::write(&path, key.as_bytes(), file::PRIVATE, Durability::Process)
            })
        })
    }

    /// Replaces the record of a slot's attachment.
    pub fn update_slot(&self, record: &SlotRecord) -> Result<()> {
        let path = self.records.join(key(&record.attachment));
        crash::around(record.phase, || {
            file::write_record(&path, record, Durability::Process)
        })
    }

    /// Replaces the record of an attachment.
    pub fn update(&self, record: &Record) -> Result<()> {
        let path = self.records.join(key(&record.attachment));
        crash::around(record.phase, || {
            file::write_record(&path, record, Durability::Process)
        })
    }

    /// Removes the attachment's file, and the VF's if it names this attachment.
    pub fn remove(&self, attachment: &Attachment, device: impl Display) -> Result<()> {
        self.forget(attachment)?;
        self.leave(device, attachment)
    }

    /// Removes the VF's file if it names this attachment; the attachment's file stays.
    pub fn leave(&self, device: impl Display, attachment: &Attachment) -> Result<()> {
        let device = device.to_string();
        if self.is_left_by(&device, attachment)? {
            crash::around(Point::RemoveVfFile, || file::remove(&self.vfs.join(device)))?;
        }
        Ok(())
    }

    /// The device's file names this attachment, or nobody: a power cut may leave it empty.
    pub fn is_left_by(&self, device: impl Display, attachment: &Attachment) -> Result<bool> {
        let text = file::read_text(&self.vfs.join(device.to_string()))?;
        Ok(text.is_some_and(|text| parse_key(&text).is_none_or(|holder| holder == *attachment)))
    }

    /// Removes the attachment's file, torn or not.
    pub fn forget(&self, attachment: &Attachment) -> Result<()> {
        let path = self.records.join(key(attachment));
        crash::around(Point::RemoveRecord, || file::remove(&path)).map(drop)
    }

    fn read(&self, key: &str) -> Result<Entry> {
        /// What tells the kinds and versions of records apart.
        #[derive(Deserialize)]
        struct Kind {
            format: u32,
            slot: Option<Slot>,
        }
        let path = self.records.join(key);
        let Some(bytes) = file::read(&path)? else {
            return Ok(Entry::Absent);
        };
        let parsed = serde_json::from_slice(&bytes).and_then(|kind: Kind| match kind {
            Kind { format, .. } if format != FORMAT => Ok(Entry::Torn(Error::Value {
                path: path.clone(),
                value: format!("format {format}"),
                expected: "a record of format 1",
            })),
            Kind { slot: Some(_), .. } => Ok(Entry::Slot(serde_json::from_slice(&bytes)?)),
            Kind { slot: None, .. } => Ok(Entry::Record(serde_json::from_slice(&bytes)?)),
        });
        Ok(parsed.unwrap_or_else(|source| Entry::Torn(Error::Record { path, source })))
    }
}

/// A container id has no `@` (spec/sriov-cni.md §6.3), an interface name may.
fn key(attachment: &Attachment) -> String {
    format!("{}@{}", attachment.container_id, attachment.ifname)
}

fn parse_key(key: &str) -> Option<Attachment> {
    let (container_id, ifname) = key.trim_end().split_once('@')?;
    Some(Attachment {
        container_id: container_id.to_owned(),
        ifname: ifname.to_owned(),
    })
}

#[cfg(test)]
mod tests;
