//! The plugin `passthru`, first of an auxiliary chain: gives its successors a result to start from, an empty one, and
//! does nothing else (spec/multus.md §6.6). This program answers to its name.

use cni::plugin::{Invocation, Plugin};
use cni::result::AddResult;
use cni::{Error, Version};

/// The plugin type, and the name of the program.
pub const NAME: &str = "passthru";

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Passthru;

/// An empty result has no form in older versions.
const VERSIONS: [Version; 5] = [
    Version::V0_3_0,
    Version::V0_3_1,
    Version::V0_4_0,
    Version::V1_0_0,
    Version::V1_1_0,
];

impl Plugin for Passthru {
    fn add(&self, _call: &Invocation) -> Result<AddResult, Error> {
        Ok(AddResult::default())
    }

    fn del(&self, _call: &Invocation) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, _call: &Invocation) -> Result<(), Error> {
        Ok(())
    }

    fn versions(&self) -> &[Version] {
        &VERSIONS
    }

    fn about(&self) -> Option<&str> {
        Some(
            "passthru: a CNI plugin with an empty result, first of multus' auxiliary chain (Ferrovia)",
        )
    }
}
