//! What a call needs to know of the node it runs on; made in `main` and handed down.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::compat::GoFiles;
use crate::ledger::Ledger;

/// Directories, waits and the clock.
#[derive(Debug, Clone)]
pub struct Site {
    /// The plugin's state directory.
    pub state: PathBuf,
    /// Directories in which `logFile` may be.
    pub log_directories: Vec<PathBuf>,
    /// Where IPAM plugins are, where neither the caller nor the record says so.
    pub programs: Vec<PathBuf>,
    /// How long ADD waits for a VF's lock. A runtime may hold locks of its own meanwhile (design §2), so it is short.
    pub add_lock: Duration,
    /// How long DEL waits for a VF's lock.
    pub del_lock: Duration,
    /// How long a VF may take to come back from a dying namespace.
    pub comes_back: Duration,
    /// How long an IPAM plugin may take.
    pub ipam: Duration,
    /// The time, for log lines.
    pub clock: fn() -> SystemTime,
}

impl Site {
    /// A node with state in `state`.
    pub fn new(state: impl AsRef<Path>, clock: fn() -> SystemTime) -> Self {
        Self {
            state: state.as_ref().to_path_buf(),
            log_directories: vec![PathBuf::from("/var/log")],
            programs: ["/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/cni"]
                .map(PathBuf::from)
                .to_vec(),
            add_lock: Duration::from_secs(1),
            del_lock: Duration::from_secs(5),
            comes_back: Duration::from_secs(5),
            ipam: Duration::from_mins(1),
            clock,
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(&self.state)
    }

    /// The Go plugin's files.
    pub fn go_files(&self) -> GoFiles {
        GoFiles::new(&self.state)
    }
}
