//! Access to sysfs under a root that is handed in (`/sys`, or a fake tree in tests).
//!
//! Every error names the path. This module is the only user of the crate sysfs-class, whose trait reads attributes.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads sysfs, every error names the path"
)]

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sysfs_class::SysClass;

use crate::error::{Error, Result};
use crate::pci::PciAddress;

/// A sysfs mount.
#[derive(Debug, Clone)]
pub struct Sysfs {
    root: PathBuf,
}

/// One directory of sysfs: a device, a driver, a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    path: PathBuf,
}

impl Sysfs {
    /// Sysfs mounted at `root`, which is `/sys` on a node.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directory of a PCI function; it need not exist.
    pub fn function(&self, address: PciAddress) -> Entry {
        self.entry(format!("bus/pci/devices/{address}"))
    }

    /// Directory of a PCI driver; it need not exist.
    pub fn driver(&self, name: &str) -> Entry {
        self.entry(Path::new("bus/pci/drivers").join(name))
    }

    /// Any directory below the root; it need not exist.
    pub fn entry(&self, path: impl AsRef<Path>) -> Entry {
        Entry {
            path: self.root.join(path),
        }
    }
}

impl Entry {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory or link below this one.
    #[must_use]
    pub fn child(&self, name: impl AsRef<Path>) -> Self {
        Self {
            path: self.path.join(name),
        }
    }

    /// Whether the directory (or what a link leads to) exists.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether attribute `name` exists, also as a dangling link.
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }

    /// Attribute `name` without surrounding white space.
    pub fn read(&self, name: &str) -> Result<String> {
        self.trim_file(name)
            .map_err(|error| Error::file("read", self.path.join(name), error))
    }

    /// Attribute `name`; `None` if there is none, or if the driver does not offer it (EOPNOTSUPP, ENODATA, EINVAL).
    pub fn read_optional(&self, name: &str) -> Result<Option<String>> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            Err(error) => match error.errno() {
                Some(
                    nix::libc::ENOENT
                    | nix::libc::EOPNOTSUPP
                    | nix::libc::ENODATA
                    | nix::libc::EINVAL,
                ) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Attribute `name` as a decimal number or other parseable value; `expected` is for the error.
    pub fn parse<T: FromStr>(&self, name: &str, expected: &'static str) -> Result<T> {
        let text = self.read(name)?;
        text.parse().map_err(|_| self.value(name, text, expected))
    }

    /// Attribute `name` as a hexadecimal number with or without `0x`.
    pub fn parse_hex(&self, name: &str, expected: &'static str) -> Result<u32> {
        let text = self.read(name)?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16)
            .map_err(|_| self.value(name, text, expected))
    }

    /// Writes `value` in one write, as sysfs demands.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        let path = self.path.join(name);
        // Sysfs ignores truncation, a fake tree needs it to behave alike; the trait's write does not truncate.
        let file = OpenOptions::new().write(true).truncate(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(value.as_bytes()));
        written.map_err(|error| Error::file("write", path, error))
    }

    /// Last component of what link `name` points to; `None` if `name` does not exist. Something that exists and is no
    /// link is an error.
    pub fn link(&self, name: &str) -> Result<Option<String>> {
        let path = self.path.join(name);
        match std::fs::read_link(&path) {
            Ok(target) => match target.file_name().and_then(|name| name.to_str()) {
                Some(name) => Ok(Some(name.to_owned())),
                None => Err(Error::Value {
                    path,
                    value: target.display().to_string(),
                    expected: "a link to a named entry",
                }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read link", path, error)),
        }
    }

    /// The directory without links on the way to it; `None` if it does not exist.
    pub fn resolve(&self) -> Result<Option<PathBuf>> {
        match self.path.canonicalize() {
            Ok(path) => Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("resolve", &self.path, error)),
        }
    }

    /// Names in the directory, sorted by bytes; `None` if it does not exist.
    pub fn list(&self) -> Result<Option<Vec<String>>> {
        let failed = |error| Error::file("list", &self.path, error);
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(
                entry
                    .map_err(failed)?
                    .file_name()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    fn value(&self, name: &str, mut value: String, expected: &'static str) -> Error {
        value.truncate(value.floor_char_boundary(80));
        Error::Value {
            path: self.path.join(name),
            value,
            expected,
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the trait declares this constructor unsafe; an Entry has no invariant to break"
)]
impl SysClass for Entry {
    fn class() -> &'static str {
        "pci"
    }

    unsafe fn from_path_unchecked(path: PathBuf) -> Self {
        Self { path }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests;
