//! The runtime side: running a network's list of plugins, as libcni does (spec/multus.md appendix A).

use std::path::PathBuf;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::args::Args;
use crate::config::{ConfigError, NetworkList};
use crate::error::Error;
use crate::exec::ExecError;
use crate::name::InvalidName;
use crate::plugin::{Attachment, Command, Env};
use crate::raw::Object;
use crate::result::{AddResult, ResultError};

pub mod cache;

use cache::CacheError;

/// Where plugins and cached results are, and what every plugin inherits.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Folders to find plugins in; also their `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// Results are kept in `<cache_dir>/results`; None keeps none: nothing is read or written.
    pub cache_dir: Option<PathBuf>,
    /// Environment of every plugin, before the variables of the call are set.
    pub env: Env,
    /// Time for each plugin; None waits forever.
    pub deadline: Option<Duration>,
}

/// One attachment of a container to a network.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; may be empty at DEL.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: Args,
    /// Offered capabilities; a plugin gets those that it declares.
    pub capability_args: Object,
    /// `prevResult` for DEL and CHECK where nothing is cached: what the runtime above kept.
    pub prev_result: Option<Box<RawValue>>,
}

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

impl Runtime {
    /// ADD: the plugins in order, each with its predecessor's result. Stops at the first failure and undoes
    /// nothing: the caller must DEL. The result is cached.
    pub fn add(&self, _network: &NetworkList, _target: &Target) -> Result<AddResult, RuntimeError> {
        unimplemented!()
    }

    /// DEL: the plugins in reverse order. Stops at the first failure and keeps the cached result, so that it
    /// can be repeated. A damaged cached result is dropped and DEL goes on without.
    pub fn del(&self, _network: &NetworkList, _target: &Target) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    /// CHECK: the plugins in order, with the cached result.
    pub fn check(&self, _network: &NetworkList, _target: &Target) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    /// STATUS: the plugins in order; the first error counts. Below 1.1.0 always a success.
    pub fn status(&self, _network: &NetworkList) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    /// GC: DEL for cached attachments of this network that are not in `valid`, then, from 1.1.0 on, GC of each
    /// plugin. Goes on after errors.
    pub fn gc(&self, _network: &NetworkList, _valid: &[Attachment]) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    /// The result cache, if one is kept.
    pub fn cache(&self) -> Option<cache::Cache> {
        self.cache_dir.as_deref().map(cache::Cache::new)
    }
}

impl RuntimeError {
    /// The CNI code: a delegate's own passes through.
    pub fn code(&self) -> u32 {
        unimplemented!()
    }
}

impl From<RuntimeError> for Error {
    fn from(_error: RuntimeError) -> Self {
        unimplemented!()
    }
}

fn joined(_errors: &[RuntimeError]) -> String {
    unimplemented!()
}
