//! What must outlive this process: which devices pods were given, and which functions those were.
//!
//! One small file in the directory of DeviceInfo files, the only directory of the node that every
//! manifest gives this program to write, the peer's too. It is on tmpfs, as VFs do not outlive a boot
//! either; a file of another boot counts as absent, because identities of functions begin anew then.

use std::path::{Path, PathBuf};

use host::{
    boot,
    error::Error,
    file::{self, Durability},
};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{failure, inventory::Record};

/// Name of the file; it cannot be that of a DeviceInfo file.
const NAME: &str = ".sriovdp-held.json";

/// The file.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    boot: String,
    /// What it holds; `None` before it was written or read.
    written: Option<Vec<Record>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    boot: String,
    held: Vec<Record>,
}

impl Memory {
    /// The file in `directory`. `proc` is where procfs is mounted.
    pub fn new(directory: &Path, proc: &Path) -> Self {
        let boot = boot::boot_id(proc).unwrap_or_else(|error| {
            warn!(error = %failure::chain(&error), "devices that vanish under pods are remembered without the boot");
            String::new()
        });
        Self {
            path: directory.join(NAME),
            boot,
            written: None,
        }
    }

    /// What the process before this one knew; nothing if that was in another boot. A file that cannot be
    /// read is told and counts as absent.
    pub fn read(&mut self) -> Vec<Record> {
        let content: Option<Content> = file::read_record(&self.path).unwrap_or_else(|error| {
            warn!(error = %failure::chain(&error), "what pods hold is learnt from the kubelet alone");
            None
        });
        let held = content
            .filter(|content| content.boot == self.boot)
            .map(|content| content.held);
        self.written.clone_from(&held);
        held.unwrap_or_default()
    }

    /// Replaces the file, if anything differs. Survives this process, not a power cut.
    pub fn write(&mut self, held: Vec<Record>) -> Result<(), Error> {
        if self.written.as_ref() == Some(&held) || (self.written.is_none() && held.is_empty()) {
            return Ok(());
        }
        let content = Content {
            boot: self.boot.clone(),
            held,
        };
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        // CNI plugins of other users read DeviceInfo files beside this one.
        if !directory.exists() {
            file::create_dir(directory, 0o755)?;
        }
        file::write_record(&self.path, &content, Durability::Process)?;
        self.written = Some(content.held);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Unwell;

    fn record() -> Record {
        serde_json::from_value(serde_json::json!({
            "resource": "x.org/net", "device": "0000:18:02.1", "selectors": 7, "confirmed": true,
            "identity": {"incarnation": 4711, "driver": "iavf"},
            "unwell": {"reason": "driver-changed", "was": "iavf", "now": "vfio-pci"},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read_by_the_next_process_of_this_boot() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("dp");
        let mut memory = Memory::new(&directory, Path::new("/proc"));
        assert!(memory.read().is_empty());
        memory.write(vec![record()]).unwrap();
        let read = Memory::new(&directory, Path::new("/proc")).read();
        assert_eq!(read, [record()]);
        let reason = read[0].unwell.as_ref().map(Unwell::word);
        assert_eq!(reason, Some("driver-changed"));
    }

    #[test]
    fn a_file_of_another_boot_or_a_torn_one_counts_as_absent() {
        let root = tempfile::tempdir().unwrap();
        let mut memory = Memory::new(root.path(), Path::new("/proc"));
        memory.boot = "another".to_owned();
        memory.write(vec![record()]).unwrap();
        assert!(
            Memory::new(root.path(), Path::new("/proc"))
                .read()
                .is_empty()
        );
        file::write(
            &root.path().join(NAME),
            b"{\"boo",
            0o600,
            Durability::Process,
        )
        .unwrap();
        assert!(
            Memory::new(root.path(), Path::new("/proc"))
                .read()
                .is_empty()
        );
    }

    #[test]
    fn nothing_is_written_while_nothing_changes() {
        let root = tempfile::tempdir().unwrap();
        let mut memory = Memory::new(root.path(), Path::new("/proc"));
        memory.write(Vec::new()).unwrap();
        assert!(!root.path().join(NAME).exists());
        memory.write(vec![record()]).unwrap();
        file::remove(&root.path().join(NAME)).unwrap();
        memory.write(vec![record()]).unwrap();
        assert!(!root.path().join(NAME).exists());
        memory.write(Vec::new()).unwrap();
        assert!(root.path().join(NAME).exists());
    }
}
