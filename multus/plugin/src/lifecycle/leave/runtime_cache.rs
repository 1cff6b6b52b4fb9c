//! What the runtime's own libcni cache says of us when we leave: which programs it will still call, and which entries
//! nobody will read again.
//!
//! CRI-O deletes a sandbox by the configuration of its ADD, so what its entries name must stay. containerd deletes by
//! the configuration that is there now, under that network's name; an entry of our network's name is then never read
//! and never removed, not even for pods that still live.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cni::config::NetworkList;
use host::error::Error;
use host::file;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::primary::is_own;
use crate::wire::ANNOTATIONS_CAPABILITY;

/// The cache as far as it is about to outlive us.
#[derive(Debug, Default)]
pub(super) struct RuntimeCache {
    /// Entries that a runtime may delete by, configuration decoded.
    needed: Vec<String>,
    /// Entries that nobody will read.
    dead: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    config: String,
    network_name: String,
    capability_args: Option<Map<String, Value>>,
}

impl RuntimeCache {
    /// Reads `<cache>/results`. `primary`: name of the network by which the runtime goes on; entries of that name are
    /// its own.
    pub(super) fn read(cache: &Path, primary: &str) -> Result<Self, Error> {
        let results = cache.join("results");
        let mut found = Self::default();
        for name in file::list(&results)? {
            let path = results.join(name);
            let Some(bytes) = file::read(&path)? else {
                continue;
            };
            let entry: Entry = serde_json::from_slice(&bytes).unwrap_or_default();
            let config = STANDARD.decode(&entry.config).unwrap_or_default();
            if !entry.is_of_containerd() {
                let text = [bytes.as_slice(), config.as_slice()].concat();
                found
                    .needed
                    .push(String::from_utf8_lossy(&text).into_owned());
            } else if entry.network_name != primary && names_us(&config) {
                found.dead.push(path);
            }
        }
        Ok(found)
    }

    /// Whether a runtime may still call a program of this name.
    pub(super) fn needs(&self, program: &str) -> bool {
        let word = format!("\"{program}\"");
        self.needed.iter().any(|text| text.contains(&word))
    }

    /// Removes what nobody will read. Goes on after an error and returns the first one.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let removed: Vec<_> = self.dead.iter().map(|path| file::remove(path)).collect();
        removed.into_iter().collect::<Result<Vec<_>, _>>().map(drop)
    }
}

impl Entry {
    /// Only containerd hands over annotations; our generated configuration asks for them.
    fn is_of_containerd(&self) -> bool {
        self.capability_args
            .as_ref()
            .is_some_and(|offered| offered.contains_key(ANNOTATIONS_CAPABILITY))
    }
}

fn names_us(config: &[u8]) -> bool {
    NetworkList::parse(config).is_ok_and(|list| {
        list.plugins()
            .iter()
            .any(|plugin| is_own(plugin.plugin_type()))
    })
}
