//! Which functions are in use, and by whom (spec/ecosystem.md §1.4 rule c).
//!
//! The kernel protects nobody: a VF bound to vfio-pci, or inside a pod, is destroyed at once by a new
//! VF count. What cannot be proven free therefore counts as used.

use std::{collections::BTreeMap, fmt};

use host::pci::PciAddress;

use crate::holder::Holding;

/// Functions in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(pub BTreeMap<PciAddress, Use>);

/// What holds a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// A container, as the kubelet tells.
    Pod(Holding),
    /// The kubelet cannot be asked.
    Unknown(String),
    /// `sriov` gave it to a container.
    Ledger {
        /// Container and interface, as the ledger spells them.
        attachment: String,
    },
    /// The Go plugin gave it to a namespace.
    GoLedger {
        /// Path of the namespace.
        netns: String,
    },
    /// A network driver has it, and its interface is not on the host.
    Elsewhere {
        /// The driver.
        driver: String,
    },
    /// A program in user space has it, or nobody can prove that none has.
    Userspace(String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(holding) => write!(f, "{} holds it as {}", holding.holder, holding.resource),
            Self::Unknown(why) => write!(
                f,
                "it may be in use: the kubelet cannot be asked what pods hold: {why}"
            ),
            Self::Ledger { attachment } => {
                write!(f, "the ledger of sriov gives it to {attachment}")
            }
            Self::GoLedger { netns } => {
                write!(f, "the sriov plugin's files give it to {netns}")
            }
            Self::Elsewhere { driver } => write!(
                f,
                "driver {driver} has it and its interface is not on the host: it is in another namespace"
            ),
            Self::Userspace(why) => write!(f, "{why}"),
        }
    }
}

impl Usage {
    /// Who holds a function.
    pub fn of(&self, address: PciAddress) -> Option<&Use> {
        self.0.get(&address)
    }
}
