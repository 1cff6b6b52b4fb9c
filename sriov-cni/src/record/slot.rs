//! The record of a software slot: which plugin serves it, and the very bytes it was given.

use std::path::PathBuf;

use cni::plugin::Attachment;
use serde::{Deserialize, Serialize};

use super::{Owner, Phase};
use crate::slot::Slot;

/// All that DEL, CHECK and GC need; the network's own configuration may have changed by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// [`super::FORMAT`].
    pub format: u32,
    /// Who has the slot: container and interface.
    pub attachment: Attachment,
    /// Name of the network.
    pub network: String,
    /// The pod's namespace.
    pub owner: Owner,
    /// The slot.
    pub slot: Slot,
    /// [`Phase::Intent`], [`Phase::Committed`] or [`Phase::Releasing`].
    pub phase: Phase,
    /// Type of the plugin behind the slot.
    pub plugin: String,
    /// The configuration that the plugin was given, byte for byte.
    pub config: String,
    /// `CNI_ARGS` of its ADD.
    pub args: String,
    /// `CNI_PATH` of its ADD.
    pub path: Vec<PathBuf>,
}
