//! Identity of this boot of the node.

use std::path::Path;

use crate::error::{Error, Result};
use crate::file;

/// The kernel's random id of this boot. `proc` is where procfs is mounted, `/proc` on a node.
pub fn boot_id(proc: &Path) -> Result<String> {
    let path = proc.join("sys/kernel/random/boot_id");
    let text = file::read_page(&path)?.unwrap_or_default();
    let id = text.trim();
    if id.is_empty() {
        return Err(Error::Value {
            path,
            value: text,
            expected: "the id of this boot",
        });
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests;
