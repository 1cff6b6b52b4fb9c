//! libcni's result cache: `<cache_dir>/results/<network>-<container id>-<ifname>`.

#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads and writes the result cache"
)]

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::Target;
use crate::args::Args;
use crate::name;
use crate::plugin::Attachment;
use crate::raw::Object;
use crate::result::{self, AddResult};
use crate::version::Version;

mod format;

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
        let tail = format!("-{container_id}-{ifname}");
        self.results.join(name::file_name(network, &tail))
    }

    /// Reads one attachment; None if there is no file.
    pub fn read(&self, network: &str, target: &Target) -> Result<Option<Cached>, CacheError> {
        let path = self.file(network, &target.container_id, &target.ifname);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(CacheError::Io {
                    verb: "read",
                    path,
                    source,
                });
            }
        };
        let older = |result| Cached {
            network: network.to_owned(),
            container_id: target.container_id.clone(),
            ifname: target.ifname.clone(),
            netns: target.netns.clone(),
            args: target.args.clone(),
            capability_args: target.capability_args.clone(),
            config: Vec::new(),
            result: Some(ResultText(result)),
        };
        match format::parse(&bytes) {
            Ok(format::Parsed::Current(cached)) => Ok(Some(*cached)),
            Ok(format::Parsed::Older(result)) => Ok(Some(older(result))),
            Err(reason) => Err(CacheError::Damaged { path, reason }),
        }
    }

    /// Writes one attachment: folder 0700, file 0600, atomic.
    pub fn write(&self, cached: &Cached) -> Result<(), CacheError> {
        let io = |verb, path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Io { verb, path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.results)
            .map_err(io("create", &self.results))?;
        let path = self.file(&cached.network, &cached.container_id, &cached.ifname);
        // The dot keeps it out of every list: no network name begins with one. The name itself may leave no room.
        let unfinished = self.results.join(format!(
            ".{:016x}.{}",
            name::hash(&path.to_string_lossy()),
            std::process::id()
        ));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(format::print(cached).as_bytes()))
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(io("write", &path))
            .inspect_err(|_| {
                let _litter = fs::remove_file(&unfinished);
            })
    }

    /// Removes one attachment; it may be absent.
    pub fn remove(
        &self,
        network: &str,
        container_id: &str,
        ifname: &str,
    ) -> Result<(), CacheError> {
        let path = self.file(network, container_id, ifname);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(CacheError::Io {
                verb: "remove",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Every attachment of every network, ordered by file name. Damaged files, and older ones that
    /// do not say whose they are, are left out; a folder that does not exist is empty.
    pub fn list(&self) -> Result<Vec<Cached>, CacheError> {
        let failed = |source| CacheError::Io {
            verb: "list",
            path: self.results.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.results) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
        names.sort_unstable();
        let current = |name| match format::parse(&fs::read(self.results.join(name)).ok()?) {
            Ok(format::Parsed::Current(cached)) => Some(*cached),
            _ => None,
        };
        Ok(names.into_iter().filter_map(current).collect())
    }
}

impl Cached {
    /// The result, if it can be read.
    pub fn result(&self, default_version: Version) -> Option<AddResult> {
        let text = self.result.as_ref()?;
        result::parse(text.0.get().as_bytes(), default_version).ok()
    }

    /// Who was attached, as GC names it.
    pub fn attachment(&self) -> Attachment {
        Attachment {
            container_id: self.container_id.clone(),
            ifname: self.ifname.clone(),
        }
    }

    /// What DEL of this attachment needs.
    pub fn target(&self) -> Target {
        Target {
            container_id: self.container_id.clone(),
            netns: self.netns.clone(),
            ifname: self.ifname.clone(),
            args: self.args.clone(),
            capability_args: self.capability_args.clone(),
            prev_result: None,
        }
    }
}

#[cfg(test)]
mod tests;
