//! Several pods at once.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::guest::pod::PodSpec;

/// A daemon that serves one request at a time makes others wait and refuses none.
pub(super) async fn connection_limit(stage: &mut Stage<'_>) -> Result<String> {
    stage.restart_daemon(&json!({"connectionLimit": 1})).await?;
    let (count, ms) = crowd(stage, "limit", if stage.options.long { 16 } else { 6 }).await?;
    stage.restart_daemon(&Value::Null).await?;
    Ok(format!(
        "{count} pods, one request at a time, all run after {ms} ms"
    ))
}

/// Pods with a leased address each, made and deleted together.
pub(super) async fn density(stage: &Stage<'_>) -> Result<String> {
    let (count, ms) = crowd(stage, "dense", if stage.options.long { 48 } else { 10 }).await?;
    let (rss, peak) = stage.node.multus_daemon.memory_kb()?;
    Ok(format!(
        "{count} pods run after {ms} ms; multus-daemon {rss} kB, at most {peak} kB"
    ))
}

async fn crowd(stage: &Stage<'_>, prefix: &str, count: usize) -> Result<(usize, u128)> {
    let names: Vec<String> = (0..count)
        .map(|index| format!("{prefix}-{index}"))
        .collect();
    let pods: Vec<PodSpec> = names
        .iter()
        .map(|name| PodSpec::new(name).networks("macvlan-leased"))
        .collect();
    let started = std::time::Instant::now();
    stage.start(&pods).await?;
    let took = started.elapsed().as_millis();
    let mut addresses = BTreeSet::new();
    for name in &names {
        addresses.extend(
            stage
                .link(name, "net1")
                .await?
                .ips
                .into_iter()
                .filter(|ip| ip.contains('.')),
        );
    }
    ensure!(
        addresses.len() == count,
        "{count} pods have the addresses {addresses:?}"
    );
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.delete(&names).await?;
    Ok((count, took))
}
