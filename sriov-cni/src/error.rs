//! Every failure of the plugin, and the one table from failure to CNI code and reason (spec/sriov-cni.md §6.3).

use std::path::PathBuf;

use cni::error::{chain, code};
use cni::plugin::Attachment;
use host::error::Error as NodeError;
use host::netlink::vf::Pf;
use host::pci::PciAddress;

use crate::config::{Invalid, Unreadable};

/// Codes of this plugin, beside those of the CNI specification.
pub mod own_code {
    /// The VF does not exist.
    pub const NO_VF: u32 = 100;
    /// The PF cannot be used.
    pub const NO_PF: u32 = 101;
    /// The VF's driver, or the mode of the PF, is not supported.
    pub const DRIVER: u32 = 102;
    /// An attribute of the VF was refused; details name attribute and errno.
    pub const ATTRIBUTE: u32 = 103;
    /// The VF's interface could not be moved or changed.
    pub const NETDEV: u32 = 104;
    /// Addresses or routes could not be applied.
    pub const ADDRESS: u32 = 105;
    /// CHECK: the attachment is not what it should be.
    pub const DIFFERS: u32 = 107;
}

/// Result of every step.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure. Display names step, object and value; the kernel's reason is the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The configuration breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The VF cannot be used as it is.
    #[error("VF {vf}: {problem}")]
    Vf {
        /// The VF.
        vf: PciAddress,
        /// What is wrong and what to do.
        problem: String,
        /// Code of this plugin or of the CNI specification.
        code: u32,
    },
    /// Another attachment has the VF.
    // "is already allocated" is upstream's text; tools match it.
    #[error("pci address {device} is already allocated: {holder}")]
    InUse {
        /// The VF or slot.
        device: String,
        /// Who has it.
        holder: String,
    },
    /// Another process works on the VF.
    #[error("VF {device} is being set up or released by another process, try again")]
    Locked {
        /// The VF or slot.
        device: String,
        /// The lock's deadline.
        source: NodeError,
    },
    /// The pod has an interface of that name already.
    #[error("interface name {name} is taken in {}: give the attachment another name", netns.display())]
    NameTaken {
        /// The name.
        name: String,
        /// The pod's namespace.
        netns: PathBuf,
    },
    /// `CNI_NETNS` is no namespace.
    #[error("CNI_NETNS {} leads to no network namespace", netns.display())]
    Netns {
        /// The path.
        netns: PathBuf,
    },
    /// A VF attribute was refused. The node's error names attribute, VF and PF.
    #[error("{} by driver {driver}", chain(refusal))]
    Attribute {
        /// Driver of the PF.
        driver: String,
        /// Attribute and value.
        attribute: String,
        /// The node's error; not a source, so that it is printed once.
        refusal: Box<NodeError>,
    },
    /// A VF attribute was accepted and not carried out.
    #[error("set {attribute} on vf {index} of {pf}: accepted, but the driver still tells {told}")]
    NotApplied {
        /// Attribute and value.
        attribute: String,
        /// Index of the VF.
        index: u32,
        /// The PF.
        pf: Box<Pf>,
        /// What reading back gave.
        told: String,
    },
    /// The VF's PCI function could not be reset.
    #[error("reset the PCI function of VF {vf}")]
    Reset {
        /// The VF.
        vf: PciAddress,
        /// The kernel's reason.
        source: NodeError,
    },
    /// The VF's interface could not be changed.
    #[error("{step} the interface of VF {vf}")]
    Netdev {
        /// What was tried.
        step: String,
        /// The VF.
        vf: PciAddress,
        /// The kernel's reason.
        source: NodeError,
    },
    /// The VF's interface did not take a change that the kernel accepted.
    #[error("{step} the interface of VF {vf}: accepted, but it still has {told}")]
    NetdevDiffers {
        /// What was tried.
        step: String,
        /// The VF.
        vf: PciAddress,
        /// What reading back gave.
        told: String,
    },
    /// An address or route could not be applied in the pod.
    #[error("{step} on {ifname}")]
    Address {
        /// What was tried.
        step: String,
        /// Interface in the pod.
        ifname: String,
        /// The kernel's reason.
        source: NodeError,
    },
    /// What the IPAM plugin returned cannot be applied.
    #[error("IPAM plugin {plugin}: {problem}")]
    IpamResult {
        /// Type of the plugin.
        plugin: String,
        /// What is wrong.
        problem: String,
    },
    /// The IPAM plugin failed; its code is kept.
    #[error("IPAM plugin {plugin}: {failure}")]
    Ipam {
        /// Type of the plugin.
        plugin: String,
        /// What it said.
        failure: cni::Error,
    },
    /// The Go plugin gave the addresses and kept no configuration to release them with.
    #[error(
        "addresses of IPAM plugin {plugin} are left: their configuration is known to the runtime only, which releases them by DEL"
    )]
    IpamUnknown {
        /// Type of the plugin.
        plugin: String,
    },
    /// The plugin behind a software slot failed; its code is kept.
    #[error("fallback {plugin}: {failure}")]
    Delegate {
        /// Type of the plugin.
        plugin: String,
        /// What it said.
        failure: cni::Error,
    },
    /// An error of the protocol library.
    #[error("{0}")]
    Protocol(cni::Error),
    /// The plugin's state could not be read or written.
    #[error("state of the plugin")]
    State(#[source] NodeError),
    /// The node could not be observed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// CHECK: something is not as it should be.
    #[error("{object} is {found}, expected {expected}")]
    Differs {
        /// What was compared.
        object: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Several things failed; the others were attempted.
    #[error("{} ({} more: {})", chain(&**first), others.len(), others.iter().map(|other| chain(other)).collect::<Vec<_>>().join("; "))]
    Several {
        /// The first.
        first: Box<Error>,
        /// The others.
        others: Vec<Error>,
    },
}

impl Error {
    /// One error from several; `None` from none.
    pub fn from_many(errors: Vec<Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let first = errors.next()?;
        let others: Vec<_> = errors.collect();
        Some(if others.is_empty() {
            first
        } else {
            Self::Several {
                first: Box::new(first),
                others,
            }
        })
    }

    /// Code of the CNI error.
    pub fn code(&self) -> u32 {
        match self {
            Self::Unreadable(Unreadable::Version(_)) => code::INCOMPATIBLE_VERSION,
            Self::Unreadable(_) | Self::Invalid(_) => code::INVALID_CONFIG,
            Self::Vf { code, .. } => *code,
            Self::InUse { .. } | Self::Locked { .. } | Self::IpamUnknown { .. } => {
                code::TRY_AGAIN_LATER
            }
            Self::Netns { .. } => code::INVALID_NETNS,
            Self::Reset { .. } => own_code::DRIVER,
            Self::Attribute { .. } | Self::NotApplied { .. } => own_code::ATTRIBUTE,
            Self::NameTaken { .. } | Self::Netdev { .. } | Self::NetdevDiffers { .. } => {
                own_code::NETDEV
            }
            Self::Address { .. } | Self::IpamResult { .. } => own_code::ADDRESS,
            Self::Ipam { failure, .. } | Self::Delegate { failure, .. } => failure.code,
            Self::Protocol(error) => error.code,
            Self::State(_) | Self::Node(_) => code::IO,
            Self::Differs { .. } => own_code::DIFFERS,
            Self::Several { first, .. } => first.code(),
        }
    }

    /// Reason of the closed list of the project, if one of them fits.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(_) | Self::Invalid(_) => Some("NetworkInvalid"),
            Self::InUse { .. } | Self::Locked { .. } => Some("VFInUse"),
            Self::NameTaken { .. } => Some("InterfaceExists"),
            Self::Attribute { .. } | Self::NotApplied { .. } => Some("VFConfigUnsupported"),
            Self::Ipam { .. }
            | Self::IpamUnknown { .. }
            | Self::IpamResult { .. }
            | Self::Address { .. } => Some("IPAMFailed"),
            Self::Delegate { .. } => Some("DelegateFailed"),
            Self::Several { first, .. } => first.reason(),
            _ => None,
        }
    }

    /// The error as the runtime gets it.
    pub fn to_cni(&self) -> cni::Error {
        let error = cni::Error::from_chain(self.code(), self);
        match (self, self.reason()) {
            (Self::Protocol(error), _) => error.clone(),
            (Self::Ipam { failure, .. } | Self::Delegate { failure, .. }, Some(reason))
                if !failure.details.is_empty() =>
            {
                error.with_details(format!("reason {reason}; {}", failure.details))
            }
            (
                Self::Attribute {
                    attribute, refusal, ..
                },
                Some(reason),
            ) => {
                let errno = refusal
                    .errno()
                    .map_or_else(String::new, |errno| format!(", errno {errno}"));
                error.with_details(format!("reason {reason}; attribute {attribute}{errno}"))
            }
            (_, Some(reason)) => error.with_details(format!("reason {reason}")),
            (_, None) => error,
        }
    }
}

impl From<cni::Error> for Error {
    fn from(error: cni::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Who has a VF, for [`Error::InUse`].
pub fn holder(attachment: &Attachment) -> String {
    format!(
        "container {} has it as {}",
        attachment.container_id, attachment.ifname
    )
}

/// The text of a DEL error. Runtimes take "not found" and "no such file" for success (design §2), whoever said it.
pub fn without_success_words(text: &str) -> String {
    // Longest first, so that no part of a replaced text is left.
    const WORDS: [(&str, &str); 4] = [
        ("no such file or directory", "absent (ENOENT)"),
        ("no such file", "absent"),
        ("not found", "absent"),
        ("notfound", "absent"),
    ];
    let mut text = text.to_owned();
    for (words, instead) in WORDS {
        while let Some(at) = text.to_ascii_lowercase().find(words) {
            text.replace_range(at..at + words.len(), instead);
        }
    }
    text
}

#[cfg(test)]
mod tests;
