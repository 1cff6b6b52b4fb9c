//! The way out: when a draining node has no recorded sandbox left, the configuration goes first, then the programs, then
//! the state (I6). Whoever removes the last record does it, so it works when every object in the API is gone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Error;
use host::file;

use super::intent::{Installation, Intent, Store};
use super::{HostView, folder};
use crate::journal::{Journal, JournalError, Shelf, go};

mod runtime_cache;

use runtime_cache::RuntimeCache;

/// What keeps multus on the node, or that it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The intent is not to drain.
    NotAsked,
    /// Sandboxes whose DEL needs us.
    Sandboxes(Vec<String>),
    /// Another command is at work; it comes by here when it is done.
    Busy,
    /// No other configuration would serve pods: the node would be without network.
    NoOtherConfiguration(String),
    /// Configuration, programs and state are gone; programs that a runtime's cache still names stay.
    Gone {
        /// Programs that CRI-O will call for sandboxes in its cache.
        kept: Vec<PathBuf>,
    },
}

/// Why leaving failed half way; the next try goes on.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// A file operation.
    #[error(transparent)]
    File(#[from] Error),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Leaves if it is asked for and nothing needs us any more. Takes the state lock.
///
/// # Errors
/// When a file cannot be read or removed; what is gone is gone, and the next call goes on.
pub fn leave(
    store: &Store,
    view: &HostView,
    runtime_cache: &Path,
    within: Duration,
) -> Result<Left, LeaveError> {
    if !is_draining(store)? {
        return Ok(Left::NotAsked);
    }
    let _lock = store.lock(within)?;
    // Another command may have installed it again, or left, since.
    let Some(installed) = store.read()?.filter(|i| i.intent == Intent::Drain) else {
        return Ok(Left::NotAsked);
    };
    // Shared by every ADD and DEL: whoever is at work may be about to write a record.
    let journal = Journal::new(store.cni_dir());
    let _alone = match journal.lock_for_gc(within) {
        Ok(lock) => lock,
        Err(error) if error.is_deadline() => return Ok(Left::Busy),
        Err(error) => return Err(error.into()),
    };
    let sandboxes = recorded(&journal)?;
    if !sandboxes.is_empty() {
        return Ok(Left::Sandboxes(sandboxes));
    }
    let dir = view.here(&installed.conf_dir);
    let ours = dir.join(&installed.conf_file);
    let primary = folder::observe(&dir, "", &installed.conf_file)?.primary;
    let goes_on_by = match primary {
        Err(why) if ours.exists() => return Ok(Left::NoOtherConfiguration(why)),
        primary => primary.map_or_else(|_| String::new(), |primary| primary.network),
    };
    if file::remove(&ours)? {
        file::sync_dir(&dir)?;
    }
    let cache = RuntimeCache::read(runtime_cache, &goes_on_by)?;
    let kept = remove_programs(&installed, view, &cache)?;
    let swept = cache.sweep();
    // With no record left the state folder holds copies and locks only.
    store.remove_all()?;
    // Litter is told of, and no reason to stay.
    swept?;
    Ok(Left::Gone { kept })
}

/// Whether the node drains. A damaged file is no wish to leave.
pub fn is_draining(store: &Store) -> Result<bool, Error> {
    Ok(store
        .read()?
        .is_some_and(|installed| installed.intent == Intent::Drain))
}

/// Sandboxes of which anything is recorded, by us or by Go multus.
fn recorded(journal: &Journal) -> Result<Vec<String>, JournalError> {
    let mut all = Vec::new();
    for shelf in [Shelf::Live, Shelf::Kept, Shelf::Damaged] {
        all.extend(journal.list(shelf)?);
    }
    all.extend(go::sandboxes(journal.root())?);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Removes our programs but for those that the runtime will call.
fn remove_programs(
    installed: &Installation,
    view: &HostView,
    cache: &RuntimeCache,
) -> Result<Vec<PathBuf>, Error> {
    let mut kept = Vec::new();
    for program in &installed.programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        if cache.needs(&name) {
            kept.push(program.clone());
        } else {
            file::remove(&view.here(program))?;
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
