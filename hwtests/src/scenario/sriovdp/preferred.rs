//! GetPreferredAllocation: which devices a pod gets if it wants several of a pool that spans two PFs.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{offers, stage::Stage};
use crate::{
    guest::pod::PodSpec,
    scenario::{demo::start, look},
};

/// The pool's name, and the resource.
const POOL: (&str, &str) = ("any", "intel.com/any");
const POD: &str = "several";

/// Balanced: half from each PF. Packed: all from the PF with fewer free ones, as they fit there.
pub(super) async fn by_policy(stage: &mut Stage<'_>) -> Result<String> {
    let mut rows = Vec::new();
    for (policy, count, wanted) in [("balanced", 6, [3, 3]), ("packed", 5, [5, 0])] {
        offer(stage, policy).await?;
        let seen = given(stage, count).await?;
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

/// One pool of all kernel VFs: five of the first PF, seven of the second.
async fn offer(stage: &mut Stage<'_>, policy: &str) -> Result<()> {
    let names: Vec<String> = stage
        .node
        .hardware
        .pfs
        .iter()
        .map(|pf| pf.name.clone())
        .collect();
    stage.configure(&json!({"resourceList": [{
        "resourceName": POOL.0,
        "selectors": {"pfNames": names, "drivers": ["igbvf"]},
        "preferredAllocation": policy,
    }]}))?;
    let all = stage.vfs(0)[..5].iter().chain(stage.vfs(1));
    offers::wait(POOL.1, all).await?;
    Ok(())
}

/// Devices of each PF that a new pod gets.
async fn given(stage: &Stage<'_>, count: usize) -> Result<[usize; 2]> {
    let client = &stage.node.cluster.client;
    start(stage.node, &PodSpec::new(POD).devices(POOL.1, count)).await?;
    let devices: BTreeMap<String, Vec<String>> = look::devices(POD).await?;
    client.delete_pod(POD, Duration::from_mins(1)).await?;
    let ids = devices.get(POOL.1).context("the pod has no device")?;
    Ok([0, 1].map(|pf| ids.iter().filter(|id| stage.vfs(pf).contains(id)).count()))
}
