//! The networks that pods ask multus for, each as a pod uses it: what upstream's end-to-end tests print, and what
//! running the Go programs showed, as assertions.

mod chain;
mod crowd;
mod devices;
mod outage;
mod routes;
mod simple;
mod stage;

use anyhow::Result;

use self::stage::Stage;
use crate::{
    guest::node::{Node, Options},
    report::Reporter,
};

/// Plays the story. Steps do not build on each other, and each takes its pods away.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(node: &mut Node, options: &Options, report: &mut Reporter) -> Result<()> {
    let stage = &mut Stage { node, options };
    macro_rules! step {
        ($name:expr, $work:expr) => {
            if report.step($name, $work).await?.is_none() {
                if let Err(error) = stage.reset().await {
                    report.note(format!("and the node does not come back: {error:#}"))?;
                }
            }
        };
    }
    step!("networks", stage.networks());
    step!("simple pod", simple::plain(stage));
    step!("two macvlan pods", simple::two_macvlan_pods(stage));
    step!("static pod", simple::static_pod(stage));
    step!("default-route (K10)", routes::default_route(stage));
    step!("plugins of a folder", chain::plugins_of_a_folder(stage));
    step!("connection limit", crowd::connection_limit(stage));
    step!("many pods at once", crowd::density(stage));
    step!(
        "the cause comes first (K11)",
        devices::the_cause_comes_first(stage)
    );
    step!(
        "a container's device (K12)",
        devices::in_the_containers_order(stage)
    );
    step!("daemon dead (K7)", outage::daemon_dead(stage));
    // The last one: it takes multus from the node.
    step!("auxiliary chain", chain::auxiliary_chain(stage));
    Ok(())
}
