//! The records of sandboxes with secondary networks or an overridden default network, under `cniDir`.
//!
//! | path | what |
//! |---|---|
//! | `journal/<container id>` | sandboxes that are up, or whose DEL still has tries left |
//! | `kept/<container id>` | attachments of deleted sandboxes that could not be deleted yet |
//! | `damaged/<container id>` | records that could not be read, for `multus repair` |
//! | `lock/` | one lock per sandbox at work, and the one that keeps GC apart from ADD and DEL |
//! | `results/` | libcni's result cache |
//! | `<container id>` | what Go multus left ([`go`]) |
//!
//! A record is written before the first delegate runs and removed after the last one is gone; nothing
//! is needed in between, so nothing is written in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Kind;
use host::file::{self, Durability, PRIVATE, PRIVATE_DIR};
use host::lock::{Lock, Orphan};

pub mod go;
pub mod record;

pub use record::{Entry, LastFailure, Record};

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] host::error::Error),
    /// A record exists and cannot be used.
    #[error("record {} is damaged", path.display())]
    Damaged {
        /// The record's file.
        path: PathBuf,
        /// What is wrong with it.
        source: record::Damage,
    },
    /// A record cannot be written as JSON.
    #[error("write the record of sandbox {container_id}")]
    Write {
        /// CNI_CONTAINERID.
        container_id: String,
        /// The serialiser's words.
        source: serde_json::Error,
    },
}

impl JournalError {
    /// Another process held a lock for longer than was waited.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Self::File(error) if error.kind() == Kind::Deadline)
    }
}

/// Which folder a record is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// `journal/`.
    Live,
    /// `kept/`.
    Kept,
    /// `damaged/`.
    Damaged,
}

impl Shelf {
    const fn folder(self) -> &'static str {
        match self {
            Self::Live => "journal",
            Self::Kept => "kept",
            Self::Damaged => "damaged",
        }
    }
}

/// The state folder, `cniDir`.
#[derive(Debug, Clone)]
pub struct Journal {
    root: PathBuf,
}

impl Journal {
    /// Nothing is made before the first write.
    pub fn new(cni_dir: &Path) -> Self {
        Self {
            root: cni_dir.to_owned(),
        }
    }

    /// The folder given to [`Journal::new`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The record of a sandbox; `None` if there is none.
    pub fn read(&self, on: Shelf, container_id: &str) -> Result<Option<Record>, JournalError> {
        let path = self.path(on, container_id);
        let Some(bytes) = file::read(&path)? else {
            return Ok(None);
        };
        Record::parse(&bytes)
            .map(Some)
            .map_err(|source| JournalError::Damaged { path, source })
    }

    /// Whether a live record of this sandbox exists, readable or not.
    pub fn has_record(&self, container_id: &str) -> bool {
        self.path(Shelf::Live, container_id).exists()
    }

    /// Writes a record. `durability`: a power cut must not lose the first version; later ones only
    /// shrink it.
    pub fn write(
        &self,
        on: Shelf,
        record: &Record,
        durability: Durability,
    ) -> Result<(), JournalError> {
        let path = self.path(on, &record.container_id);
        let bytes = record.to_bytes().map_err(|source| JournalError::Write {
            container_id: record.container_id.clone(),
            source,
        })?;
        file::create_dir(&self.root.join(on.folder()), PRIVATE_DIR)?;
        Ok(file::write(&path, &bytes, PRIVATE, durability)?)
    }

    /// Removes a record. False if there was none.
    pub fn remove(&self, on: Shelf, container_id: &str) -> Result<bool, JournalError> {
        Ok(file::remove(&self.path(on, container_id))?)
    }

    /// Copies an unreadable record to where `multus repair` finds it. The record itself stays until another takes its
    /// place: in between, a sandbox without one would be taken for a plain one.
    pub fn set_aside(&self, container_id: &str) -> Result<(), JournalError> {
        let bytes = file::read(&self.path(Shelf::Live, container_id))?.unwrap_or_default();
        file::create_dir(&self.root.join(Shelf::Damaged.folder()), PRIVATE_DIR)?;
        let copy = self.path(Shelf::Damaged, container_id);
        Ok(file::write(&copy, &bytes, PRIVATE, Durability::Process)?)
    }

    /// Puts an unreadable record of what is kept to the others that are damaged.
    pub fn set_kept_aside(&self, container_id: &str) -> Result<(), JournalError> {
        file::create_dir(&self.root.join(Shelf::Damaged.folder()), PRIVATE_DIR)?;
        Ok(file::rename(
            &self.path(Shelf::Kept, container_id),
            &self.path(Shelf::Damaged, container_id),
        )?)
    }

    /// Container ids on a shelf, sorted.
    pub fn list(&self, on: Shelf) -> Result<Vec<String>, JournalError> {
        Ok(file::list(&self.root.join(on.folder()))?)
    }

