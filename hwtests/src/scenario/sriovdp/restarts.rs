//! Restarts: of the kubelet, many in a row, and of the device plugin, two generations at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{offers::seconds, stage::Stage};
use crate::{
    guest::pod::PodSpec,
    scenario::demo::{networks::STORAGE, start},
};

/// Time for the end of a generation.
const STOP: Duration = Duration::from_secs(10);

/// The kubelet restarts; every pool is back each time, and a pod gets a device after the last.
pub(super) async fn of_the_kubelet(stage: &mut Stage<'_>, times: usize) -> Result<String> {
    let mut took = Vec::new();
    for _ in 0..times {
        stage.node.cluster.restart_kubelet().await?;
        took.push(stage.wait_all().await?);
    }
    took.sort_unstable();
    allocates(stage, "after-restarts").await?;
    Ok(format!(
        "{times} restarts: all pools back after {} (median), {} at most; a pod gets a device",
        seconds(took[took.len() / 2]),
        seconds(took[took.len() - 1])
    ))
}

/// A pod gets a device now.
async fn allocates(stage: &Stage<'_>, name: &str) -> Result<()> {
    let client = &stage.node.cluster.client;
    start(stage.node, &PodSpec::new(name).devices(STORAGE, 1)).await?;
    client.delete_pod(name, Duration::from_mins(1)).await
}

/// The next generation starts before the earlier one ends; then the later one of two ends first.
pub(super) async fn two_generations(stage: &mut Stage<'_>) -> Result<String> {
    let next = stage.start(&[])?;
    follows(&next).await?;
    stage.wait_all().await?;
    let began = Instant::now();
    stage.node.sriovdp.terminate(STOP).await?;
    let ended = began.elapsed();
    stage.node.sriovdp = next;
    let after_old = stage.wait_all().await?;
    allocates(stage, "after-overlap").await?;

    let mut later = stage.start(&[])?;
    follows(&later).await?;
    stage.wait_all().await?;
    later.terminate(STOP).await?;
    let after_new = stage.wait_all().await?;
    allocates(stage, "after-rollback").await?;
    Ok(format!(
        "old one ended in {}, pools complete {} later; new one ended first: complete {} later; a pod gets a device each time",
        seconds(ended),
        seconds(after_old),
        seconds(after_new)
    ))
}

/// Waits until the kubelet follows all three pools of this generation.
async fn follows(service: &crate::guest::service::Service) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let log = service.log()?;
        let followed = log
            .lines()
            .filter(|line| line.contains("the kubelet follows the list"))
            .count();
        if followed >= 3 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the kubelet follows {followed} of 3 pools of the new generation:\n{}",
            service.tail()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
