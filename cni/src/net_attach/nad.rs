//! From a NetworkAttachmentDefinition to a network configuration (spec/multus.md §4.1 to §4.2).

use std::path::Path;

use crate::conf_dir::ConfDirError;
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

/// The configuration of the NAD `name`. Empty or absent `spec_config` means the file in `conf_dir` of that
/// name; a missing or empty `name` in the text becomes the NAD's.
pub fn config(
    _name: &str,
    _spec_config: Option<&str>,
    _conf_dir: &Path,
) -> Result<NetworkList, NadError> {
    unimplemented!()
}
