//! What happens to a VF besides crashes: namespaces lost, names changed, disks full, errors of the driver.
//!
//! Each scenario is a step. It begins with free VFs; afterwards each VF must be as it was and no file may be left,
//! whatever the scenario itself looked at.

pub mod disk;
pub mod fallback;
pub mod functions;
pub mod interop;
pub mod names;
pub mod namespaces;
pub mod network;
pub mod owners;
pub mod protocol;
pub mod refusals;
pub mod removed;
pub mod rig;
pub mod soak;
pub mod table;

use anyhow::Result;

use self::rig::Rig;
use crate::{guest::machine::Machine, report::Reporter};

/// A scenario: what it is called, and what it does.
type Scenario = (&'static str, fn(&Rig<'_>) -> Result<String>);

/// The scenarios in their order.
const SCENARIOS: &[&[Scenario]] = &[
    functions::ALL,
    namespaces::ALL,
    owners::ALL,
    names::ALL,
    disk::ALL,
    table::ALL,
    refusals::ALL,
    network::ALL,
    protocol::ALL,
    fallback::ALL,
    removed::ALL,
];

/// Attachments of the soak: VFs and software, in the spread and in all of it. Software needs no NIC: `make soak` makes
/// 10,000 of them on the machine's own kernel.
const SOAK: [(usize, usize); 2] = [(40, 40), (2_000, 300)];

/// Plays the story.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(machine: &Machine, report: &mut Reporter) -> Result<()> {
    let rig = Rig::new(machine)?;
    for (name, scenario) in SCENARIOS.iter().copied().flatten() {
        report.step(name, async { played(&rig, scenario) }).await?;
    }
    for (name, scenario) in interop::ALL {
        if rig.peer.is_some() {
            report.step(name, async { played(&rig, scenario) }).await?;
        } else {
            report.skipped(name, "PEER_BIN names no folder with the Go program")?;
        }
    }
    let (vfs, software) = SOAK[usize::from(machine.long)];
    let on_vfs = async { played(&rig, &|rig| soak::vfs(rig, vfs)) };
    report.step("soak of VFs", on_vfs).await?;
    let in_software = async { played(&rig, &|rig| soak::software(rig, software)) };
    report.step("soak of the fallback", in_software).await?;
    Ok(())
}

fn played(rig: &Rig<'_>, scenario: &dyn Fn(&Rig<'_>) -> Result<String>) -> Result<String> {
    let before = rig.see()?;
    let observed = scenario(rig).and_then(|observed| {
        rig.is_back(&before)?;
        Ok(observed)
    });
    rig.sweep(&before, observed.is_err())?;
    observed
}
