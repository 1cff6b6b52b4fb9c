//! multus over its life on a node with a real container runtime: installed, killed, upgraded, removed while pods live.
//! At no step is a plain pod or a deletion blocked, and no step needs a script that cleans up.

mod outage;
mod steps;
mod upgrade;
mod without_daemon;

use anyhow::Result;

use crate::{
    guest::node::{Node, Options},
    report::Reporter,
};

/// Names of the steps, in order.
pub mod step {
    /// `multus-daemon install` in place of what the demo writes by hand.
    pub const INSTALL: &str = "multus installed";
    /// A plain pod, one with a VF, one with macvlan.
    pub const PODS: &str = "multus: three pods";
    /// Plain pods run, the node stays ready, others are refused with the reason.
    pub const KILLED: &str = "daemon killed";
    /// A rewritten configuration is taken while a refused pod is tried again and again.
    pub const REWRITTEN: &str = "configuration rewritten";
    /// Pods with networks are deleted with full restore.
    pub const DELETED: &str = "deleted without daemon";
    /// The refused pod runs.
    pub const BACK: &str = "daemon back";
    /// A daemon that answers nobody holds up only the pods that need it.
    pub const FROZEN: &str = "daemon frozen";
    /// Known networks are attached without the API server.
    pub const OUTAGE: &str = "API outage";
    /// Another release takes over while pods are made, and the first one again.
    pub const UPGRADE: &str = "upgrade under load";
    /// Removed while pods live.
    pub const UNINSTALL: &str = "uninstall, pods alive";
    /// The last pod takes multus with it.
    pub const LAST: &str = "last pod gone";
    /// The node as it was.
    pub const CLEAN: &str = "node without multus";
}

/// Plays the story until its end or its first step that does not hold.
///
/// # Errors
/// When the report cannot be written.
pub async fn play(node: &mut Node, options: &Options, report: &mut Reporter) -> Result<()> {
    let _ = played(node, options, report).await?;
    Ok(())
}

/// `None` as soon as a step does not hold: what follows builds on it.
async fn played(node: &mut Node, options: &Options, report: &mut Reporter) -> Result<Option<()>> {
    macro_rules! held {
        ($name:expr, $work:expr) => {
            if report.step($name, $work).await?.is_none() {
                return Ok(None);
            }
        };
    }
    held!(step::INSTALL, steps::install(node, options));
    held!(step::PODS, steps::pods(node));
    held!(step::KILLED, without_daemon::killed(node));
    held!(step::REWRITTEN, without_daemon::rewritten(node));
    held!(step::DELETED, steps::deleted(node));
    held!(step::BACK, steps::back(node, options));
    held!(step::FROZEN, without_daemon::frozen(node, options));
    held!(step::OUTAGE, outage::api_outage(node, options));
    held!(step::UPGRADE, upgrade::under_load(node, options));
    held!(step::UNINSTALL, steps::uninstall(node));
    held!(step::LAST, steps::last(node));
    held!(step::CLEAN, steps::clean(node));
    Ok(Some(()))
}
