//! What happens to a VF besides crashes: namespaces lost, names changed, disks full, errors of the driver.

use anyhow::Result;

use crate::{guest::machine::Machine, report::Reporter};

/// Plays the story.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
#[expect(clippy::unused_async, reason = "first rows follow")]
pub async fn play(machine: &Machine, report: &mut Reporter) -> Result<()> {
    let _ = (machine, report);
    Ok(())
}
