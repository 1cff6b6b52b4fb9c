//! Without the daemon.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::stage::Stage;
use crate::guest::{cluster::NODE, pod::PodSpec};

/// A plain pod starts and goes, a pod with networks goes and leaves nothing, one that asks for networks is told why it
/// must wait, and runs when the daemon is back.
pub(super) async fn daemon_dead(stage: &mut Stage<'_>) -> Result<String> {
    stage
        .start(&[PodSpec::new("leased").networks("macvlan-leased,bridge-nad")])
        .await?;
    stage.node.multus_daemon.kill()?;
    let client = &stage.node.cluster.client;
    client
        .create(
            &PodSpec::new("waiting")
                .networks("macvlan-leased")
                .manifest(NODE),
        )
        .await?;
    stage.start(&[PodSpec::new("plain")]).await?;
    let event = stage.refused("waiting", "multus-daemon").await?;
    stage.delete_some(&["plain", "leased"]).await?;
    let left = crate::scenario::leftovers::of_pods()?;
    ensure!(
        left.is_empty(),
        "left without the daemon:\n{}",
        left.join("\n")
    );
    stage.restart_daemon(&Value::Null).await?;
    stage.runs("waiting").await?;
    stage.link("waiting", "net1").await?;
    stage.delete(&["waiting"]).await?;
    Ok(format!(
        "no lease, record or result left; meanwhile: {event}"
    ))
}
