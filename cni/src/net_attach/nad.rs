//! From a NetworkAttachmentDefinition to a network configuration (spec/multus.md §4.1 to §4.2).

use std::path::Path;

use crate::conf_dir::{self, ConfDirError};
use crate::config::{ConfigError, NetworkList};

/// Why a NAD is unusable.
#[derive(Debug, thiserror::Error)]
pub enum NadError {
    /// `spec.config` is unusable.
    #[error("network attachment definition {name:?}: spec.config")]
    Config {
        /// The NAD's name.
        name: String,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// `spec.config` is empty and no file stands in for it.
    #[error("network attachment definition {name:?} has no spec.config")]
    OnDisk {
        /// The NAD's name.
        name: String,
        /// What is wrong with the folder.
        #[source]
        source: ConfDirError,
    },
}

/// The configuration of the NAD `name`. Empty or absent `spec_config` means the file in `conf_dir`
/// of that name; a missing or empty `name` in the text becomes the NAD's.
pub fn config(
    name: &str,
    spec_config: Option<&str>,
    conf_dir: &Path,
) -> Result<NetworkList, NadError> {
    let Some(text) = spec_config.filter(|text| !text.is_empty()) else {
        return conf_dir::find(conf_dir, name).map_err(|source| NadError::OnDisk {
            name: name.to_owned(),
            source,
        });
    };
    inline(name, text).map_err(|source| NadError::Config {
        name: name.to_owned(),
        source,
    })
}

fn inline(name: &str, text: &str) -> Result<NetworkList, ConfigError> {
    let mut list = NetworkList::parse(text.as_bytes())?;
    if list.name().is_empty() {
        list.set_name(name);
    }
    list.check_name()?;
    Ok(list)
}

#[cfg(test)]
mod tests;
