//! Locks between processes: `flock` on a file, with a deadline. Interoperates with Go's `unix.Flock` on the same file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::error::{Error, Result};
use crate::file;

mod orphan;

pub use orphan::Orphan;

/// How long another process is waited for that looks for orphans, too.
const LOOKING: Duration = Duration::from_secs(1);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Exclusive,
    Shared,
}

impl Lock {
    /// Takes the lock alone, waiting at most `within` (zero: one try). Missing directories (0700) and the file (0600)
    /// are made. A lock that stays taken is an error of kind `Deadline`.
    pub fn exclusive(path: &Path, within: Duration) -> Result<Self> {
        acquire(path, Side::Exclusive, within)
    }

    /// Takes the lock together with other shared holders; otherwise as [`Lock::exclusive`].
    pub fn shared(path: &Path, within: Duration) -> Result<Self> {
        acquire(path, Side::Shared, within)
    }

    /// As [`Lock::exclusive`] for a lock that is [`Lock::inherited`]: once the programs that a killed holder has left behind
    /// have all run for `patience`, the lock is taken from them, and they are returned. Until then they are named in the
    /// error. They are not ended. `proc` is where procfs is mounted.
    ///
    /// The file is replaced by another one, which programs that do not look (Go's sriov-cni) do not notice.
    pub fn exclusive_despite_orphans(
        path: &Path,
        within: Duration,
        patience: Duration,
        proc: &Path,
    ) -> Result<(Self, Vec<Orphan>)> {
        let busy = match acquire(path, Side::Exclusive, within) {
            Err(busy @ Error::Deadline { .. }) => busy,
            done => return Ok((done?, Vec::new())),
        };
        // Whoever else takes it from them meanwhile holds a new file, which must not be taken from him.
        let directory = path.parent().unwrap_or(Path::new("."));
        let _alone = acquire(&directory.join(".orphans"), Side::Exclusive, LOOKING)?;
        let orphans = orphan::holders(path, proc);
        if orphan::are_overdue(&orphans, patience) {
            file::remove(path)?;
            return Ok((acquire(path, Side::Exclusive, Duration::ZERO)?, orphans));
        }
        match busy {
            Error::Deadline { seconds, .. } if !orphans.is_empty() => {
                let names: Vec<String> = orphans.iter().map(Orphan::to_string).collect();
                let step = format!(
                    "lock {}, held by {}, left behind by a command that was killed",
                    path.display(),
                    names.join(" and ")
                );
                Err(Error::Deadline { step, seconds })
            }
            busy => Err(busy),
        }
    }

    /// Programs started while it is held have it, too: when this process is killed, the lock stays taken until they have
    /// ended, so that nobody undoes work that is still going on. Dropping it gives it up for all of them (`flock(2)`: a
    /// lock belongs to the open file, which parent and children share).
    pub fn inherited(self) -> Result<Self> {
        fcntl(&self.file, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(|errno| Error::file("pass on", &self.path, errno.into()))?;
        Ok(self)
    }

    /// The locked file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file and releases. Others who wait for it notice and take a new file; programs that do not look
    /// (Go's sriov-cni) might hold the old one, so not for files shared with them.
    pub fn remove(self) -> Result<()> {
        file::remove(&self.path).map(drop)
    }
}

fn acquire(path: &Path, side: Side, within: Duration) -> Result<Lock> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let file = file::with_dir(directory, || open(path))?;
        match attempt(&file, path, side)? {
            Attempt::Taken => {
                return Ok(Lock {
                    file,
                    path: path.to_path_buf(),
                });
            }
            Attempt::Stale => continue,
            Attempt::Busy => {}
        }
        let waited = start.elapsed();
        if waited >= within {
            return Err(Error::Deadline {
                step: format!("lock {}, held by another process", path.display()),
                seconds: waited.as_secs_f64(),
            });
        }
        // flock has no timed form; the pause is how often the holder is asked, not how long work takes.
        thread::sleep(pause.min(within.saturating_sub(waited)));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn open(path: &Path) -> Result<File> {
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(file::PRIVATE)
        .open(path);
    options.map_err(|error| Error::file("open", path, error))
}

enum Attempt {
    Taken,
    Busy,
    /// The path leads to another file by now, or to none.
    Stale,
}

fn attempt(file: &File, path: &Path, side: Side) -> Result<Attempt> {
    let tried = match side {
        Side::Exclusive => file.try_lock(),
        Side::Shared => file.try_lock_shared(),
    };
    match tried {
        Ok(()) if is_current(file, path)? => Ok(Attempt::Taken),
        Ok(()) => Ok(Attempt::Stale),
        Err(TryLockError::WouldBlock) => Ok(Attempt::Busy),
        Err(TryLockError::Error(error)) => Err(Error::file("lock", path, error)),
    }
}

/// A holder may have removed the file between our open and our lock.
fn is_current(file: &File, path: &Path) -> Result<bool> {
    let held = file
        .metadata()
        .map_err(|error| Error::file("inspect", path, error))?;
    match path.metadata() {
        Ok(named) => Ok(named.ino() == held.ino() && named.dev() == held.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("inspect", path, error)),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the last descriptor releases as well; a child that inherited one would keep it.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests;
