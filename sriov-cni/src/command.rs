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

use crate::compat::GoFiles;
use crate::config::Network;
use crate::crash::{self, Point};
use crate::error::{Error, Result};
use crate::ledger::{Entry, Ledger};
use crate::log::Log;
use crate::node::Node;
use crate::record::{Record, SlotRecord};
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

    /// What is known of an attachment: by the ledger, or else by the Go plugin's cache.
    pub(crate) fn known(&self, attachment: &Attachment) -> Result<Option<Known>> {
        match self.ledger.get(attachment).map_err(Error::State)? {
            Entry::Record(record) => return Ok(Some(Known::Vf(record))),
            Entry::Slot(record) => return Ok(Some(Known::Slot(record))),
            Entry::Torn(error) => self
                .log
                .warning(&format!("ignored: {}", cni::error::chain(&error))),
            Entry::Absent => {}
        }
        let of_go = self.files.record(attachment).map_err(Error::State)?;
        Ok(of_go.map(|record| Known::Vf(Box::new(record))))
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
