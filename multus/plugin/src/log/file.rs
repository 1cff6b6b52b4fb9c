//! The log file: below an allowed folder, put aside when it is large.
//!
//! The process lives for a moment, so there is nothing that could rotate later: whoever opens a file that is full puts it
//! aside and removes what is old or too much.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use host::lock::Lock;
use host::log_file::{self, Refused};

use super::rotation::{self, Limits};

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile(File);

impl LogFile {
    /// Opens the file, after putting a full one aside.
    pub(super) fn open(
        path: &Path,
        directories: &[PathBuf],
        limits: &Limits,
        now: SystemTime,
    ) -> Result<Self, Refused> {
        let path = log_file::resolve(path, directories)?;
        let mut opened = log_file::append(&path)?;
        let full = opened
            .metadata()
            .is_ok_and(|meta| meta.len() >= limits.bytes());
        if full && put_aside(&path, limits, now) {
            opened = log_file::append(&path)?;
        }
        Ok(Self(opened))
    }

    /// One write for a line, so that lines of two processes do not mix.
    pub(super) fn append(&self, line: &str) {
        // Nothing can be done about a log that cannot be written.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}

/// False if it stays where it is: another process is at it, or it cannot be renamed. Lines that go into a file which is
/// too large are better than lines that are lost.
fn put_aside(path: &Path, limits: &Limits, now: SystemTime) -> bool {
    let Some(name) = path.file_name().and_then(std::ffi::OsStr::to_str) else {
        return false;
    };
    let lock = path.with_file_name(format!(".{name}.lock"));
    let Ok(lock) = Lock::exclusive(&lock, Duration::ZERO) else {
        return false;
    };
    // Whoever had the lock before may have done it.
    let full = std::fs::metadata(path).is_ok_and(|meta| meta.len() >= limits.bytes());
    let done = full && host::file::rename(path, &rotation::aside(path, now)).is_ok();
    if done {
        for file in rotation::survey(path, limits, now).goes {
            // One that stays is tried again when the next file is put aside.
            let _ = host::file::remove(&file);
        }
    }
    // The next one that finds the file full makes it again.
    let _ = lock.remove();
    done
}
