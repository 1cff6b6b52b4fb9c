//! Errors of the runtime side, and the CNI error that each becomes.

use super::cache::CacheError;
use crate::config::ConfigError;
use crate::error::{Error, code};
use crate::exec::ExecError;
use crate::name::InvalidName;
use crate::plugin::Command;
use crate::result::ResultError;

/// Why a network could not be set up, torn down or checked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Container id, network name or interface name is invalid.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The configuration is unusable.
    #[error("network {network:?}")]
    Config {
        /// The network's name.
        network: String,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// The network's version does not have this verb.
    #[error("network {network:?} has CNI version {version:?}, which does not support {command}")]
    Unsupported {
        /// The network's name.
        network: String,
        /// Its `cniVersion`.
        version: String,
        /// The verb.
        command: Command,
    },
    /// A plugin failed.
    #[error("plugin type={plugin:?} name={network:?} failed ({})", command.as_str().to_lowercase())]
    Plugin {
        /// The plugin's `type`.
        plugin: String,
        /// The network's name.
        network: String,
        /// The verb.
        command: Command,
        /// How.
        #[source]
        source: Box<ExecError>,
    },
    /// A plugin's result cannot be read, or not be told in the network's version.
    #[error("plugin type={plugin:?} name={network:?} failed ({})", command.as_str().to_lowercase())]
    Result {
        /// The plugin's `type`.
        plugin: String,
        /// The network's name.
        network: String,
        /// The verb.
        command: Command,
        /// How.
        #[source]
        source: ResultError,
    },
    /// The result cache cannot be written or removed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Several errors of one GC.
    #[error("{}", joined(.0))]
    Several(Vec<RuntimeError>),
}

impl RuntimeError {
    /// The CNI code: a delegate's own passes through.
    pub fn code(&self) -> u32 {
        match self {
            Self::Name(name) if name.kind == "network name" => code::INVALID_CONFIG,
            Self::Name(_) => code::INVALID_ENVIRONMENT,
            Self::Config {
                source: ConfigError::Version(_),
                ..
            }
            | Self::Unsupported { .. }
            | Self::Result {
                source: ResultError::NoAddress(_),
                ..
            } => code::INCOMPATIBLE_VERSION,
            Self::Config { .. } => code::INVALID_CONFIG,
            Self::Plugin { source, .. } => source.code(),
            Self::Result { .. } => code::DECODE,
            Self::Cache(_) => code::IO,
            Self::Several(errors) => errors.first().map_or(code::INTERNAL, Self::code),
        }
    }

    /// The error that the delegate itself printed.
    pub fn delegate(&self) -> Option<&Error> {
        match self {
            Self::Plugin { source, .. } => match &**source {
                ExecError::Plugin(error) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<RuntimeError> for Error {
    fn from(error: RuntimeError) -> Self {
        match error.delegate() {
            Some(own) => {
                Self::new(own.code, format!("{error}: {}", own.msg)).with_details(&own.details)
            }
            None => Self::from_chain(error.code(), &error),
        }
    }
}

fn joined(errors: &[RuntimeError]) -> String {
    let texts: Vec<_> = errors
        .iter()
        .map(|error| crate::error::chain(error))
        .collect();
    texts.join(" / ")
}
