//! `sriov` killed at every point, and what a runtime, an admin or a reboot does next.

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
