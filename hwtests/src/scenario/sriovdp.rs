//! `sriovdp` on hardware that changes while pods run.

use anyhow::Result;

use crate::{
    guest::node::{Node, Options},
    report::Reporter,
};

/// Plays the story.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
#[expect(clippy::unused_async, reason = "first rows follow")]
pub async fn play(node: &mut Node, options: &Options, report: &mut Reporter) -> Result<()> {
    let _ = (node, options, report);
    Ok(())
}
