//! Why a device is Unhealthy: a closed list, the same in the kubelet's list, explain, metric and log.

use serde::{Deserialize, Serialize};

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Unwell {
    /// No such function any more.
    #[error("it is gone while a pod holds it")]
    Gone,
    /// A new function at the address of the one that a pod holds.
    #[error("it was removed and created again while a pod holds it")]
    Recreated,
    /// Another driver than the one it was allocated with.
    #[error("its driver changed from {was} to {now} while a pod holds it")]
    DriverChanged {
        /// Driver then.
        was: String,
        /// Driver now.
        now: String,
    },
    /// The configuration gives it to no pool, or to another.
    #[error("the pool no longer selects it, a pod still holds it")]
    Deselected,
    /// The configuration has no such pool any more.
    #[error("the pool is no longer configured, a pod still holds it")]
    PoolRemoved,
    /// Its VFIO group cannot be opened.
    #[error("{trouble}")]
    VfioGroup {
        /// What is wrong with the group.
        trouble: String,
    },
    /// Its PF has no carrier.
    #[error("{pf} has no carrier")]
    CarrierDown {
        /// The PF's interface.
        pf: String,
    },
}

impl Unwell {
    /// The reason as one word, for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Recreated => "recreated",
            Self::DriverChanged { .. } => "driver-changed",
            Self::Deselected => "deselected",
            Self::PoolRemoved => "pool-removed",
            Self::VfioGroup { .. } => "vfio-group",
            Self::CarrierDown { .. } => "carrier-down",
        }
    }
}
