//! Software slots: the plugin that the network names does the work, the ledger knows who has the slot (design §5).

use std::path::Path;

use cni::plugin::Invocation;
use cni::result::AddResult;

use super::Context;
use crate::config::Fallback;
use crate::crash::{self, Point, Verb};
use crate::delegate::{self, Delegate};
use crate::error::{Error, Result, holder};
use crate::ledger::Entry;
use crate::node::Place;
use crate::record::{FORMAT, Owner, Phase, SlotRecord};
use crate::restore;
use crate::slot::Slot;

/// Keys that only a NIC can serve.
const ONLY_OF_VFS: [&str; 11] = [
    "vlan",
    "vlanQoS",
    "vlanProto",
    "min_tx_rate",
    "max_tx_rate",
    "spoofchk",
    "trust",
    "link_state",
    "promisc",
    "allmulti",
    "txQLen",
];

impl Context<'_> {
    /// Gives the slot to the container: the plugin behind it is called, after its record is in place.
    pub(super) fn add_slot(
        &mut self,
        slot: Slot,
        fallback: &Fallback,
        previous: AddResult,
    ) -> Result<AddResult> {
        let call = self.call;
        let netns = Path::new(&call.netns);
        let identity = self.node.namespace(netns)?.ok_or_else(|| Error::Netns {
            netns: netns.to_path_buf(),
        })?;
        self.leave_other_device(&slot.to_string())?;
        let _lock = self.lock(slot, self.site.add_lock)?;
        self.claim_slot(slot)?;
        let taken = self.node.link_by_name(Place::Pod(netns), &call.ifname)?;
        if taken.is_some() {
            return Err(Error::NameTaken {
                name: call.ifname.clone(),
                netns: netns.to_path_buf(),
            });
        }
        for key in ONLY_OF_VFS {
            if call
                .config
                .get_folded(key)
                .is_some_and(|value| value.get() != "null")
            {
                self.log.warning(&format!(
                    "{key} has no effect on {slot}: {} has no such thing",
                    fallback.plugin
                ));
            }
        }
        self.check_master(fallback)?;
        let config = delegate::config(fallback, &call.config, call.version);
        let mut record = SlotRecord {
            format: FORMAT,
            attachment: self.attachment(),
            network: call.name.clone(),
            owner: Owner {
                netns: netns.to_path_buf(),
                identity: Some(identity),
                boot: Some(self.boot.clone()),
            },
            slot,
            phase: Phase::Intent,
            plugin: fallback.plugin.clone(),
            config: config.to_raw().get().to_owned(),
            args: call.args_text.clone(),
            path: call.path.clone(),
        };
        self.ledger.enter_slot(&record).map_err(Error::State)?;
        match self.delegate_add(&mut record, previous) {
            Ok(result) => {
                self.log.info(&format!(
                    "{slot} given to the container, served by {}",
                    record.plugin
                ));
                Ok(result)
            }
            Err(error) => {
                let _scope = crash::scope(Verb::Rollback);
                let mut errors = vec![error];
                errors.extend(self.release_slot(&mut record).err());
                Err(Error::from_many(errors).unwrap_or_else(|| unreachable(slot)))
            }
        }
    }

    /// The plugin itself would not say which link it has not found.
    fn check_master(&mut self, fallback: &Fallback) -> Result<()> {
        let call = self.call;
        let key = |key| fallback.config.get_folded(key);
        let read = |text: &serde_json::value::RawValue| serde_json::from_str(text.get()).ok();
        let Some(master) = key("master")
            .and_then(read)
            .filter(|master: &String| !master.is_empty())
        else {
            // That of the default route; and what is no name is for the plugin to judge.
            return Ok(());
        };
        let is_in_pod = key("linkInContainer").is_some_and(|value| value.get() == "true");
        let (place, where_) = if is_in_pod {
            (Place::Pod(Path::new(&call.netns)), "in the pod")
        } else {
            (Place::Host, "on this node")
        };
        if self.node.link_by_name(place, &master)?.is_some() {
            return Ok(());
        }
        Err(Error::Delegate {
            plugin: fallback.plugin.clone(),
            failure: cni::Error::new(
                cni::error::code::INVALID_CONFIG,
                format!("master {master}: there is no such interface {where_}"),
            ),
        })
    }

    fn delegate_add(&mut self, record: &mut SlotRecord, previous: AddResult) -> Result<AddResult> {
        let call = self.call;
        let given = call.prev_result()?;
        let config =
            delegate::with_previous(record.config.as_bytes(), given.as_ref(), call.version)?;
        let added = crash::around(Point::DelegateAdd, || {
            self.delegate(record, &call.netns)
                .add(&config, call.version)
        })?;
        let mut result = delegate::merged(previous, added);
        let pod = Place::Pod(Path::new(&call.netns));
        let is_own = |interface: &&mut cni::result::Interface| {
            interface.name == call.ifname && interface.sandbox == call.netns
        };
        if let Some(interface) = result.interfaces.iter_mut().find(is_own)
            && let Some(link) = self.node.link_by_name(pod, &call.ifname)?
        {
            // A VF's result has both.
            interface.mtu = link.mtu;
            if let (true, Some(address)) = (interface.mac.is_empty(), link.address) {
                interface.mac = address.to_string();
            }
        }
        result
            .convertible_to(call.version)
            .map_err(|error| cni::Error::from_chain(cni::error::code::INVALID_CONFIG, &error))?;
        record.phase = Phase::Committed;
        self.ledger.update_slot(record).map_err(Error::State)?;
        Ok(result)
    }

    /// The plugin's DEL, then the record; what fails is kept for the next DEL.
    pub(super) fn release_slot(&mut self, record: &mut SlotRecord) -> Result<()> {
        let netns = self.netns_of(record)?;
        let deleted = crash::around(Point::DelegateDel, || self.delegate(record, &netns).del());
        if let Err(error) = deleted {
            // The reference plugins judge their configuration in DEL, too: without its master none would ever succeed.
            if self.delete_without_plugin(record, &netns).is_err() {
                record.phase = Phase::Releasing;
                self.ledger.enter_slot(record).map_err(Error::State)?;
                return Err(error);
            }
            self.log.warning(&format!(
                "link and addresses are deleted without the plugin: {}",
                cni::error::chain(&error)
            ));
        }
        self.ledger
            .remove(&record.attachment, record.slot)
            .map_err(Error::State)
    }

    /// What the plugin's DEL consists of: its link, and the addresses.
    fn delete_without_plugin(&mut self, record: &SlotRecord, netns: &str) -> Result<()> {
        if !netns.is_empty() {
            let pod = Place::Pod(Path::new(netns));
            let link = self.node.link_by_name(pod, &record.attachment.ifname)?;
            let own = link.filter(|link| link.kind.as_deref() == Some(record.plugin.as_str()));
            if let Some(link) = own {
                self.node.delete_link(pod, link.index)?;
            }
        }
        self.deallocate_of_slot(record, netns)
    }

    /// Path of the record's namespace; empty if it is gone. A path may lead to another namespace by now, and the plugin
    /// would delete that one's interface of the same name.
    fn netns_of(&mut self, record: &SlotRecord) -> Result<String> {
        let also = (!self.call.netns.is_empty() && record.attachment == self.attachment())
            .then(|| Path::new(&self.call.netns));
        let path = restore::reachable_owner(self.node, Some(&record.owner), &self.boot, also)?;
        Ok(path.map_or_else(String::new, |path| path.display().to_string()))
    }

    fn delegate<'r>(&'r self, record: &'r SlotRecord, netns: &'r str) -> Delegate<'r> {
        Delegate {
            record,
            env: &self.call.env,
            netns,
            path: &self.call.path,
            deadline: self.site.ipam,
        }
    }

    /// Fails if a living attachment has the slot; takes it back from a dead one, and from an earlier ADD of this one.
    fn claim_slot(&mut self, slot: Slot) -> Result<()> {
        let mut record = match self.ledger.of_slot(slot).map_err(Error::State)? {
            Entry::Slot(record) => *record,
            Entry::Torn(error) => {
                self.log
                    .warning(&format!("ignored: {}", cni::error::chain(&error)));
                return Ok(());
            }
            Entry::Absent | Entry::Record(_) => return Ok(()),
        };
        if record.attachment != self.attachment() && self.is_slot_alive(&record)? {
            return Err(Error::InUse {
                device: slot.to_string(),
                holder: holder(&record.attachment),
            });
        }
        self.take_back_slot(&mut record)
    }

    pub(super) fn is_slot_alive(&mut self, record: &SlotRecord) -> Result<bool> {
        if record.phase >= Phase::Releasing {
            return Ok(false);
        }
        let path = restore::reachable_owner(self.node, Some(&record.owner), &self.boot, None)?;
        Ok(path.is_some())
    }

    pub(super) fn take_back_slot(&mut self, record: &mut SlotRecord) -> Result<()> {
        let _scope = crash::scope(Verb::Heal);
        self.log.info(&format!(
            "VFLeakRepaired: taking back {}, {}",
            record.slot,
            holder(&record.attachment)
        ));
        self.release_slot(record)
    }

    /// CHECK by the plugin that made the attachment, with the configuration it was made with.
    pub(super) fn check_slot(&mut self, record: &SlotRecord, previous: &AddResult) -> Result<()> {
        let call: &Invocation = self.call;
        let config =
            delegate::with_previous(record.config.as_bytes(), Some(previous), call.version)?;
        self.delegate(record, &call.netns).check(&config)
    }
}

/// For [`Error::from_many`] of something.
fn unreachable(slot: Slot) -> Error {
    Error::InUse {
        device: slot.to_string(),
        holder: "ADD failed".to_owned(),
    }
}
