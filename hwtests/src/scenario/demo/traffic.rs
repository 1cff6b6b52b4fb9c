//! Packets: what reaches whom, through the kernel and through DPDK.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::{
    networks::{DPDK, KERNEL, kernel_vf},
    start,
};
use crate::{
    guest::{
        hardware::iommu_group,
        node::Base,
        pod::{PodSpec, network},
    },
    scenario::look,
};

/// A link of the emulated NIC needs seconds until it forwards.
const LINK_UP: Duration = Duration::from_secs(30);
/// Packets that testpmd must send at least.
const PACKETS: u64 = 100_000;

/// alice and bob reach each other in VLAN 100; carol, in the same subnet but VLAN 200, reaches none of them.
pub(super) async fn ping_and_isolation(node: &Base) -> Result<String> {
    let carol = json!({
        "cniVersion": "1.0.0", "name": "vlan-200", "type": "sriov", "vlan": 200,
        "ipam": {"type": "static", "addresses": [{"address": "10.56.0.200/24"}]},
    });
    node.cluster
        .client
        .create(&network("vlan-200", Some(KERNEL), &carol.to_string()))
        .await?;
    start(
        node,
        &PodSpec::new("carol")
            .networks("vlan-200")
            .devices(KERNEL, 1),
    )
    .await?;
    kernel_vf(node, "carol", "net1", 200).await?;
    wait_up(node, "carol").await?;
    let [alice, bob] = [address(node, "alice").await?, address(node, "bob").await?];
    reach(node, "alice", &bob).await?;
    reach(node, "bob", &alice).await?;
    for target in [&alice, &bob] {
        if ping(node, "carol", target, 3).await? {
            bail!("carol in VLAN 200 reaches {target} in VLAN 100");
        }
    }
    Ok(format!(
        "alice {alice} <-> bob {bob}; carol in VLAN 200 reaches neither"
    ))
}

async fn address(node: &Base, pod: &str) -> Result<String> {
    let links = look::links(node, pod).await?;
    let link = links.get("net1").context("no net1")?;
    link.ips
        .iter()
        .find(|ip| ip.contains('.'))
        .cloned()
        .with_context(|| format!("net1 of pod {pod} has no IPv4 address"))
}

