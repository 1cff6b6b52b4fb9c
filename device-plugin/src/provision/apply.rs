//! Doing steps: one after the other, each with a deadline on a thread of its own, because a driver can
//! block a write to `sriov_numvfs` for ever and no signal ends that.

mod kernel;

use std::path::Path;

use host::{
    error::{Error, Result},
    netlink::{link::Link, vf::VfState},
    pci::PciAddress,
    sriov,
    sysfs::Sysfs,
};

use super::step::{Attribute, LinkChange, Owner, Step, Value};

pub use kernel::Kernel;

/// What changes the node and asks what only root may ask.
pub trait Hands {
    /// Writes to a file below the root of sysfs.
    fn write(&self, path: &str, value: &str) -> Result<()>;

    /// Changes the interface of a function, waiting for it to appear, and reads it back.
    fn change_link(&self, function: PciAddress, change: LinkChange) -> Result<()>;

    /// Waits until the interface of a function has a carrier; false if it gets none.
    fn wait_for_carrier(&self, function: PciAddress) -> Result<bool>;

    /// Whether nobody has a VFIO group open.
    fn is_free(&self, group: &Path) -> Result<bool>;

    /// What the PF's driver tells about its VFs.
    fn attributes(&self, pf: PciAddress) -> Result<Vec<VfState>>;

    /// The interface of a function in the host's namespace.
    fn interface(&self, function: PciAddress) -> Result<Option<Link>>;
}

/// A step that did not work.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub(super) struct Failed {
    step: String,
    #[source]
    source: Error,
}

/// Does the steps in order and stops at the first that fails. Returns what is worth telling.
pub(super) fn apply(
    hands: &dyn Hands,
    sysfs: &Sysfs,
    steps: &[Step],
) -> std::result::Result<Vec<String>, Failed> {
    let mut notes = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let done = match one(hands, sysfs, step) {
            Ok(()) if is_up(step) && place + 1 < steps.len() => carrier(hands, step, &mut notes),
            done => done,
        };
        if let Err(source) = done {
            restore_autoprobe(hands, steps, place);
            return Err(Failed {
                step: step.to_string(),
                source,
            });
        }
    }
    Ok(notes)
}

fn one(hands: &dyn Hands, sysfs: &Sysfs, step: &Step) -> Result<()> {
    match step {
        Step::Write(to, Value::Text(text)) => hands.write(&to.path(), text),
        Step::Write(to, Value::AddressOf(owner)) => {
            hands.write(&to.path(), &address(sysfs, owner)?.to_string())
        }
        Step::Link(owner, change) => hands.change_link(address(sysfs, owner)?, *change),
    }
}

/// The kernel's own answer, now that the VF exists.
fn address(sysfs: &Sysfs, owner: &Owner) -> Result<PciAddress> {
    match owner {
        Owner::Function(address, _) => Ok(*address),
        Owner::Vf(vf) => sriov::vf_of(sysfs, vf.pf, vf.index),
    }
}

fn is_up(step: &Step) -> bool {
    matches!(step, Step::Link(_, LinkChange::Up))
}

/// igbvf does not find a PF without carrier (seen with the 82576); others do not mind.
fn carrier(hands: &dyn Hands, step: &Step, notes: &mut Vec<String>) -> Result<()> {
    if let Step::Link(Owner::Function(address, _), _) = step
        && !hands.wait_for_carrier(*address)?
    {
        notes.push("it has no carrier".to_owned());
    }
    Ok(())
}

/// A failure in between must not leave the PF's switch off: VFs made later would get no driver.
fn restore_autoprobe(hands: &dyn Hands, steps: &[Step], failed: usize) {
    let switches = |step: &&Step, wanted: &str| {
        matches!(step, Step::Write(Attribute::Of(_, "sriov_drivers_autoprobe"), Value::Text(value))
            if value == wanted)
    };
    let is_off = steps[..failed].iter().any(|step| switches(&step, "0"))
        && !steps[..failed].iter().any(|step| switches(&step, "1"));
    let on = steps[failed..].iter().find(|step| switches(step, "1"));
    if let Some(Step::Write(to, Value::Text(value))) = on.filter(|_| is_off) {
        // The first error is the one to tell; the next run switches it on again.
        let _tried = hands.write(&to.path(), value);
    }
}
