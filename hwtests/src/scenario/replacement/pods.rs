//! The pods of the story and their networks: one without, one with macvlan, one with a VF.

use anyhow::Result;
use serde_json::json;

use crate::{
    guest::{
        cluster::NODE,
        node::Base,
        pod::{PodSpec, network},
    },
    scenario::{
        demo::networks::{KERNEL, kernel_vf},
        load::{DELETION, has, running},
    },
};

/// VLAN of the VFs.
const VLAN: u64 = 300;
/// A fresh pod of each kind.
const KINDS: [&str; 3] = ["plain", "mv", "vf"];

/// Both networks, with addresses that are leased.
pub(super) async fn networks(base: &Base) -> Result<()> {
    let vf = json!({
        "cniVersion": "1.0.0", "name": "vf", "type": "sriov", "vlan": VLAN, "spoofchk": "off", "trust": "on",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.60.0.0/24"}]]},
    });
    let macvlan = json!({
        "cniVersion": "1.0.0", "name": "mv", "type": "macvlan", "master": "ens5",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}]]},
    });
    let client = &base.cluster.client;
    client
        .create(&network("vf", Some(KERNEL), &vf.to_string()))
        .await?;
    client
        .create(&network("mv", None, &macvlan.to_string()))
        .await
}

/// Starts a pod of each kind, each with its network; a line about the VF.
pub(super) async fn start(base: &Base, whose: &str) -> Result<String> {
    for kind in KINDS {
        let name = format!("{whose}-{kind}");
        let pod = match kind {
            "vf" => PodSpec::new(&name).networks("vf").devices(KERNEL, 1),
            "mv" => PodSpec::new(&name).networks("mv"),
            _ => PodSpec::new(&name),
        };
        base.cluster.client.create(&pod.manifest(NODE)).await?;
    }
    for kind in KINDS {
        running(base, &format!("{whose}-{kind}")).await?;
    }
    has(base, &format!("{whose}-mv"), "net1").await?;
    attached(base, whose).await
}

/// The pod with a VF still has it, with the VLAN.
pub(super) async fn attached(base: &Base, whose: &str) -> Result<String> {
    kernel_vf(base, &format!("{whose}-vf"), "net1", VLAN).await
}

/// Deletes the pods of each kind.
pub(super) async fn delete(base: &Base, whose: &str) -> Result<()> {
    for kind in KINDS {
        let name = format!("{whose}-{kind}");
        base.cluster.client.delete_pod(&name, DELETION).await?;
    }
    Ok(())
}

/// Deletes one pod.
pub(super) async fn delete_one(base: &Base, name: &str) -> Result<()> {
    base.cluster.client.delete_pod(name, DELETION).await
}
