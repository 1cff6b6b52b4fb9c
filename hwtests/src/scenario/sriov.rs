//! What happens to a VF besides crashes: namespaces lost, names changed, disks full, errors of the driver.
//!
//! Each scenario is a step. It begins with free VFs; afterwards each VF must be as it was and no file may be left,
//! whatever the scenario itself looked at.

pub mod disk;
pub mod functions;
pub mod names;
pub mod namespaces;
pub mod network;
pub mod owners;
pub mod protocol;
pub mod refusals;
pub mod rig;

use anyhow::Result;

use self::rig::Rig;
use crate::{
    guest::{cni::Plugin, machine::Machine},
    report::Reporter,
};

/// A scenario: what it is called, and what it does.
type Scenario = (&'static str, fn(&Rig<'_>) -> Result<String>);

/// The scenarios in their order.
const SCENARIOS: &[&[Scenario]] = &[
    functions::ALL,
    namespaces::ALL,
    owners::ALL,
    names::ALL,
    disk::ALL,
    refusals::ALL,
    network::ALL,
    protocol::ALL,
];

/// Plays the story.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(machine: &Machine, report: &mut Reporter) -> Result<()> {
    let rig = Rig {
        machine,
        sriov: Plugin::new(&rig::fast_copy(&machine.programs, "sriov")?),
    };
    for (name, scenario) in SCENARIOS.iter().copied().flatten() {
        report.step(name, async { played(&rig, *scenario) }).await?;
    }
    Ok(())
}

fn played(rig: &Rig<'_>, scenario: fn(&Rig<'_>) -> Result<String>) -> Result<String> {
    let before = rig.see()?;
    let observed = scenario(rig).and_then(|observed| {
        rig.is_back(&before)?;
        Ok(observed)
    });
    rig.sweep(&before, observed.is_err())?;
    observed
}
