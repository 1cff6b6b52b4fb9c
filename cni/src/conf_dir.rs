//! Configurations on disk: files named `.conf`, `.json`, `.conflist` in one folder.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads configuration folders"
)]

use std::path::{Path, PathBuf};

use crate::config::{ConfigError, NetworkList};

/// Why nothing could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfDirError {
    /// The file system refused.
    #[error("{verb} {}", path.display())]
    Io {
        /// `read` or `list`.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file is no configuration.
    #[error("configuration file {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// No file has this network.
    #[error("no configuration named {name:?} in {}", dir.display())]
    Missing {
        /// The network's name.
        name: String,
        /// The folder.
        dir: PathBuf,
    },
    /// The folder has no configuration.
    #[error("no configuration in {}", dir.display())]
    Empty {
        /// The folder.
        dir: PathBuf,
    },
}

/// Loads one file. A conflist also gets the plugins of `<folder>/<list name>/*.conf`, unless it says
/// `loadOnlyInlinedPlugins`.
pub fn load(path: &Path) -> Result<NetworkList, ConfDirError> {
    let _ = std::fs::read(path);
    unimplemented!()
}

/// The first file by name whose `name` is `name`; a `.conflist` wins over a conf of the same name.
pub fn find(_dir: &Path, _name: &str) -> Result<NetworkList, ConfDirError> {
    unimplemented!()
}

/// The first configuration file of the folder by name.
pub fn first(_dir: &Path) -> Result<NetworkList, ConfDirError> {
    unimplemented!()
}
