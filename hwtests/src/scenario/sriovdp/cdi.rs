//! CDI in the real container runtime: device nodes by name, in the field of the kubelet's answer or in annotations.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{offers, stage::Stage};
use crate::{
    guest::{hardware::iommu_group, pod::PodSpec},
    scenario::{
        demo::{start, traffic::testpmd},
        look,
    },
};

/// Two pools of one prefix with a vfio VF each.
const POOLS: [&str; 2] = ["dpdk_a", "dpdk_b"];
/// The name that [`testpmd`] runs in.
const POD: &str = "dpdk";
/// Where specifications are.
const SPECIFICATIONS: &str = "/var/run/cdi";

/// A DPDK container gets its VFIO group by `cdi_devices` alone; one with two pools of one prefix gets both, by field
/// and by annotation; the specifications go with the pods.
pub(super) async fn in_containerd(stage: &mut Stage<'_>) -> Result<String> {
    let mut pools = stage.pools();
    let first = stage.node.hardware.pfs[0].name.clone();
    let list = pools["resourceList"].as_array_mut().context("no list")?;
    list.remove(1);
    for (name, index) in POOLS.into_iter().zip([5, 6]) {
        list.push(json!({
            "resourceName": name,
            "selectors": {"pfNames": [format!("{first}#{index}")], "drivers": ["vfio-pci"]},
        }));
    }
    stage.configure(&pools)?;
    restart(stage, "field").await?;
    let sent = with_one_pool(stage).await?;
    let by_field = with_two_pools(stage).await?;
    let by_annotation = if stage.options.long {
        restart(stage, "annotations").await?;
        with_two_pools(stage).await?
    } else {
        "not tried (--long)".to_owned()
    };
    stage.configure(&stage.pools())?;
    stage.restart(&[]).await?;
    stage.wait_all().await?;
    Ok(format!(
        "cdi_devices alone: testpmd sent {sent} packets; two pools of one prefix: {by_field} by field, {by_annotation} \
         by annotation"
    ))
}

/// The next generation, which answers so; both pools are there.
async fn restart(stage: &mut Stage<'_>, answer: &str) -> Result<()> {
    stage
        .restart(&["--use-cdi", "--cdi-answer", answer])
        .await?;
    for (name, vf) in POOLS.into_iter().zip(&stage.vfs(0)[5..]) {
        offers::wait(&format!("intel.com/{name}"), [vf]).await?;
    }
    Ok(())
}

async fn with_one_pool(stage: &Stage<'_>) -> Result<u64> {
    let resource = format!("intel.com/{}", POOLS[0]);
    start(stage.node, &PodSpec::new(POD).devices(&resource, 1).dpdk()).await?;
    let vf = stage.device_of(POD, &resource).await?;
    let groups = [iommu_group(&vf)?];
    sees(stage, &groups).await?;
    ensure!(
        specifications()?.len() == 1,
        "one device is given, {SPECIFICATIONS} has {:?}",
        specifications()?
    );
    let peer = stage.node.baseline[&stage.vfs(1)[0]].mac.clone();
    let sent = testpmd(stage.node, &vf, &peer).await?;
    end(stage).await?;
    Ok(sent)
}

async fn with_two_pools(stage: &Stage<'_>) -> Result<String> {
    let [a, b] = POOLS.map(|name| format!("intel.com/{name}"));
    let pod = PodSpec::new(POD).devices(&a, 1).devices(&b, 1).dpdk();
    start(stage.node, &pod).await?;
    let mut groups = Vec::new();
    for vf in look::devices(POD).await?.into_values().flatten() {
        groups.push(iommu_group(&vf)?);
    }
    ensure!(groups.len() == 2, "the pod has {groups:?} of two pools");
    sees(stage, &groups).await?;
    end(stage).await?;
    Ok(format!("/dev/vfio/{{{}}}", groups.join(",")))
}

/// The container has these groups and the container device of VFIO, no more.
async fn sees(stage: &Stage<'_>, groups: &[String]) -> Result<()> {
    let words = ["/bin/ls", "/dev/vfio"];
    let listed = stage
        .node
        .runtime
        .run(POD, &words, Duration::from_secs(10))
        .await?;
    let listed: BTreeSet<&str> = listed.split_whitespace().collect();
    let wanted: BTreeSet<&str> = groups.iter().map(String::as_str).chain(["vfio"]).collect();
    ensure!(
        listed == wanted,
        "the pod sees {listed:?} in /dev/vfio, wanted {wanted:?}"
    );
    Ok(())
}

async fn end(stage: &Stage<'_>) -> Result<()> {
    let client = &stage.node.cluster.client;
    client.delete_pod(POD, Duration::from_mins(1)).await?;
    for _ in 0..300 {
        if specifications()?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!(
        "30 s after the pod's end {SPECIFICATIONS} still has {:?}",
        specifications()?
    )
}

fn specifications() -> Result<Vec<String>> {
    let entries = match fs::read_dir(SPECIFICATIONS) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {SPECIFICATIONS}"))?,
    };
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("sriov-dp-"))
        .collect())
}
