//! Without the daemon.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::stage::Stage;
use crate::guest::{
    cluster::{NODE, POD_START},
    pod::PodSpec,
};

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
    let event = refused(stage, "waiting").await?;
    stage.delete_some(&["plain", "leased"]).await?;
    let left = crate::scenario::leftovers::of_pods()?;
    ensure!(
        left.is_empty(),
        "left without the daemon:\n{}",
        left.join("\n")
    );
    stage.restart_daemon(&Value::Null).await?;
    let client = &stage.node.cluster.client;
    let deadline = Instant::now() + POD_START * 2;
    while client.pod("waiting").await?.unwrap_or_default()["status"]["phase"] != "Running" {
        ensure!(
            Instant::now() < deadline,
            "the refused pod does not run with the daemon back"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.link("waiting", "net1").await?;
    stage.delete(&["waiting"]).await?;
    Ok(format!(
        "no lease, record or result left; meanwhile: {event}"
    ))
}

async fn refused(stage: &Stage<'_>, pod: &str) -> Result<String> {
    let deadline = Instant::now() + POD_START;
    loop {
        let events = stage.node.cluster.client.events(pod).await?;
        let told = events.iter().find(|event| {
            event.starts_with("FailedCreatePodSandBox") && event.contains("multus-daemon")
        });
        if let Some(event) = told {
            let from = event.find("multus: ").unwrap_or_default();
            return Ok(event[from..].chars().take(150).collect());
        }
        if Instant::now() > deadline {
            bail!("no event says why {pod} waits:\n{}", events.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
