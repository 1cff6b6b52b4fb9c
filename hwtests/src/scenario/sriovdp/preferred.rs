//! GetPreferredAllocation: which devices a pod gets if it wants several of a pool that spans two PFs.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{offers, stage::Stage};
use crate::{
    guest::pod::PodSpec,
    scenario::{demo::start, look},
};

const POD: &str = "several";

/// Balanced: half from each PF. Packed: all from the PF with fewer free ones, as they fit there.
pub(super) async fn by_policy(stage: &mut Stage<'_>) -> Result<String> {
    let mut rows = Vec::new();
    for (policy, count, wanted) in [("balanced", 6, [3, 3]), ("packed", 5, [5, 0])] {
        offer(stage, policy).await?;
        let seen = given(stage, policy, count).await?;
        ensure!(
            seen == wanted,
            "{policy}: a pod that wants {count} gets {seen:?} of the two PFs, wanted {wanted:?}"
        );
        rows.push(format!(
            "{policy}: {count} devices are {} + {}",
            seen[0], seen[1]
        ));
    }
    stage.configure(&stage.pools())?;
    stage.wait_all().await?;
    Ok(rows.join(", "))
}

/// One pool of all kernel VFs: five of the first PF, seven of the second. Its name is the policy's, so that the kubelet
/// shows when the configuration counts.
async fn offer(stage: &mut Stage<'_>, policy: &str) -> Result<()> {
    let names: Vec<String> = stage
        .node
        .hardware
        .pfs
        .iter()
        .map(|pf| pf.name.clone())
        .collect();
    stage.configure(&json!({"resourceList": [{
        "resourceName": policy,
        "selectors": {"pfNames": names, "drivers": ["igbvf"]},
        "preferredAllocation": policy,
    }]}))?;
    let all = stage.vfs(0)[..5].iter().chain(stage.vfs(1));
    offers::wait(&resource(policy), all).await?;
    Ok(())
}

/// Devices of each PF that a new pod gets.
async fn given(stage: &Stage<'_>, policy: &str, count: usize) -> Result<[usize; 2]> {
    let client = &stage.node.cluster.client;
    start(
        stage.node,
        &PodSpec::new(POD).devices(&resource(policy), count),
    )
    .await?;
    let devices: BTreeMap<String, Vec<String>> = look::devices(POD).await?;
    client.delete_pod(POD, Duration::from_mins(1)).await?;
    let ids = devices
        .get(&resource(policy))
        .context("the pod has no device")?;
    Ok([0, 1].map(|pf| ids.iter().filter(|id| stage.vfs(pf).contains(id)).count()))
}

fn resource(policy: &str) -> String {
    format!("intel.com/{policy}")
}
