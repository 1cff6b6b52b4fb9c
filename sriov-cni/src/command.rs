//! The commands of the protocol, and what they share.

pub mod add;
pub mod check;
pub mod del;
pub mod gc;
pub mod list;
pub mod recover;
pub mod status;

mod claim;
mod fallback;
mod ipam;
mod release;
mod reset;

use std::fmt::Display;
use std::time::Duration;

use cni::plugin::{Attachment, Invocation};
use host::lock::Lock;
use host::netlink::vf::VfAttribute;
use host::pci::PciAddress;

use crate::baseline::{self, Baseline};
use crate::compat::GoFiles;
use crate::config::Network;
use crate::crash::{self, Point};
use crate::error::{Error, Result};
use crate::ledger::{Entry, Ledger};
use crate::log::Log;
use crate::node::Node;
use crate::record::{FORMAT, Ipam, Mode, Owner, Phase, Record, SlotRecord};
use crate::site::Site;

/// A record, by what was handed out.
pub(crate) enum Known {
    /// A VF.
    Vf(Box<Record>),
    /// A software slot.
    Slot(Box<SlotRecord>),
}

impl Known {
    /// Name of the network.
    pub(crate) fn network(&self) -> &str {
        match self {
            Self::Vf(record) => &record.network,
            Self::Slot(record) => &record.network,
        }
    }

    /// The VF or slot.
    pub(crate) fn device(&self) -> String {
        match self {
            Self::Vf(record) => record.vf.to_string(),
            Self::Slot(record) => record.slot.to_string(),
        }
    }
}

/// One call in the middle of being served.
pub(crate) struct Context<'a> {
    pub(crate) site: &'a Site,
    pub(crate) node: &'a mut dyn Node,
    pub(crate) call: &'a Invocation,
    pub(crate) ledger: Ledger,
    pub(crate) files: GoFiles,
    pub(crate) log: Log,
    pub(crate) boot: String,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        site: &'a Site,
        node: &'a mut dyn Node,
        call: &'a Invocation,
        network: &Network,
    ) -> Result<Self> {
        let (level, file) = (network.log_level.as_deref(), network.log_file.as_deref());
        let log = Log::new(call, level, file, &site.log_directories, site.clock);
        log.debug(&format!(
            "{} {}",
            call.command,
            String::from_utf8_lossy(&call.stdin)
        ));
        Ok(Self {
            boot: node.boot_id()?,
            ledger: site.ledger(),
            files: site.go_files(),
            site,
            node,
            call,
            log,
        })
    }

    pub(crate) fn attachment(&self) -> Attachment {
        Attachment {
            container_id: self.call.container_id.clone(),
            ifname: self.call.ifname.clone(),
        }
    }

    pub(crate) fn lock(&self, device: impl Display, within: Duration) -> Result<Lock> {
        let device = device.to_string();
        crash::around(Point::Lock, || self.files.lock(&device, within)).map_err(|source| {
            match source.kind() {
                host::error::Kind::Deadline => Error::Locked { device, source },
                _ => Error::State(source),
            }
        })
    }

    /// The record of a VF's attachment.
    pub(crate) fn record(&self, attachment: &Attachment) -> Result<Option<Record>> {
        match self.known(attachment)? {
            Some(Known::Vf(record)) => Ok(Some(*record)),
            _ => Ok(None),
        }
    }

    /// What is known of an attachment: by the ledger, by the Go plugin's cache, or of a damaged record by the baseline.
    pub(crate) fn known(&self, attachment: &Attachment) -> Result<Option<Known>> {
        let is_torn = match self.ledger.get(attachment).map_err(Error::State)? {
            Entry::Record(record) => return Ok(Some(Known::Vf(record))),
            Entry::Slot(record) => return Ok(Some(Known::Slot(record))),
            Entry::Torn(error) => {
                self.log
                    .warning(&format!("ignored: {}", cni::error::chain(&error)));
                true
            }
            Entry::Absent => false,
        };
        let of_go = self.files.record(attachment).map_err(Error::State)?;
        let record = match of_go {
            None if is_torn => match self.ledger.vf_of(attachment).map_err(Error::State)? {
                Some(vf) => self.baseline_record(vf, attachment)?,
                None => None,
            },
            of_go => of_go,
        };
        Ok(record.map(|record| Known::Vf(Box::new(record))))
    }

    /// A record in place of one that cannot be read: the VF is to be what it was when nobody had used it. `None` without
    /// baseline of this boot.
    pub(crate) fn baseline_record(
        &self,
        vf: PciAddress,
        attachment: &Attachment,
    ) -> Result<Option<Record>> {
        let Some(baseline) = Baseline::read(&self.site.state, vf, &self.boot) else {
            return Ok(None);
        };
        let owner = self.files.owner(vf).map_err(Error::State)?;
        let original = baseline.original;
        let mode = match &original.netdev {
            Some(_) => Mode::Kernel,
            None => Mode::Userspace,
        };
        // Values do not matter: undo asks which attributes were set, and the baseline says to what they go back.
        let mut attributes: Vec<_> = original
            .attributes
            .iter()
            .flat_map(baseline::attributes)
            .collect();
        attributes.extend(
            original
                .attributes
                .as_ref()
                .map(|state| VfAttribute::Mac(state.mac)),
        );
        // Of its own attachment the runtime tells network and IPAM plugin.
        let is_own = *attachment == self.attachment();
        let network = Network::read(&self.call.config)
            .ok()
            .filter(|_| is_own && self.call.command == cni::plugin::Command::Del);
        let ipam = network.as_ref().and_then(|network| network.ipam.clone());
        Ok(Some(Record {
            format: FORMAT,
            attachment: attachment.clone(),
            network: network.map_or_else(String::new, |_| self.call.name.clone()),
            owner: owner.map(|netns| Owner {
                netns,
                identity: None,
                boot: None,
            }),
            vf,
            pf: None,
            mode,
            phase: Phase::Committed,
            original,
            attributes,
            address: None,
            mac_pinned: None,
            reset_function: false,
            ipam: ipam.map(|kind| Ipam {
                r#type: kind,
                config: None,
                args: String::new(),
                path: String::new(),
            }),
        }))
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
