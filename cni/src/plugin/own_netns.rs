//! A runtime that mounts things wrongly can hand a plugin its own network namespace. Working on it
//! would take the host's interfaces away, so it is refused before any work.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::error::{Error, code};

/// Fails with code 8 if `path` is the namespace of this thread. A path that cannot be looked at is
/// the plugin's own business: at DEL it may be gone.
pub(super) fn refuse(path: &str) -> Result<(), Error> {
    let Ok(target) = fs::metadata(path) else {
        return Ok(());
    };
    let own = fs::metadata("/proc/thread-self/ns/net").map_err(|error| {
        let message = format!("look at the plugin's own network namespace: {error}");
        Error::new(code::INVALID_NETNS, message)
    })?;
    if (own.dev(), own.ino()) != (target.dev(), target.ino()) {
        return Ok(());
    }
    let message = format!(
        "plugin's netns and netns from CNI_NETNS should not be the same: {path} (CNI_NETNS_OVERRIDE=1 allows it)"
    );
    Err(Error::new(code::INVALID_NETNS, message))
}
