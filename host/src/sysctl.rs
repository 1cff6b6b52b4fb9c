//! Network sysctls. `/proc/sys/net` shows the namespace of the calling thread, so call these inside `NetNs::run`.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: sysctls are written in place, every error names the file"
)]

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes `value`. `proc` is where procfs is mounted; `key` has one element per component, because interface names may
/// contain dots: `["net", "ipv4", "conf", "eth0.5", "arp_notify"]`. A sysctl that does not exist is `NotFound`.
pub fn write(proc: &Path, key: &[&str], value: &str) -> Result<()> {
    let path = path(proc, key)?;
    std::fs::write(&path, value).map_err(|error| Error::file("write", path, error))
}

/// Reads without surrounding white space.
pub fn read(proc: &Path, key: &[&str]) -> Result<String> {
    let path = path(proc, key)?;
    let text = std::fs::read_to_string(&path).map_err(|error| Error::file("read", path, error))?;
    Ok(text.trim().to_owned())
}

fn path(proc: &Path, key: &[&str]) -> Result<PathBuf> {
    let plain =
        |part: &&str| !part.is_empty() && !part.contains('/') && !matches!(*part, "." | "..");
    if key.is_empty() || !key.iter().all(plain) {
        return Err(Error::Text {
            value: key.join("/"),
            expected: "a sysctl key like net/ipv4/conf/eth0/arp_notify",
        });
    }
    Ok(proc.join("sys").join(key.iter().collect::<PathBuf>()))
}

#[cfg(test)]
mod tests;
