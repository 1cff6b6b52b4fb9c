//! The files of the Go plugin, read and written under its lock, so that pods survive an upgrade and a downgrade
//! (spec/sriov-cni.md §2.1).
//!
//! `<container>-<interface>` is its cache of an attachment, `pci/<address>` names the namespace that has a VF, and
//! `pci/vf_lock/<address>.lock` is the VF's lock.

mod cache;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni::plugin::Attachment;
use cni::raw::Object;
use host::error::Result;
use host::file::{self, Durability};
use host::lock::Lock;
use host::pci::PciAddress;

use crate::crash::{self, Point};
use crate::record::{Owner, Record};

pub use cache::Facts;

/// Name of the Go plugin's cache of an attachment.
pub fn cache_name(attachment: &Attachment) -> String {
    format!("{}-{}", attachment.container_id, attachment.ifname)
}

/// The Go plugin's files in the state directory.
#[derive(Debug, Clone)]
pub struct GoFiles {
    state: PathBuf,
}

impl GoFiles {
    /// Files in the plugin's state directory.
    pub fn new(state: &Path) -> Self {
        Self {
            state: state.to_path_buf(),
        }
    }

    /// The lock of a VF or slot, which ADD and DEL of both programs hold. The file stays. Delegates inherit it: one that
    /// outlives a killed ADD may still take an address, which DEL must then wait for.
    pub fn lock(&self, device: impl Display, within: Duration) -> Result<Lock> {
        let path = self
            .state
            .join("pci/vf_lock")
            .join(format!("{device}.lock"));
        Lock::exclusive(&path, within)?.inherited()
    }

    /// Path of the namespace that a VF was given to.
    pub fn owner(&self, vf: PciAddress) -> Result<Option<PathBuf>> {
        let text = file::read_text(&self.pci(vf))?;
        Ok(text.filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    /// The VF's file names nobody: a power cut may leave it empty.
    pub fn is_torn(&self, vf: PciAddress) -> Result<bool> {
        Ok(file::read_text(&self.pci(vf))?.is_some_and(|text| text.is_empty()))
    }

    /// Enters a committed attachment.
    pub fn enter(&self, record: &Record, config: &Object, facts: &Facts) -> Result<()> {
        let cache = cache::write(record, config, facts);
        let path = self.cache(&record.attachment);
        crash::around(Point::GoCache, || {
            file::write(&path, cache.as_bytes(), file::PRIVATE, Durability::Process)
        })?;
        let Some(owner) = &record.owner else {
            return Ok(());
        };
        let netns = owner.netns.as_os_str().as_encoded_bytes();
        let path = self.pci(record.vf);
        crash::around(Point::GoOwner, || {
            file::with_dir(&self.state.join("pci"), || {
                file::write(&path, netns, file::PRIVATE, Durability::Process)
            })
        })
    }

    /// What the Go plugin noted of an attachment, as a record; `None` if there is nothing that can be used.
    pub fn record(&self, attachment: &Attachment) -> Result<Option<Record>> {
        let Some(bytes) = file::read(&self.cache(attachment))? else {
            return Ok(None);
        };
        let Some(mut record) = cache::read(&bytes, attachment) else {
            return Ok(None);
        };
        record.owner = self.owner(record.vf)?.map(|netns| Owner {
            netns,
            identity: None,
            boot: None,
        });
        Ok(Some(record))
    }

    /// Every attachment that has a cache.
    pub fn attachments(&self) -> Result<Vec<Attachment>> {
        let mut attachments = Vec::new();
        for name in file::list(&self.state)? {
            // Neither part of the name excludes the hyphen; interface names rarely have one.
            let Some((container_id, ifname)) = name.rsplit_once('-') else {
                continue;
            };
            let attachment = Attachment {
                container_id: container_id.to_owned(),
                ifname: ifname.to_owned(),
            };
            if self.record(&attachment)?.is_some() {
                attachments.push(attachment);
            }
        }
        Ok(attachments)
    }

    /// Attachments that the Go plugin noted for a VF.
    pub fn records_of(&self, vf: PciAddress) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for attachment in self.attachments()? {
            records.extend(self.record(&attachment)?.filter(|record| record.vf == vf));
        }
        Ok(records)
    }

    /// Every VF that has a file.
    pub fn vfs(&self) -> Result<Vec<PciAddress>> {
        let names = file::list(&self.state.join("pci"))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Removes an attachment's cache, and the VF's file if it names the same namespace or one that nobody else has.
    pub fn remove(&self, record: &Record) -> Result<()> {
        self.remove_cache(&record.attachment)?;
        let owner = self.owner(record.vf)?;
        if owner.is_some() && owner.as_ref() == record.owner.as_ref().map(|owner| &owner.netns) {
            self.remove_owner(record.vf)?;
        }
        Ok(())
    }

    /// Removes an attachment's cache.
    pub fn remove_cache(&self, attachment: &Attachment) -> Result<()> {
        let path = self.cache(attachment);
        crash::around(Point::RemoveGoCache, || file::remove(&path)).map(drop)
    }

    /// Removes the VF's file.
    pub fn remove_owner(&self, vf: PciAddress) -> Result<()> {
        crash::around(Point::RemoveGoOwner, || file::remove(&self.pci(vf))).map(drop)
    }

    fn cache(&self, attachment: &Attachment) -> PathBuf {
        self.state.join(cache_name(attachment))
    }

    fn pci(&self, vf: PciAddress) -> PathBuf {
        self.state.join("pci").join(vf.to_string())
    }
}
