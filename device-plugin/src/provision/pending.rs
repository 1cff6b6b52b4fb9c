//! What the serving process withholds: VFs that provisioning has not made what they are to be.

use std::collections::BTreeMap;

use host::pci::PciAddress;

use super::{
    observe::Function,
    plan::{Decision, Outcome, plan},
    usage::Usage,
};
use crate::{
    config::{Provision, ResourceName},
    inventory::{Allocated, Listing},
};

/// Functions that are not offered yet, and why. They are offered as soon as nothing of the plan is left.
///
/// A PF that provisioning leaves alone (the node's own NIC) withholds nothing.
pub fn pending(entries: &[Provision], functions: &[Function]) -> BTreeMap<PciAddress, String> {
    // Who uses a VF does not change what it is to be.
    let decisions = plan(entries, functions, &Usage::default());
    let mut pending = BTreeMap::new();
    for decision in decisions {
        let Decision {
            address,
            incomplete,
            differing,
            outcome,
            ..
        } = decision;
        if matches!(outcome, Outcome::Matches | Outcome::Skipped(_)) {
            continue;
        }
        if let Some(why) = incomplete {
            let sriov = functions
                .iter()
                .find(|function| function.bound.address == address)
                .and_then(|function| function.sriov.as_ref());
            let vfs = sriov.into_iter().flat_map(|sriov| sriov.vfs.values());
            pending.extend(vfs.map(|vf| (vf.address, why.clone())));
            pending.insert(address, why);
        }
        pending.extend(differing);
    }
    pending
}

/// Takes pending devices out of what pools offer, except from pods that hold them.
pub fn withhold(
    pools: &mut BTreeMap<ResourceName, Listing>,
    pending: &BTreeMap<PciAddress, String>,
    allocated: &Allocated,
) {
    for (name, listing) in pools {
        let held = allocated.get(&name.to_string());
        listing.retain(|id, _| {
            let is_pending = id
                .pci()
                .is_some_and(|address| pending.contains_key(&address));
            !is_pending || held.is_some_and(|held| held.contains(id))
        });
    }
}
