//! Fake sysfs trees in the notation of spec/device-plugin.md §8.1.

use std::path::Path;

use crate::sysfs::Sysfs;

/// Base fixture F1 of spec/device-plugin.md §8.1.
pub const F1: &str = "";

/// A sysfs tree in a temporary directory.
#[derive(Debug)]
pub struct FakeSysfs {}

impl FakeSysfs {
    /// An empty tree.
    pub fn new() -> Self {
        unimplemented!()
    }

    /// A tree with the devices of `notation`.
    pub fn parse(_notation: &str) -> Self {
        unimplemented!()
    }

    /// Adds devices to the tree.
    pub fn add(&mut self, _notation: &str) -> &mut Self {
        unimplemented!()
    }

    /// The tree as production code sees it.
    pub fn sysfs(&self) -> Sysfs {
        unimplemented!()
    }

    /// What stands for `/sys`.
    pub fn root(&self) -> &Path {
        unimplemented!()
    }

    /// Writes a file below the root.
    pub fn file(&self, _path: impl AsRef<Path>, _content: &str) -> &Self {
        unimplemented!()
    }

    /// Makes a link below the root.
    pub fn link(&self, _path: impl AsRef<Path>, _target: impl AsRef<Path>) -> &Self {
        unimplemented!()
    }

    /// Removes a file, link or directory tree below the root.
    pub fn remove(&self, _path: impl AsRef<Path>) -> &Self {
        unimplemented!()
    }
}
