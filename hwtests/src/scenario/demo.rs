//! The main job as one story: pods ask for networks and get real VFs, use them, and give them back as they were.

pub mod networks;
pub mod traffic;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};

use self::networks::{DPDK, KERNEL, STORAGE};
use super::{leftovers, look};
use crate::{
    guest::{
        cluster::POD_START,
        hardware::differences,
        node::{Base, VFS_PER_PF},
        pod::PodSpec,
    },
    report::{Line, Reporter},
};

/// Names of the steps, in order; the honesty test names the one at which a fault must be found.
pub mod step {
    /// PFs, VFs and IOMMU groups are there.
    pub const HARDWARE: &str = "hardware";
    /// The node advertises the pools.
    pub const ADVERTISE: &str = "pools advertised";
    /// Two pods with a VF in VLAN 100.
    pub const VLAN_100: &str = "two pods, VLAN 100";
    /// They reach each other, a third in VLAN 200 does not reach them.
    pub const PING: &str = "ping and isolation";
    /// A DPDK pod sends through its VF.
    pub const DPDK: &str = "DPDK pod";
    /// Several networks in one pod.
    pub const MANY: &str = "two VFs and macvlan";
    /// The software networks and the manual's pod.
    pub const SOFTWARE: &str = "ipvlan, manual's pod";
    /// Each network-status is true.
    pub const STATUS: &str = "network-status";
    /// Everything is as it was.
    pub const DELETION: &str = "pods deleted";
}

/// All pods of the story with the interfaces that each must have.
const PODS: [(&str, &[&str]); 7] = [
    ("alice", &["eth0", "net1"]),
    ("bob", &["eth0", "net1"]),
    ("carol", &["eth0", "net1"]),
    ("dpdk", &["eth0", "net1"]),
    ("many", &["eth0", "net1", "storage0", "net3"]),
    ("ipvlan", &["eth0", "net1"]),
    ("manual", &["eth0", "net1"]),
];

/// Plays the story until its end or its first step that does not hold.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(node: &Base, report: &mut Reporter) -> Result<()> {
    let _ = steps(node, report).await?;
    Ok(())
}

/// `None` as soon as a step does not hold.
async fn steps(node: &Base, report: &mut Reporter) -> Result<Option<()>> {
    macro_rules! held {
        ($name:expr, $work:expr) => {
            match report.step($name, $work).await? {
                Some(observed) => observed,
                None => return Ok(None),
            }
        };
    }
    held!(step::HARDWARE, async { hardware(node) });
    held!(step::ADVERTISE, advertised());
    held!(step::VLAN_100, networks::two_pods_in_vlan_100(node));
    held!(step::PING, traffic::ping_and_isolation(node));
    held!(step::DPDK, traffic::dpdk(node));
    held!(step::MANY, networks::many(node));
    held!(step::SOFTWARE, networks::software(node));
    held!(step::STATUS, status(node));
    print_status(node, report).await?;
    held!(step::DELETION, deletion(node));
    Ok(Some(()))
}

fn hardware(node: &Base) -> Result<String> {
    let rows: Vec<String> = node
        .hardware
        .pfs
        .iter()
        .map(|pf| format!("{} ({}) {} VFs", pf.name, pf.address, pf.vfs.len()))
        .collect();
    let vfio = node
        .baseline
        .values()
        .filter(|state| state.driver == "vfio-pci")
        .count();
    ensure!(
        node.baseline.len() == VFS_PER_PF * node.hardware.pfs.len(),
        "{} VFs on the node",
        node.baseline.len()
    );
    Ok(format!("{}; {vfio} VFs on vfio-pci", rows.join(", ")))
}

/// The kubelet's own count of devices per pool, waited for: a plugin registers a moment after its start.
async fn advertised() -> Result<String> {
    let wanted = BTreeMap::from([(KERNEL, 5), (DPDK, 2), (STORAGE, VFS_PER_PF)]);
    let mut seen = BTreeMap::new();
    for _ in 0..200 {
        seen = allocatable().await?;
        if wanted
            .iter()
            .all(|(resource, count)| seen.get(*resource) == Some(count))
        {
            let rows: Vec<String> = wanted
                .iter()
                .map(|(resource, count)| format!("{resource}: {count}"))
                .collect();
            return Ok(rows.join(", "));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the kubelet offers {seen:?} after 20 s, wanted {wanted:?}")
}

async fn allocatable() -> Result<BTreeMap<String, usize>> {
    let offers = look::offers().await?;
    Ok(offers
        .into_iter()
        .map(|(resource, ids)| (resource, ids.len()))
        .collect())
}

/// Creates a pod and waits until it runs.
pub(crate) async fn start(node: &Base, pod: &PodSpec) -> Result<()> {
    let manifest = pod.manifest(crate::guest::cluster::NODE);
    node.cluster.client.create(&manifest).await?;
    node.cluster
        .client
        .wait_phase(pod.name(), "Running", POD_START)
        .await?;
    Ok(())
}

async fn status(node: &Base) -> Result<String> {
    let mut entries = 0;
    for (pod, interfaces) in &PODS {
        entries += look::check_status(node, pod, interfaces).await?.len();
    }
    Ok(format!(
        "{} pods, {entries} entries: each equals what ip and PodResources say",
        PODS.len()
    ))
}

async fn print_status(node: &Base, report: &mut Reporter) -> Result<()> {
    for (pod, interfaces) in &PODS {
        if let Ok(rows) = look::check_status(node, pod, interfaces).await {
            let text = rows.join("\n");
            report.line(&Line::Note { text })?;
        }
    }
    Ok(())
}

async fn deletion(node: &Base) -> Result<String> {
    for (pod, _) in &PODS {
        node.cluster
            .client
            .delete_pod(pod, Duration::from_mins(1))
            .await?;
    }
    all_is_back(node)
}

/// Every VF is as before the first pod, and no file of a pod is left.
///
/// # Errors
/// When a VF differs (both states are named) or a file is left.
pub fn all_is_back(node: &Base) -> Result<String> {
    let now = node.hardware.observe()?;
    let different = differences(&node.baseline, &now);
    ensure!(
        different.is_empty(),
        "{} VFs are not as they were:\n{}",
        different.len(),
        different.join("\n")
    );
    let left = leftovers::of_pods()?;
    ensure!(left.is_empty(), "left on the node:\n{}", left.join("\n"));
    Ok(format!(
        "{} VFs back with name, MAC, MTU, VLAN, trust and spoof check; no record, lease or devinfo left",
        now.len()
    ))
}
