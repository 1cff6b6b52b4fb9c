//! What the programs cost in this run: for the report, never asserted.

use std::fs;

use anyhow::Result;

use crate::{guest::node::Node, report::Reporter};

/// Reports resident memory of both daemons and the sizes of the installed plugins.
///
/// # Errors
/// When the report cannot be written.
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
        // A story may have removed it.
        if let Ok(file) = fs::metadata(format!("/opt/cni/bin/{name}")) {
            report.head(name, &format!("{} bytes", file.len()))?;
        }
    }
    Ok(())
}
