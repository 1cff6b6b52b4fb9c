//! Live replacement: on a node with the Go programs and pods that they attached, ours go in while pods come and go, delete
//! what the others attached, and leave again for them. Once with Go multus thin, once thick.
//!
//! The Go programs come from the folder that `PEER_BIN` names, and speak to an API server that is real. Without them, the
//! story `deploy` goes in over what they leave on a node, as files.

mod go;
mod ours;
mod pods;
mod steps;

use anyhow::Result;

use self::{go::Go, steps::Stage};
use crate::{
    guest::node::{Base, Options},
    report::Reporter,
    scenario::deploy,
};

pub use go::PEERS;

/// Names of the steps, in order.
pub mod step {
    /// Hardware, runtime, cluster, nothing of ours.
    pub const BASE: &str = "node without us";
    /// Go multus thin, its device plugin and sriov-cni attach three pods.
    pub const THIN: &str = "Go thin, pods alive";
    /// Ours take their place while pods come and go.
    pub const FOR_THIN: &str = "ours for Go thin";
    /// Pods of the Go programs are deleted by ours.
    pub const THIN_DELETED: &str = "Go thin's pods deleted";
    /// Ours leave with their last pod, and Go multus thick comes.
    pub const BACK: &str = "way back, to Go thick";
    /// As for thin.
    pub const FOR_THICK: &str = "ours for Go thick";
    /// The Go daemon starts and ends once more, which takes its file and everybody's sockets away.
    pub const CLEANED: &str = "Go thick cleans up again";
    /// As for thin.
    pub const THICK_DELETED: &str = "Go thick's pods deleted";
    /// The node as it was.
    pub const CLEAN: &str = "node without multus";
}

/// Steps that are skipped where something lacks, without a boot's work for the first.
const STEPS: [&str; 8] = [
    step::THIN,
    step::FOR_THIN,
    step::THIN_DELETED,
    step::BACK,
    step::FOR_THICK,
    step::CLEANED,
    step::THICK_DELETED,
    step::CLEAN,
];

/// Brings the node up and plays the story until its end or its first step that does not hold.
///
/// # Errors
/// When the report cannot be written.
pub async fn play(options: &Options, report: &mut Reporter) -> Result<()> {
    let lacks = if options.assets.is_none() {
        Some("the Go programs want a real API server: KUBEBUILDER_ASSETS names no folder")
    } else if Go::is_in(&options.programs) {
        None
    } else {
        Some("PEER_BIN names no folder with multus, multus-daemon, multus-shim, sriov and sriovdp")
    };
    if let Some(why) = lacks {
        for name in STEPS {
            report.skipped(name, why)?;
        }
        return Ok(());
    }
    let _ = played(options, report).await?;
    Ok(())
}

/// `None` as soon as a step does not hold: what follows builds on it.
async fn played(options: &Options, report: &mut Reporter) -> Result<Option<()>> {
    macro_rules! held {
        ($name:expr, $work:expr) => {
            if report.step($name, $work).await?.is_none() {
                return Ok(None);
            }
        };
    }
    let Some(base) = Base::reported(options, report, step::BASE).await? else {
        return Ok(None);
    };
    let mut stage = Stage::new(&base, options);
    held!(deploy::step::IMAGE, async {
        deploy::steps::images(options)
    });
    held!(step::THIN, stage.go_thin());
    held!(step::FOR_THIN, stage.ours_go_in("thin"));
    held!(step::THIN_DELETED, stage.old_pods_go("thin"));
    held!(step::BACK, stage.back());
    held!(step::FOR_THICK, stage.ours_go_in("thick"));
    held!(step::CLEANED, stage.go_cleans_up());
    held!(step::THICK_DELETED, stage.old_pods_go("thick"));
    held!(step::CLEAN, stage.leave());
    Ok(Some(()))
}
