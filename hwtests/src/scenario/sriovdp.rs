//! `sriovdp` on hardware that changes: counts, drivers, cables, configurations, restarts. The slow reconcile is
//! switched off, so events must do it; each step prints how long the kubelet waited.

mod cdi;
mod changes;
mod fallback;
mod held;
mod host_nic;
mod offers;
mod preferred;
mod provision;
mod restarts;
mod stage;
mod unprivileged;

use anyhow::Result;

use self::stage::Stage;
use crate::{
    guest::node::{Node, Options},
    report::Reporter,
};

/// Plays the story. Steps do not build on each other; one that does not hold may leave others nothing to hold.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(node: &mut Node, options: &Options, report: &mut Reporter) -> Result<()> {
    let mut stage = None;
    report
        .step("sriovdp: set up", async {
            let set = Stage::set(node, options).await?;
            stage = Some(set);
            Ok("ConfigMap in place, slow reconcile off".to_owned())
        })
        .await?;
    let Some(mut stage) = stage else {
        return Ok(());
    };
    let stage = &mut stage;
    macro_rules! step {
        ($name:expr, $work:expr) => {
            if report.step($name, $work).await?.is_none() {
                if let Err(error) = stage.reset().await {
                    report.note(format!("and the pools do not come back: {error:#}"))?;
                }
            }
        };
    }
    let brief = stage.node.cluster.is_real() && !options.long;
    step!("VF count", changes::vf_count(stage));
    step!("preferred allocation", preferred::by_policy(stage));
    let times = match (options.long, brief) {
        (true, _) => 20,
        (false, false) => 5,
        (false, true) => 1,
    };
    step!("kubelet restarts", restarts::of_the_kubelet(stage, times));
    step!("two generations", restarts::two_generations(stage));
    if brief {
        // The rest depends on the kubelet no more than on its stand-in.
        return Ok(());
    }
    step!("driver rebind", changes::driver_rebind(stage));
    step!("ConfigMap edit", changes::config_edit(stage));
    let cables = &mut report.inside()?;
    step!("PF carrier", changes::carrier(stage, cables));
    step!("held VF removed", held::removed_and_created_again(stage));
    step!("default route", host_nic::never_advertised(stage));
    step!("no privilege", unprivileged::serves(stage));
    step!("CDI", cdi::in_containerd(stage));
    step!("software fallback", fallback::end_to_end(stage));
    step!("provision", provision::from_zero(stage));
    step!("provision refused", provision::refusals(stage));
    if provision::is_kept() {
        provision::ask_for_a_reboot(report)?;
    }
    Ok(())
}

/// Whether the disk holds what a reboot must bring again.
pub fn waits_for_reboot() -> bool {
    provision::is_kept()
}

/// What follows a reboot, on hardware that nobody has touched yet.
///
/// # Errors
/// When the report cannot be written.
pub async fn after_reboot(options: &Options, report: &mut Reporter) -> Result<()> {
    report
        .step("provision after reboot", async {
            provision::after_reboot(options)
        })
        .await?;
    Ok(())
}