    /// Keeps other commands for the same sandbox away, waiting at most `within`. Delegates inherit the lock: what a killed
    /// ADD started is waited for before DEL undoes it.
    pub fn lock_sandbox(&self, container_id: &str, within: Duration) -> Result<Lock, JournalError> {
        let path = self.root.join("lock").join(container_id);
        Ok(Lock::exclusive(&path, within)?.inherited()?)
    }

    /// As [`Journal::lock_sandbox`], for DEL: what a killed command has left running, and would hold the lock for ever, loses
    /// it when it has run for `patience`. Those programs are returned.
    pub fn lock_sandbox_despite_orphans(
        &self,
        container_id: &str,
        within: Duration,
        patience: Duration,
        proc: &Path,
    ) -> Result<(Lock, Vec<Orphan>), JournalError> {
        let path = self.root.join("lock").join(container_id);
        let (lock, orphans) = Lock::exclusive_despite_orphans(&path, within, patience, proc)?;
        Ok((lock.inherited()?, orphans))
    }

    /// Whether any sandbox was ever locked here. If not, nobody can be at work on one.
    pub fn has_locks(&self) -> bool {
        self.root.join("lock").is_dir()
    }

    /// Keeps GC away.
    pub fn lock_out_gc(&self, within: Duration) -> Result<Lock, JournalError> {
        Ok(Lock::shared(&self.gc_lock(), within)?)
    }

    /// As [`Journal::lock_out_gc`], but without making a file: where there is none, GC never ran.
    pub fn lock_out_gc_if_it_ever_ran(
        &self,
        within: Duration,
    ) -> Result<Option<Lock>, JournalError> {
        if self.gc_lock().exists() {
            self.lock_out_gc(within).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Keeps every ADD and DEL away, for GC.
    pub fn lock_for_gc(&self, within: Duration) -> Result<Lock, JournalError> {
        Ok(Lock::exclusive(&self.gc_lock(), within)?)
    }

    /// Container ids cannot begin with a dot, so the name is nobody's.
    fn gc_lock(&self) -> PathBuf {
        self.root.join("lock").join(".gc")
    }

    fn path(&self, on: Shelf, container_id: &str) -> PathBuf {
        self.root.join(on.folder()).join(container_id)
    }
}

#[cfg(test)]
mod tests {
    use super::record::tests::record;
    use super::*;

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(&dir.path().join("multus"));
        (dir, journal)
    }

    #[test]
    fn a_record_is_written_read_listed_and_removed() {
        let (_dir, journal) = journal();
        assert!(journal.read(Shelf::Live, "c1").unwrap().is_none());
        assert!(journal.list(Shelf::Live).unwrap().is_empty());
        journal
            .write(Shelf::Live, &record("c1"), Durability::PowerCut)
            .unwrap();
        assert_eq!(journal.list(Shelf::Live).unwrap(), ["c1"]);
        let read = journal.read(Shelf::Live, "c1").unwrap().unwrap();
        assert_eq!(read.attachments.len(), 2);
        assert!(journal.remove(Shelf::Live, "c1").unwrap());
        assert!(!journal.remove(Shelf::Live, "c1").unwrap());
    }

    #[test]
    fn a_damaged_record_is_an_error_that_names_the_file_and_can_be_set_aside() {
        let (_dir, journal) = journal();
        journal
            .write(Shelf::Live, &record("c1"), Durability::Process)
            .unwrap();
        let path = journal.path(Shelf::Live, "c1");
        file::write(&path, b"{}", PRIVATE, Durability::Process).unwrap();
        let error = journal.read(Shelf::Live, "c1").unwrap_err();
        assert!(error.to_string().contains("journal/c1"), "{error}");
        journal.set_aside("c1").unwrap();
        assert_eq!(journal.list(Shelf::Damaged).unwrap(), ["c1"]);
        assert!(journal.has_record("c1"));
    }

    #[test]
    fn gc_and_the_other_commands_exclude_each_other_and_sandboxes_do_not() {
        let (_dir, journal) = journal();
        let now = Duration::ZERO;
        assert!(journal.lock_out_gc_if_it_ever_ran(now).unwrap().is_none());
        let add = journal.lock_out_gc(now).unwrap();
        let del = journal.lock_out_gc_if_it_ever_ran(now).unwrap();
        assert!(del.is_some());
        assert!(journal.lock_for_gc(now).is_err());
        let one = journal.lock_sandbox("c1", now).unwrap();
        assert!(journal.lock_sandbox("c1", now).is_err());
        assert!(journal.lock_sandbox("c2", now).is_ok());
        drop((add, del, one));
        let gc = journal.lock_for_gc(now).unwrap();
        assert!(journal.lock_out_gc(now).is_err());
        drop(gc);
    }
}
