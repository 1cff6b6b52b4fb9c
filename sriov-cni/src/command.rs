//! The commands of the protocol, and what they share.

pub mod add;
pub mod check;
pub mod del;
pub mod gc;
pub mod recover;
pub mod status;

mod claim;
mod ipam;
mod release;
mod reset;

use cni::plugin::{Attachment, Invocation};
use host::lock::Lock;
use host::pci::PciAddress;

use crate::compat::GoFiles;
use crate::config::Network;
use crate::crash::{self, Point};
use crate::error::{Error, Result};
use crate::ledger::{Entry, Ledger};
use crate::log::Log;
use crate::node::Node;
use crate::record::Record;
use crate::site::Site;

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

    pub(crate) fn lock(&self, vf: PciAddress, within: std::time::Duration) -> Result<Lock> {
        crash::around(Point::Lock, || self.files.lock(vf, within)).map_err(|source| {
            match source.kind() {
                host::error::Kind::Deadline => Error::Locked { vf, source },
                _ => Error::State(source),
            }
        })
    }

    /// The record of an attachment: ours, or made from the Go plugin's cache.
    pub(crate) fn record(&self, attachment: &Attachment) -> Result<Option<Record>> {
        match self.ledger.get(attachment).map_err(Error::State)? {
            Entry::Record(record) => return Ok(Some(*record)),
            Entry::Torn(error) => self
                .log
                .warning(&format!("ignored: {}", cni::error::chain(&error))),
            Entry::Absent => {}
        }
        self.files.record(attachment).map_err(Error::State)
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
