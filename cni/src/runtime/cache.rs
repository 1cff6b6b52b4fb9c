//! libcni's result cache: `<cache_dir>/results/<network>-<container id>-<ifname>`.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::Target;
use crate::args::Args;
use crate::raw::Object;

/// The folder of cached results.
#[derive(Debug, Clone)]
pub struct Cache {
    results: PathBuf,
}

/// One cached attachment (`cniCacheV1`, or an older file that is nothing but a result).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The network's name.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_ARGS`.
    pub args: Args,
    /// Capabilities that were offered.
    pub capability_args: Object,
    /// The network's configuration, conf or conflist.
    pub config: Vec<u8>,
    /// The final result of ADD, as printed.
    pub result: Option<ResultText>,
}

/// A result's JSON.
#[derive(Debug, Clone)]
pub struct ResultText(pub Box<RawValue>);

impl PartialEq for ResultText {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for ResultText {}

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file system refused.
    #[error("{verb} result cache {}", path.display())]
    Io {
        /// `read`, `write`, `remove`, `list`, `create`.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The file is not what libcni writes.
    #[error("result cache {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Cache {
    /// The cache under `cache_dir`, which need not exist.
    pub fn new(cache_dir: &Path) -> Self {
        Self {
            results: cache_dir.join("results"),
        }
    }

    /// The file of one attachment.
    pub fn file(&self, network: &str, container_id: &str, ifname: &str) -> PathBuf {
        self.results
            .join(format!("{network}-{container_id}-{ifname}"))
    }

    /// Reads one attachment; None if there is no file.
    pub fn read(&self, _network: &str, _target: &Target) -> Result<Option<Cached>, CacheError> {
        unimplemented!()
    }

    /// Writes one attachment: folder 0700, file 0600, atomic.
    pub fn write(&self, _cached: &Cached) -> Result<(), CacheError> {
        unimplemented!()
    }

    /// Removes one attachment; it may be absent.
    pub fn remove(
        &self,
        _network: &str,
        _container_id: &str,
        _ifname: &str,
    ) -> Result<(), CacheError> {
        unimplemented!()
    }

    /// Every readable attachment of every network; files that are damaged are left out.
    pub fn list(&self) -> Result<Vec<Cached>, CacheError> {
        unimplemented!()
    }
}
