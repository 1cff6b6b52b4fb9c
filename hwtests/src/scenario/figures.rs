//! What the programs cost in this run: for the report, never asserted.

use std::fs;

use anyhow::{Context, Result};

use crate::{guest::node::Node, report::Reporter};

/// Reports resident memory of both daemons and the sizes of the installed plugins.
///
/// # Errors
/// When the report cannot be written or a daemon is gone.
pub fn report(node: &Node, report: &mut Reporter) -> Result<()> {
    for (name, service) in [
        ("sriovdp", &node.sriovdp),
        ("multus-daemon", &node.multus_daemon),
    ] {
        if let Ok((now, peak)) = service.memory_kb() {
            report.head(name, &format!("{now} kB resident, {peak} kB at most"))?;
        }
    }
    for name in ["multus", "sriov"] {
        let path = format!("/opt/cni/bin/{name}");
        let bytes = fs::metadata(&path)
            .with_context(|| format!("look at {path}"))?
            .len();
        report.head(name, &format!("{bytes} bytes"))?;
    }
    Ok(())
}
