//! A checked call of the plugin.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Env;
use crate::args::Args;
use crate::error::{Error, chain, code};
use crate::raw::Object;
use crate::result::{self, AddResult};
use crate::version::Version;

/// Key of GC's list.
pub(crate) const VALID_ATTACHMENTS: &str = "cni.dev/valid-attachments";
/// Key of GC's list in libcni before it followed the specification; still sent.
pub(crate) const ATTACHMENTS: &str = "cni.dev/attachments";

/// A CNI verb that reaches a plugin's code. (VERSION is answered by the skeleton.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Attach.
    Add,
    /// Detach.
    Del,
    /// Compare.
    Check,
    /// Can ADD be served?
    Status,
    /// Collect what is left over.
    Gc,
}

/// One attachment of a container: what GC calls valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attachment {
    /// `CNI_CONTAINERID` of its ADD.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// `CNI_IFNAME` of its ADD.
    pub ifname: String,
}

/// A call whose environment and configuration passed every check.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The verb.
    pub command: Command,
    /// Empty for GC and STATUS.
    pub container_id: String,
    /// Path of the container's namespace; empty if the runtime gave none (DEL, GC, STATUS).
    pub netns: String,
    /// Empty for GC and STATUS.
    pub ifname: String,
    /// `CNI_ARGS` as given; see [`Self::args`].
    pub args_text: String,
    /// `CNI_PATH`, split.
    pub path: Vec<PathBuf>,
    /// The configuration's `name`.
    pub name: String,
    /// The version to answer in.
    pub version: Version,
    /// The configuration.
    pub config: Object,
    /// The configuration's bytes, for delegates.
    pub stdin: Vec<u8>,
    /// The whole environment, for delegates.
    pub env: Env,
}

impl Command {
    /// The verb as in `CNI_COMMAND`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::Gc => "GC",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Invocation {
    /// `CNI_ARGS`, each pair with exactly one `=`; error code 4.
    pub fn args(&self) -> Result<Args, Error> {
        Args::parse(&self.args_text)
            .map_err(|error| Error::from_chain(code::INVALID_ENVIRONMENT, &error))
    }

    /// `prevResult`; error code 6 if it cannot be read.
    pub fn prev_result(&self) -> Result<Option<AddResult>, Error> {
        let present = self
            .config
            .get_folded("prevResult")
            .filter(|value| value.get() != "null");
        let Some(value) = present else {
            return Ok(None);
        };
        result::parse(value.get().as_bytes(), self.version)
            .map(Some)
            .map_err(|error| Error::new(code::DECODE, format!("prevResult: {}", chain(&error))))
    }

    /// `runtimeConfig`, empty if absent; error code 7.
    pub fn runtime_config(&self) -> Result<Object, Error> {
        Ok(self.typed("runtimeConfig")?.unwrap_or_default())
    }

    /// `cni.dev/valid-attachments`, or the older `cni.dev/attachments`; error code 7 if there is
    /// neither.
    pub fn valid_attachments(&self) -> Result<Vec<Attachment>, Error> {
        for key in [VALID_ATTACHMENTS, ATTACHMENTS] {
            if let Some(attachments) = self.typed(key)? {
                return Ok(attachments);
            }
        }
        let message = format!("configuration of {} has no {VALID_ATTACHMENTS}", self.name);
        Err(Error::new(code::INVALID_CONFIG, message))
    }

    /// `ipam.type`, if there is one; error code 7.
    pub fn ipam_type(&self) -> Result<Option<String>, Error> {
        let ipam: Object = self.typed("ipam")?.unwrap_or_default();
        let plugin_type: Option<String> = ipam.typed_folded("type").map_err(|error| {
            Error::new(
                code::INVALID_CONFIG,
                format!("configuration: ipam: {error}"),
            )
        })?;
        Ok(plugin_type.filter(|text| !text.is_empty()))
    }

    fn typed<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.config
            .typed_folded(key)
            .map_err(|error| Error::new(code::INVALID_CONFIG, format!("configuration: {error}")))
    }
}
