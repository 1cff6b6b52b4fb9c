//! Finding out who uses a function: the kubelet, the ledger of `sriov`, the Go plugin's files, its
//! interface, its VFIO group. The first that speaks is the one that is named.

use std::path::{Path, PathBuf};

use host::{file, netns::NetNs, pci::PciAddress, sysfs::Sysfs, vfio};
use serde::Deserialize;

use super::{
    apply::Hands,
    observe::Bound,
    usage::{Usage, Use},
};
use crate::{failure, holder::Holding, node::DeviceId};

/// Where to look.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// What pods hold, or why nobody can tell.
    pub(super) holdings: Result<Vec<Holding>, String>,
    /// State directory of `sriov`.
    pub(super) state: &'a Path,
    /// This boot; records of another count for nothing.
    pub(super) boot: &'a str,
    /// `/dev`.
    pub(super) dev: &'a Path,
    /// `/sys`.
    pub(super) sysfs: &'a Sysfs,
}

/// As much of a record of `sriov` as matters here.
#[derive(Debug, Deserialize)]
struct Record {
    vf: PciAddress,
    phase: String,
    owner: Option<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    boot: Option<String>,
}

impl Evidence<'_> {
    /// Who uses these functions.
    pub(super) fn usage<'b>(
        &self,
        hands: &dyn Hands,
        functions: impl IntoIterator<Item = &'b Bound>,
    ) -> Usage {
        let used = functions
            .into_iter()
            .filter_map(|function| Some((function.address, self.of(hands, function)?)));
        Usage(used.collect())
    }

    fn of(&self, hands: &dyn Hands, function: &Bound) -> Option<Use> {
        let address = function.address;
        let holding = self.holdings.as_ref().ok().and_then(|holdings| {
            let id = DeviceId::Pci(address);
            holdings.iter().find(|holding| holding.id == id)
        });
        if let Some(holding) = holding {
            return Some(Use::Pod(holding.clone()));
        }
        self.ledger(address)
            .or_else(|| self.go_files(address))
            .or_else(|| elsewhere(function))
            .or_else(|| self.userspace(hands, function))
            .or_else(|| self.holdings.as_ref().err().cloned().map(Use::Unknown))
    }

    fn ledger(&self, vf: PciAddress) -> Option<Use> {
        let ledger = self.state.join("ledger");
        let key = file::read_text(&ledger.join("pci").join(vf.to_string()));
        let attachment = key.ok().flatten()?.trim().to_owned();
        // It becomes part of a path.
        if attachment.is_empty() || attachment.contains('/') {
            return None;
        }
        // A torn record counts as none, as it does for `sriov`.
        let read = file::read_record::<Record>(&ledger.join(&attachment));
        let record = read.ok().flatten()?;
        let boot = record.owner.and_then(|owner| owner.boot);
        let is_of_this_boot = boot.is_none_or(|boot| boot == self.boot);
        let holds = record.vf == vf && record.phase != "released" && is_of_this_boot;
        holds.then_some(Use::Ledger { attachment })
    }

    fn go_files(&self, vf: PciAddress) -> Option<Use> {
        let text = file::read_text(&self.state.join("pci").join(vf.to_string()));
        let netns = PathBuf::from(text.ok().flatten()?.trim());
        // The Go plugin, too, takes a namespace that is gone for a VF that is free.
        NetNs::open(&netns).ok()?;
        Some(Use::GoLedger {
            netns: netns.display().to_string(),
        })
    }

    fn userspace(&self, hands: &dyn Hands, function: &Bound) -> Option<Use> {
        let driver = function
            .driver
            .as_ref()
            .filter(|_| function.is_userspace())?;
        let unproven = |why: String| {
            Some(Use::Userspace(format!(
                "{driver} has it and nobody can prove that no program uses it: {why}"
            )))
        };
        if !driver.contains("vfio") {
            return unproven("UIO does not tell".to_owned());
        }
        if matches!(vfio::device_node(self.sysfs, function.address), Ok(Some(_))) {
            return unproven("it can be opened through iommufd, which does not tell".to_owned());
        }
        let group = match vfio::group(self.sysfs, function.address) {
            Ok(group) => group.host_path(),
            Err(error) => return unproven(failure::chain(&error)),
        };
        let node = group.strip_prefix("/dev").unwrap_or(&group);
        match hands.is_free(&self.dev.join(node)) {
            Ok(true) => None,
            Ok(false) => Some(Use::Userspace(format!(
                "a program has its group {} open",
                group.display()
            ))),
            Err(error) => unproven(failure::chain(&error)),
        }
    }
}

fn elsewhere(function: &Bound) -> Option<Use> {
    let driver = function
        .driver
        .as_ref()
        .filter(|_| !function.is_userspace())?;
    function.interface.is_none().then(|| Use::Elsewhere {
        driver: driver.clone(),
    })
}
