//! From a record and an observation to the steps that make the VF what it was. Pure; the same plan serves rollback, DEL,
//! GC and repair, from any phase.
//!
//! Undo goes in rounds: observe, plan, apply, until the plan is empty. An empty plan is the proof that the VF is
//! restored, because it was made from what was read back. What cannot be read back is in [`Progress`].

use host::mac::MacAddress;
use host::netlink::vf::{VfAttribute, VfState};

use crate::node::Function;
use crate::record::{Mode, Netdev, Record};
use crate::step::{Properties, Step};

/// The VF as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The VF and its PF; `None` if there is no such VF any more, or no way to control it.
    pub function: Option<Function>,
    /// The VF exists, but its PF shows no interface to control it by.
    pub is_out_of_control: bool,
    /// Its attributes; `None` if the driver tells nothing.
    pub attributes: Option<VfState>,
    /// Its interface, if it is on the host or in the record's pod.
    pub netdev: Option<(Whereabouts, Netdev)>,
    /// Another link of the host has the interface's original name.
    pub name_is_taken: bool,
    /// Those of the interface's alternative names that other links of the host have, while it is in the pod.
    pub alt_names_taken: Vec<String>,
}

/// Where the interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// On the host.
    Host,
    /// In the namespace that the record names.
    Pod,
}

/// What was tried in earlier rounds and leaves no trace that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each set once"
)]
pub struct Progress {
    /// The PF's address was cleared, or the driver refused that.
    pub cleared: bool,
    /// The driver refused it.
    pub clear_refused: bool,
    /// An address that an administrator had set was set again.
    pub pinned: bool,
    /// Attributes that the driver does not tell were set.
    pub untold: bool,
    /// Resetting the VF's PCI function was tried.
    pub reset: bool,
    /// Adding lost alternative names was tried.
    pub alt_names: bool,
    /// Setting the interface up was tried.
    pub up: bool,
}

/// The steps still to be done; empty if the VF is what it was, or if there is nothing that could be done.
pub fn plan(record: &Record, observed: &Observed, progress: Progress) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some(function) = &observed.function else {
        return steps;
    };
    // A driver of the kernel would not know what happened to its device.
    let is_userspace = function
        .driver
        .as_deref()
        .is_some_and(crate::plan::is_userspace_driver);
    if record.reset_function && is_userspace && !progress.reset {
        steps.push(Step::ResetFunction);
    }
    let netdev = record
        .original
        .netdev
        .as_ref()
        .zip(observed.netdev.as_ref());
    // Out of the pod first: whatever is reset later must not open the host's network to the pod.
    let mut goes_down = false;
    if let Some((original, (place, now))) = netdev {
        let mut change = differences(original, now);
        if observed.name_is_taken {
            // Any free name; a pod's name on the host would be in the way of others.
            change.name = (*place == Whereabouts::Pod).then(|| "dev%d".to_owned());
        }
        let moves = *place == Whereabouts::Pod;
        goes_down = moves
            || (now.up == Some(true) && (change.name.is_some() || now.address != original.address));
        // Pods add names, and so does udev to an interface that comes back from a dying namespace, among them the very
        // name that it is to get back.
        let foreign = |name: &&String| match &original.alt_names {
            _ if observed.alt_names_taken.contains(name) => true,
            Some(known) => !known.contains(name),
            None => **name == original.name,
        };
        let foreign: Vec<_> = now
            .alt_names
            .iter()
            .flatten()
            .filter(foreign)
            .cloned()
            .collect();
        match (foreign.is_empty(), moves) {
            (true, _) => {}
            (false, true) => steps.push(Step::DropAltNamesInPod(foreign)),
            (false, false) => steps.push(Step::DropAltNames(foreign)),
        }
        if moves {
            steps.push(Step::ToHost(change));
        } else {
            if goes_down {
                steps.push(Step::Restore(Properties {
                    up: Some(false),
                    ..Properties::default()
                }));
            }
            if !change.is_empty() {
                steps.push(Step::Restore(change));
            }
        }
    }
    steps.extend(addresses(record, observed, progress));
    let attributes = attributes(record, observed, progress);
    if !attributes.is_empty() {
        steps.push(Step::Attributes(attributes));
    }
    if let Some((original, (_, now))) = netdev {
        let has = |name: &String| now.alt_names.iter().flatten().any(|other| other == name);
        let lost: Vec<_> = original
            .alt_names
            .iter()
            .flatten()
            .filter(|name| !has(name))
            .cloned()
            .collect();
        if !lost.is_empty() && !progress.alt_names {
            steps.push(Step::AddAltNames(lost));
        }
        if original.up == Some(true) && (goes_down || now.up == Some(false)) && !progress.up {
            steps.push(Step::HostUp);
        }
    }
    steps
}

/// The interface must come back and is neither on the host nor in the pod.
pub fn is_away(record: &Record, observed: &Observed) -> bool {
    let Some(function) = &observed.function else {
        return false;
    };
    let has_interface = function
        .driver
        .as_deref()
        .is_some_and(|driver| !crate::plan::is_userspace_driver(driver));
    record.original.netdev.is_some() && has_interface && observed.netdev.is_none()
}

