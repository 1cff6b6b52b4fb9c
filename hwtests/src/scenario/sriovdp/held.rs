//! A VF that goes while a pod has it, and comes back.

use std::time::Duration;

use anyhow::Result;

use super::{
    changes::{set_count, settle},
    offers::{self, seconds},
    stage::Stage,
};
use crate::{
    guest::pod::{PodSpec, network},
    scenario::{
        demo::{networks::STORAGE, start},
        leftovers,
    },
};

const POD: &str = "held";

/// The VF count goes to 0 and 7 under a pod with a VF. The kubelet must go on counting the device, must not give it to
/// anyone, not even after a restart of the device plugin, and must offer it again once the pod is gone.
pub(super) async fn removed_and_created_again(stage: &mut Stage<'_>) -> Result<String> {
    let client = &stage.node.cluster.client;
    let config = r#"{"cniVersion":"1.0.0","name":"held","type":"sriov","vlan":7}"#;
    client
        .create(&network("held", Some(STORAGE), config))
        .await?;
    let pod = PodSpec::new(POD).networks("held").devices(STORAGE, 1);
    start(stage.node, &pod).await?;
    let held = stage.device_of(POD, STORAGE).await?;
    let pf = stage.node.hardware.pfs[1].clone();
    let all = pf.vfs.len();

    set_count(&pf.address, 0)?;
    let gone = offers::wait(STORAGE, [""; 0]).await?;
    offers::wait_counts(stage.node, STORAGE, (1, 0)).await?;

    set_count(&pf.address, all)?;
    let others: Vec<&String> = pf.vfs.iter().filter(|vf| **vf != held).collect();
    let back = offers::wait(STORAGE, &others).await?;
    offers::wait_counts(stage.node, STORAGE, (all, all - 1)).await?;

    stage.restart(&[]).await?;
    offers::wait(STORAGE, &others).await?;
    offers::wait_counts(stage.node, STORAGE, (all, all - 1)).await?;

    stage
        .node
        .cluster
        .client
        .delete_pod(POD, Duration::from_mins(1))
        .await?;
    let free = stage.wait_all().await?;
    settle(stage, 1)?;
    let left = leftovers::of_pods()?;
    anyhow::ensure!(left.is_empty(), "left on the node:\n{}", left.join("\n"));
    Ok(format!(
        "{held} of pod {POD}: count 0 seen after {}, listed unhealthy; count {all}: the others after {}, it stays \
         unhealthy, after a restart too; offered again {} after the pod's end",
        seconds(gone),
        seconds(back),
        seconds(free)
    ))
}