async fn wait_up(node: &Base, pod: &str) -> Result<()> {
    let deadline = Instant::now() + LINK_UP;
    while !look::links(node, pod).await?["net1"].up {
        ensure!(
            Instant::now() < deadline,
            "net1 of pod {pod} has no carrier after 30 s"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn reach(node: &Base, from: &str, target: &str) -> Result<()> {
    let deadline = Instant::now() + LINK_UP;
    while !ping(node, from, target, 1).await? {
        ensure!(
            Instant::now() < deadline,
            "{from} does not reach {target} within 30 s"
        );
    }
    Ok(())
}

async fn ping(node: &Base, from: &str, target: &str, count: u32) -> Result<bool> {
    let count = count.to_string();
    let words = ["/bin/ping", "-I", "net1", "-c", &count, "-W", "1", target];
    let output = node
        .runtime
        .exec(from, &words, Duration::from_secs(20))
        .await?;
    Ok(output.code == 0)
}

/// A DPDK pod sees only its own VFIO group, holds one capability, and its packets arrive at a kernel pod's VF.
pub(super) async fn dpdk(node: &Base) -> Result<String> {
    let config = json!({
        "cniVersion": "1.0.0", "name": "dpdk-100", "type": "sriov", "vlan": 100, "spoofchk": "off", "trust": "on",
    });
    node.cluster
        .client
        .create(&network("dpdk-100", Some(DPDK), &config.to_string()))
        .await?;
    start(
        node,
        &PodSpec::new("dpdk")
            .networks("dpdk-100")
            .devices(DPDK, 1)
            .dpdk(),
    )
    .await?;
    let devices = look::devices("dpdk").await?;
    let vf = devices
        .get(DPDK)
        .and_then(|ids| ids.first())
        .context("the kubelet gave no device to pod dpdk")?;
    own_group_only(node, vf).await?;
    let capabilities = effective_capabilities(node).await?;
    let alice = look::links(node, "alice").await?["net1"].clone();
    let sent = testpmd(node, vf, &alice.mac).await?;
    let now = look::links(node, "alice").await?["net1"].rx_packets;
    let counted = now - alice.rx_packets;
    ensure!(
        counted > PACKETS / 100,
        "testpmd sent {sent} packets to alice, whose VF counted {counted}"
    );
    Ok(format!(
        "VF {vf}, only /dev/vfio/{} visible, capability {capabilities}\ntestpmd sent {sent} packets, alice's VF counted {counted} of them",
        iommu_group(vf)?
    ))
}

async fn own_group_only(node: &Base, vf: &str) -> Result<()> {
    let listed = node
        .runtime
        .run("dpdk", &["/bin/ls", "/dev/vfio"], Duration::from_secs(10))
        .await?;
    let listed: BTreeSet<&str> = listed.split_whitespace().collect();
    let group = iommu_group(vf)?;
    let wanted = BTreeSet::from(["vfio", group.as_str()]);
    ensure!(
        listed == wanted,
        "pod dpdk sees {listed:?} in /dev/vfio, wanted {wanted:?}"
    );
    let variable = node
        .runtime
        .run("dpdk", &["/bin/env"], Duration::from_secs(10))
        .await?;
    let wanted = format!("PCIDEVICE_INTEL_COM_SRIOV_DPDK={vf}");
    ensure!(
        variable.lines().any(|line| line == wanted),
        "pod dpdk has no {wanted} in its environment:\n{variable}"
    );
    Ok(())
}

async fn effective_capabilities(node: &Base) -> Result<&'static str> {
    let words = ["/bin/grep", "CapEff", "/proc/self/status"];
    let line = node
        .runtime
        .run("dpdk", &words, Duration::from_secs(10))
        .await?;
    let mask = line.split_whitespace().nth(1).context("no CapEff line")?;
    // CAP_IPC_LOCK is bit 14 (include/uapi/linux/capability.h).
    let mask = u64::from_str_radix(mask, 16).context("read CapEff")?;
    ensure!(
        mask == 1 << 14,
        "pod dpdk has capabilities {mask:#x}, wanted IPC_LOCK alone"
    );
    Ok("IPC_LOCK")
}

/// Sends more than [`PACKETS`] and returns how many testpmd says it sent.
pub(crate) async fn testpmd(node: &Base, vf: &str, peer: &str) -> Result<u64> {
    let mut sent = 0;
    // Its start counts, too, and takes most of the first seconds on a machine that does something else beside it.
    for seconds in [5, 20, 60] {
        sent = send_for(node, vf, peer, seconds).await?;
        if sent > PACKETS {
            return Ok(sent);
        }
    }
    bail!("testpmd sent {sent} packets through {vf} in a minute, wanted more than {PACKETS}")
}

async fn send_for(node: &Base, vf: &str, peer: &str, seconds: u64) -> Result<u64> {
    let line = format!(
        "(sleep {seconds}; echo) | /usr/bin/dpdk-testpmd -l 0-1 --in-memory --iova-mode=va --no-telemetry -a {vf} \
         -- --auto-start --forward-mode=txonly --eth-peer=0,{peer} --total-num-mbufs=4096"
    );
    let output = node
        .runtime
        .exec(
            "dpdk",
            &["/bin/sh", "-c", &line],
            Duration::from_secs(85 + seconds),
        )
        .await?;
    let sent = output
        .stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix("TX-packets:"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .max();
    sent.with_context(|| {
        let text = format!("{}{}", output.stdout, output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        format!(
            "testpmd ended with {} and told no count:\n{}",
            output.code,
            lines[lines.len().saturating_sub(15)..].join("\n")
        )
    })
}
