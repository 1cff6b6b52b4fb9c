//! Networks of the story and the pods that ask for them.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::start;
use crate::{
    guest::{
        node::Base,
        pod::{PodSpec, network},
    },
    scenario::look,
};

/// Pool of kernel VFs of the first PF.
pub const KERNEL: &str = "intel.com/sriov_net";
/// Pool of vfio VFs of the first PF.
pub const DPDK: &str = "intel.com/sriov_dpdk";
/// Pool of kernel VFs of the second PF.
pub const STORAGE: &str = "intel.com/sriov_storage";

/// MAC address that the pod with many networks asks for.
const REQUESTED_MAC: &str = "02:00:00:00:0a:01";

/// The manual's network, unchanged.
const MANUAL: &str = r#"{"cniVersion":"0.3.0","type":"macvlan","master":"ens5","mode":"bridge","ipam":{"type":"host-local","subnet":"192.168.1.0/24","rangeStart":"192.168.1.200","rangeEnd":"192.168.1.216","routes":[{"dst":"0.0.0.0/0"}],"gateway":"192.168.1.1"}}"#;

fn vlan(name: &str, vlan: u16, first: u8) -> String {
    json!({
        "cniVersion": "1.0.0", "name": name, "type": "sriov", "vlan": vlan,
        "ipam": {
            "type": "host-local",
            "ranges": [[{
                "subnet": "10.56.0.0/24",
                "rangeStart": format!("10.56.0.{first}"),
                "rangeEnd": format!("10.56.0.{}", first + 20),
            }]],
        },
    })
    .to_string()
}

/// Two pods with a kernel VF each in VLAN 100; the PF must say so for the VFs that the links belong to.
pub(super) async fn two_pods_in_vlan_100(node: &Base) -> Result<String> {
    let client = &node.cluster.client;
    client
        .create(&network(
            "vlan-100",
            Some(KERNEL),
            &vlan("vlan-100", 100, 10),
        ))
        .await?;
    let mut rows = Vec::new();
    for name in ["alice", "bob"] {
        start(
            node,
            &PodSpec::new(name).networks("vlan-100").devices(KERNEL, 1),
        )
        .await?;
        rows.push(kernel_vf(node, name, "net1", 100).await?);
    }
    Ok(rows.join("\n"))
}

/// What a pod's VF link is: it must belong to the VF that the kubelet gave, with the VLAN set on the PF.
pub(crate) async fn kernel_vf(node: &Base, pod: &str, name: &str, vlan: u64) -> Result<String> {
    let links = look::links(node, pod).await?;
    let link = links
        .get(name)
        .with_context(|| format!("pod {pod} has no {name}, only {:?}", links.keys()))?;
    let pci = link
        .parent
        .as_ref()
        .with_context(|| format!("{name} of pod {pod} is no device's own link"))?;
    let given = look::devices(pod).await?;
    ensure!(
        given.values().flatten().any(|id| id == pci),
        "{name} of pod {pod} is {pci}, the kubelet gave {given:?}"
    );
    let state = node.hardware.observe()?;
    let settings = &state
        .get(pci)
        .context("a VF that is no VF of this node")?
        .settings;
    let seen = settings["vlan_list"][0]["vlan"]
        .as_u64()
        .unwrap_or_default();
    ensure!(
        seen == vlan,
        "the PF has VLAN {seen} for {pci} of pod {pod}, wanted {vlan}: {settings}"
    );
    Ok(format!(
        "{pod}: {name} is VF {pci}, VLAN {seen}, {}",
        link.ips.iter().cloned().collect::<Vec<_>>().join(",")
    ))
}

/// A pod with two different VFs (one with a MAC of its choice) and a macvlan network.
pub(super) async fn many(node: &Base) -> Result<String> {
    let client = &node.cluster.client;
    let storage = json!({
        "cniVersion": "1.0.0", "name": "storage", "type": "sriov", "capabilities": {"mac": true},
        "ipam": {"type": "static", "addresses": [{"address": "10.57.0.5/24"}]},
    });
    client
        .create(&network("storage", Some(STORAGE), &storage.to_string()))
        .await?;
    client
        .create(&network("macvlan-conf", None, MANUAL))
        .await?;
    let networks = json!([
        {"name": "vlan-100"},
        {"name": "storage", "interface": "storage0", "mac": REQUESTED_MAC},
        {"name": "macvlan-conf"},
    ]);
    let pod = PodSpec::new("many")
        .networks(&networks.to_string())
        .devices(KERNEL, 1)
        .devices(STORAGE, 1);
    start(node, &pod).await?;
    let first = kernel_vf(node, "many", "net1", 100).await?;
    let second = kernel_vf(node, "many", "storage0", 0).await?;
    let links = look::links(node, "many").await?;
    let mac = &links["storage0"].mac;
    ensure!(
        mac == REQUESTED_MAC,
        "storage0 has MAC {mac}, wanted {REQUESTED_MAC}"
    );
    let macvlan = links
        .get("net3")
        .with_context(|| format!("pod many has no net3, only {:?}", links.keys()))?;
    Ok(format!(
        "{first}\n{second}, MAC as asked\nmany: net3 is macvlan, {}",
        macvlan.ips.iter().cloned().collect::<Vec<_>>().join(",")
    ))
}

/// A pod with ipvlan, and the manual's pod: not root, no capability, its network written as the manual has it.
pub(super) async fn software(node: &Base) -> Result<String> {
    let ipvlan = json!({
        "cniVersion": "1.0.0", "name": "ipvlan", "type": "ipvlan", "master": "ens6", "mode": "l2",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.58.0.0/24"}]]},
    });
    let client = &node.cluster.client;
    client
        .create(&network("ipvlan-net", None, &ipvlan.to_string()))
        .await?;
    start(node, &PodSpec::new("ipvlan").networks("ipvlan-net")).await?;
    start(
        node,
        &PodSpec::new("manual").networks("macvlan-conf").restricted(),
    )
    .await?;
    let mut rows = Vec::new();
    for name in ["ipvlan", "manual"] {
        let links = look::links(node, name).await?;
        let names: Vec<&String> = links.keys().collect();
        ensure!(
            names == ["eth0", "lo", "net1"],
            "pod {name} has {names:?}, wanted lo, eth0 and net1"
        );
        let ips: Vec<String> = links["net1"].ips.iter().cloned().collect();
        rows.push(format!("{name}: lo, eth0, net1 {}", ips.join(",")));
    }
    Ok(rows.join("\n"))
}
