//! Network configurations, lossless: what is not read here passes through byte for byte.

use crate::name::InvalidName;
use crate::raw::{KeyError, ParseError};
use crate::version::UnknownVersion;

mod list;
mod plugin;
mod version;

pub use list::NetworkList;
pub use plugin::Plugin;

/// Why a network configuration is unusable. `list` errors carry the index of the plugin, from 0.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a JSON object.
    #[error("network configuration")]
    NotAnObject(#[source] ParseError),
    /// A key has the wrong type.
    #[error("network configuration")]
    Key(#[source] KeyError),
    /// Neither `type` nor `plugins`.
    #[error("network configuration has neither \"type\" nor \"plugins\"")]
    NoType,
    /// `"plugins": []`, and no folder of plugins to take them from.
    #[error("network configuration has an empty list of plugins")]
    NoPlugins,
    /// An element of `plugins` that is `null` or no object.
    #[error("plugin {index} of the list is {found}, not an object")]
    NotAPlugin {
        /// Position in the list, from 0.
        index: usize,
        /// The value, shortened.
        found: String,
    },
    /// An element of `plugins` without `type`.
    #[error("plugin {index} of the list has no \"type\"")]
    PluginWithoutType {
        /// Position in the list, from 0.
        index: usize,
    },
    /// `args` or `args.cni` is not an object, so that nothing can be merged into it.
    #[error("key {key:?} is {found}, not an object")]
    NotMergeable {
        /// `args` or `args.cni`.
        key: &'static str,
        /// The value, shortened.
        found: String,
    },
    /// A switch that is neither true nor false.
    #[error("key {key:?} is {found}, not true or false")]
    NotASwitch {
        /// e.g. `disableCheck`.
        key: String,
        /// The value, shortened.
        found: String,
    },
    /// A name or type that breaks its rules.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// No `name`.
    #[error("network configuration has no \"name\"")]
    NoName,
    /// A `cniVersion` that is not published, or a `cniVersions` entry that is no version.
    #[error(transparent)]
    Version(#[from] UnknownVersion),
}

#[cfg(test)]
mod tests;
