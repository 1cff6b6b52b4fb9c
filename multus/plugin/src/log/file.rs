//! The log file: below an allowed folder, put aside when it is large.
//!
//! The process lives for a moment, so there is nothing that could rotate later: whoever opens a file that is full puts it
//! aside and removes what is old or too much. `compress` is not done here: a pod would wait while a hundred megabytes are
//! packed.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: an open log file is appended to, and its age is read"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use host::file::{self, PRIVATE};
use host::lock::Lock;
use serde::Deserialize;

use super::time::stamp;

/// `logOptions`; absent keys have the defaults of Go multus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Days that a file put aside is kept; 0: for ever. Default 5.
    pub max_age: Option<u64>,
    /// Megabytes of the file; 0 and absent: 100.
    pub max_size: Option<u64>,
    /// Files put aside; 0: any number. Default 5.
    pub max_backups: Option<usize>,
}

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile(File);

/// Why a log file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("logFile {} must be an absolute path below {}", path.display(), told(directories))]
    Outside {
        path: PathBuf,
        directories: Vec<PathBuf>,
    },
    #[error("open logFile {}", path.display())]
    Open { path: PathBuf, source: io::Error },
}

impl LogFile {
    /// Opens the file, after putting a full one aside.
    pub(super) fn open(
        path: &Path,
        directories: &[PathBuf],
        limits: &Limits,
    ) -> Result<Self, Refused> {
        let path = allowed(path, directories)?;
        let failed = |source| Refused::Open {
            path: path.clone(),
            source,
        };
        let mut opened = append(&path).map_err(failed)?;
        let size = opened.metadata().map_err(failed)?.len();
        if size >= limits.bytes() && put_aside(&path, limits) {
            opened = append(&path).map_err(failed)?;
        }
        Ok(Self(opened))
    }

    /// One write for a line, so that lines of two processes do not mix.
    pub(super) fn append(&self, line: &str) {
        // Nothing can be done about a log that cannot be written.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}

impl Limits {
    fn bytes(&self) -> u64 {
        let megabytes = self.max_size.filter(|size| *size > 0).unwrap_or(100);
        megabytes.saturating_mul(1024 * 1024)
    }

    fn age(&self) -> Option<Duration> {
        let days = self.max_age.unwrap_or(5);
        (days > 0).then(|| Duration::from_hours(days.saturating_mul(24)))
    }

    fn backups(&self) -> usize {
        match self.max_backups.unwrap_or(5) {
            0 => usize::MAX,
            number => number,
        }
    }
}

/// The path with its folder resolved, so that a link inside does not lead out.
fn allowed(path: &Path, directories: &[PathBuf]) -> Result<PathBuf, Refused> {
    let outside = || Refused::Outside {
        path: path.to_owned(),
        directories: directories.to_vec(),
    };
    let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), path.is_absolute())
    else {
        return Err(outside());
    };
    // Only what the path says is judged before anything is looked up.
    if !directories.iter().any(|dir| path.starts_with(dir)) {
        return Err(outside());
    }
    let parent = parent.canonicalize().map_err(|source| Refused::Open {
        path: path.to_owned(),
        source,
    })?;
    let inside = |dir: &PathBuf| dir.canonicalize().is_ok_and(|dir| parent.starts_with(dir));
    if directories.iter().any(inside) {
        Ok(parent.join(name))
    } else {
        Err(outside())
    }
}

/// The file itself must be no link, and a pipe that nobody reads must keep nobody waiting.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PRIVATE)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)
}

/// False if it stays where it is: another process is at it, or it cannot be renamed. Lines that go into a file which is
/// too large are better than lines that are lost.
fn put_aside(path: &Path, limits: &Limits) -> bool {
    let Some(name) = path.file_name().and_then(std::ffi::OsStr::to_str) else {
        return false;
    };
    let lock = path.with_file_name(format!(".{name}.lock"));
    let Ok(lock) = Lock::exclusive(&lock, Duration::ZERO) else {
        return false;
    };
    // Whoever had the lock before may have done it.
    let full = std::fs::metadata(path).is_ok_and(|meta| meta.len() >= limits.bytes());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (stem, end) = parts(name);
    let aside = path.with_file_name(format!("{stem}{}{end}", stamp(now)));
    let done = full && file::rename(path, &aside).is_ok();
    if done {
        tidy(path, (&stem, &end), limits);
    }
    // The next one that finds the file full makes it again.
    let _ = lock.remove();
    done
}

/// `multus-` and `.log` of `multus.log`: what the names of files put aside begin and end with.
fn parts(name: &str) -> (String, String) {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => (format!("{stem}-"), format!(".{end}")),
        _ => (format!("{name}-"), String::new()),
    }
}

/// Removes files put aside that are too old or too many, the oldest first. Those that Go multus has packed count, too.
fn tidy(path: &Path, (stem, end): (&str, &str), limits: &Limits) {
    let Some(dir) = path.parent() else { return };
    let is_aside = |name: &String| {
        let rest = name.strip_prefix(stem).unwrap_or_default();
        let rest = rest.strip_suffix(".gz").unwrap_or(rest);
        rest.strip_suffix(end)
            .is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()))
    };
    let names = file::list(dir).unwrap_or_default();
    for (kept, name) in names.into_iter().rev().filter(is_aside).enumerate() {
        let aside = dir.join(name);
        let age = std::fs::metadata(&aside)
            .and_then(|meta| meta.modified())
            .map(|modified| modified.elapsed().unwrap_or_default());
        let old = matches!((age, limits.age()), (Ok(age), Some(longest)) if age > longest);
        if old || kept >= limits.backups() {
            // One that stays is tried again when the next file is put aside.
            let _ = file::remove(&aside);
        }
    }
}

fn told(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    names.join(" or ")
}