fn differences(original: &Netdev, now: &Netdev) -> Properties {
    fn changed<T: PartialEq + Copy>(original: Option<T>, now: Option<T>) -> Option<T> {
        original.filter(|_| original != now)
    }
    Properties {
        name: (original.name != now.name && !original.name.is_empty())
            .then(|| original.name.clone()),
        mtu: changed(original.mtu, now.mtu),
        tx_queue_len: changed(original.tx_queue_len, now.tx_queue_len),
        promiscuous: changed(original.promiscuous, now.promiscuous),
        all_multicast: changed(original.all_multicast, now.all_multicast),
        // Setting up comes last.
        up: None,
    }
}

/// The PF's mark away, then the VF's own address (K1).
fn addresses(record: &Record, observed: &Observed, progress: Progress) -> Vec<Step> {
    let mut steps = Vec::new();
    let before = record.original.attributes.as_ref();
    let by_interface =
        record.mode == Mode::Kernel || before.is_some_and(|state| state.mac.is_zero());
    // ADD sets only what differs, so an address that is the original is not ADD's.
    let is_changed = before
        .zip(observed.attributes.as_ref())
        .is_none_or(|(before, now)| before.mac != now.mac);
    let own = record
        .original
        .netdev
        .as_ref()
        .zip(observed.netdev.as_ref())
        .filter(|(original, (_, now))| now.address != original.address)
        .and_then(|(original, _)| original.address);
    let is_apart = pinned_apart(record).is_some();
    let in_the_way = record.pf_address().is_some() && by_interface && is_changed;
    if (in_the_way || (own.is_some() && is_apart)) && !progress.cleared {
        steps.push(Step::ClearPfAddress);
    }
    // A PF that does not take its address back gives it to the interface at each start anyway.
    steps.extend(
        own.filter(|_| !(is_apart && progress.clear_refused))
            .map(Step::OwnAddress),
    );
    steps
}

/// The PF's address, if it was set there by an administrator and the interface had another one (K2). The VF's driver
/// takes it at the next start, and may then not give it up.
fn pinned_apart(record: &Record) -> Option<MacAddress> {
    let by_pf = record.original.attributes.as_ref()?.mac;
    let own = record.original.netdev.as_ref()?.address?;
    (!by_pf.is_zero() && by_pf != own).then_some(by_pf)
}

/// Attributes that ADD set and that are not what they were.
fn attributes(record: &Record, observed: &Observed, progress: Progress) -> Vec<VfAttribute> {
    let (Some(before), Some(now)) = (&record.original.attributes, &observed.attributes) else {
        return Vec::new();
    };
    let mut steps: Vec<_> = record
        .attributes
        .iter()
        .filter_map(|attribute| original(attribute, before, now))
        .filter(|attribute| match attribute.holds(now) {
            Some(holds) => !holds,
            None => !progress.untold,
        })
        .collect();
    let own = observed.netdev.as_ref().map(|(_, netdev)| netdev.address);
    let own_is_back = record
        .original
        .netdev
        .as_ref()
        .is_none_or(|original| own == Some(original.address));
    steps.extend(pf_address(record, before, now, progress, own_is_back).map(VfAttribute::Mac));
    steps
}

/// What an attribute was. Where the driver did not tell: the value that gives the VF the least rights.
pub(crate) fn original(
    attribute: &VfAttribute,
    before: &VfState,
    now: &VfState,
) -> Option<VfAttribute> {
    Some(match attribute {
        VfAttribute::Vlan(_) => VfAttribute::Vlan(before.vlan),
        VfAttribute::Rate(_) => VfAttribute::Rate(before.rate),
        VfAttribute::SpoofCheck(_) => VfAttribute::SpoofCheck(before.spoof_check.unwrap_or(true)),
        // What a driver does not tell now, it did not tell before: the Go plugin noted a guess.
        VfAttribute::Trust(_) => {
            VfAttribute::Trust(now.trust.is_some() && before.trust.unwrap_or(false))
        }
        VfAttribute::LinkState(_) => VfAttribute::LinkState(before.link_state),
        VfAttribute::RssQuery(_) => VfAttribute::RssQuery(before.rss_query.unwrap_or(false)),
        VfAttribute::NodeGuid(_) => VfAttribute::NodeGuid(before.node_guid?),
        VfAttribute::PortGuid(_) => VfAttribute::PortGuid(before.port_guid?),
        // See pf_address.
        VfAttribute::Mac(_) => return None,
    })
}

/// The address to write through the PF after the VF's own is back, if one has to be.
///
/// Writing it marks the VF as pinned on igb (K1), so it is written only if it had been set that way: known from the
/// refusal at ADD, or because the driver, once cleared, does not show the VF's own address by itself.
fn pf_address(
    record: &Record,
    before: &VfState,
    now: &VfState,
    progress: Progress,
    own_is_back: bool,
) -> Option<MacAddress> {
    if let Some(by_pf) = pinned_apart(record) {
        let is_wanted = own_is_back || progress.clear_refused;
        return (is_wanted && now.mac != by_pf).then_some(by_pf);
    }
    let set = record.pf_address()?;
    if before.mac.is_zero() {
        // The driver takes no zero: better the VF's own address than one that another pod may get.
        let own = record
            .original
            .netdev
            .as_ref()
            .and_then(|netdev| netdev.address)?;
        return (progress.clear_refused && now.mac == set && set != own).then_some(own);
    }
    let pinned = record.mac_pinned == Some(true) || record.mode == Mode::Userspace;
    if pinned {
        return (!progress.pinned || now.mac != before.mac).then_some(before.mac);
    }
    // Written too early it would keep the VF from taking its own address back.
    (progress.cleared && own_is_back && now.mac != before.mac).then_some(before.mac)
}
