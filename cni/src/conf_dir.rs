//! Configurations on disk: files named `.conf`, `.json`, `.conflist` in one folder.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads configuration folders"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, NetworkList, Plugin};
use crate::name;
use crate::raw::Object;

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

/// Loads one file. A conflist also gets the plugins of `<folder>/<list name>/*.conf`, unless it
/// says `loadOnlyInlinedPlugins`.
pub fn load(path: &Path) -> Result<NetworkList, ConfDirError> {
    let bytes = read(path)?;
    let failed = |source| ConfDirError::Config {
        path: path.to_owned(),
        source,
    };
    let mut list = NetworkList::parse_open(&bytes).map_err(failed)?;
    if !list.is_single() && !list.load_only_inlined_plugins() && !list.name().is_empty() {
        name::check_network(list.name()).map_err(|error| failed(error.into()))?;
        let folder = path.parent().unwrap_or(Path::new("")).join(list.name());
        for plugin in plugins(&folder)? {
            list.push_plugin(plugin);
        }
    }
    if list.plugins().is_empty() {
        // Says which of the two it is: no list, or an empty one.
        return NetworkList::parse(&bytes).map_err(failed);
    }
    Ok(list)
}

/// The plugins of `<folder>/*.conf`, by file name; none if the folder does not exist.
pub fn plugins(folder: &Path) -> Result<Vec<Plugin>, ConfDirError> {
    let plugin = |file: PathBuf| {
        let bytes = read(&file)?;
        let failed = |source| ConfDirError::Config { path: file, source };
        Object::parse(&bytes)
            .map_err(ConfigError::NotAnObject)
            .and_then(Plugin::new)
            .map_err(failed)
    };
    files(folder, &["conf"])?.into_iter().map(plugin).collect()
}

/// The first file by name whose `name` is `name`; a `.conflist` wins over a conf of the same name.
///
/// Plugins of the list's folder are not added, as in multus. A file that cannot be read is passed
/// over, and told only if no other has the name.
pub fn find(dir: &Path, name: &str) -> Result<NetworkList, ConfDirError> {
    let mut trouble = None;
    let mut found: Option<(PathBuf, Vec<u8>)> = None;
    for path in files(dir, &["conf", "json", "conflist"])? {
        let is_list = |path: &Path| path.extension() == Some(OsStr::new("conflist"));
        let parsed = read(&path).and_then(|bytes| match NetworkList::parse_open(&bytes) {
            Ok(list) => Ok((bytes, list.name() == name)),
            Err(source) => Err(ConfDirError::Config {
                path: path.clone(),
                source,
            }),
        });
        match parsed {
            Ok((bytes, true)) => {
                if found
                    .as_ref()
                    .is_none_or(|(other, _)| is_list(&path) && !is_list(other))
                {
                    found = Some((path, bytes));
                }
            }
            Ok((_, false)) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    match (found, trouble) {
        (Some((path, bytes)), _) => {
            NetworkList::parse(&bytes).map_err(|source| ConfDirError::Config { path, source })
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(ConfDirError::Missing {
            name: name.to_owned(),
            dir: dir.to_owned(),
        }),
    }
}

/// The first configuration file of the folder by name.
pub fn first(dir: &Path) -> Result<NetworkList, ConfDirError> {
    match files(dir, &["conf", "json", "conflist"])?.first() {
        Some(path) => load(path),
        None => Err(ConfDirError::Empty {
            dir: dir.to_owned(),
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfDirError> {
    fs::read(path).map_err(|source| ConfDirError::Io {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

/// Files with one of these extensions, by name. A folder that does not exist has none.
fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, ConfDirError> {
    let failed = |source| ConfDirError::Io {
        verb: "list",
        path: dir.to_owned(),
        source,
    };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    paths.retain(|path| {
        path.extension()
            .and_then(OsStr::to_str)
            .is_some_and(|e| extensions.contains(&e))
            && path.is_file()
    });
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests;
