//! What a pod really has: its links as `ip` shows them, its devices as the kubelet reports them, its status annotation.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use proto::podresources::{
    AllocatableResourcesRequest, ListPodResourcesRequest,
    pod_resources_lister_client::PodResourcesListerClient,
};
use serde_json::Value;

use crate::guest::{cluster::Cluster, node::Base, pod::NETWORK_STATUS, shell::run};

/// One link of a pod.
#[derive(Debug, Clone)]
pub struct Link {
    /// MAC address.
    pub mac: String,
    /// MTU.
    pub mtu: u64,
    /// IPv4 and global IPv6 addresses, without prefix.
    pub ips: BTreeSet<String>,
    /// PCI address of the device behind the link, if it has one of its own.
    pub parent: Option<String>,
    /// Packets received.
    pub rx_packets: u64,
    /// Whether the link is up with carrier.
    pub up: bool,
}

/// The links of a pod's network namespace by name.
///
/// # Errors
/// When the namespace cannot be entered.
pub async fn links(node: &Base, pod: &str) -> Result<BTreeMap<String, Link>> {
    let (_, netns) = node.runtime.sandbox(pod).await?;
    let net = format!("--net={netns}");
    let text = run(
        "nsenter",
        [
            net.as_str(),
            "ip",
            "-json",
            "-details",
            "-statistics",
            "address",
            "show",
        ],
    )?;
    let list: Vec<Value> = serde_json::from_str(&text).context("read the pod's links")?;
    Ok(list
        .iter()
        .filter_map(|link| Some((link["ifname"].as_str()?.to_owned(), read_link(link))))
        .collect())
}

fn read_link(link: &Value) -> Link {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Link {
        mac: text(&link["address"]).unwrap_or_default(),
        mtu: link["mtu"].as_u64().unwrap_or_default(),
        ips: link["addr_info"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|address| address["scope"] == "global")
            .filter_map(|address| text(&address["local"]))
            .collect(),
        parent: text(&link["parentdev"]),
        rx_packets: link["stats64"]["rx"]["packets"]
            .as_u64()
            .unwrap_or_default(),
        up: link["operstate"] == "UP",
    }
}

/// Device ids that the kubelet gave to a pod, by resource name.
///
/// # Errors
/// When the kubelet does not answer.
pub async fn devices(pod: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let mut devices: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, of_container) in devices_of_containers(pod).await? {
        for (resource, ids) in of_container {
            devices.entry(resource).or_default().extend(ids);
        }
    }
    Ok(devices)
}

/// As [`devices`], for each container, in the kubelet's order.
///
/// # Errors
/// When the kubelet does not answer.
pub async fn devices_of_containers(
    pod: &str,
) -> Result<Vec<(String, BTreeMap<String, Vec<String>>)>> {
    let channel = proto::uds::dial(&Cluster::pod_resources(), Duration::from_secs(5))
        .await
        .context("dial the kubelet's PodResources")?;
    let answer = PodResourcesListerClient::new(channel)
        .list(ListPodResourcesRequest {})
        .await
        .context("ask the kubelet for pod resources")?
        .into_inner();
    let of_pod = answer
        .pod_resources
        .into_iter()
        .filter(|entry| entry.name == pod);
    let containers = of_pod.flat_map(|entry| entry.containers).map(|container| {
        let mut devices: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for device in container.devices {
            let ids = devices.entry(device.resource_name).or_default();
            ids.extend(device.device_ids);
        }
        (container.name, devices)
    });
    Ok(containers.collect())
}

/// Healthy devices that the kubelet would give to a pod, by resource name.
pub type Offers = BTreeMap<String, BTreeSet<String>>;

/// What the kubelet offers now.
///
/// # Errors
/// When it does not answer.
pub async fn offers() -> Result<Offers> {
    let channel = proto::uds::dial(&Cluster::pod_resources(), Duration::from_secs(5))
        .await
        .context("dial the kubelet's PodResources")?;
    let answer = PodResourcesListerClient::new(channel)
        .get_allocatable_resources(AllocatableResourcesRequest {})
        .await
        .context("ask the kubelet for its devices")?
        .into_inner();
    let mut offers = Offers::new();
    for device in answer.devices {
        let ids = offers.entry(device.resource_name).or_default();
        ids.extend(device.device_ids);
    }
    Ok(offers)
}

/// Waits until the kubelet offers so many devices of a pool: it follows another device plugin within two minutes.
///
/// # Errors
/// When it does not, with what it offers.
pub async fn offered(pool: &str, count: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let offers = offers().await?;
        if offers.get(pool).is_some_and(|ids| ids.len() == count) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the kubelet offers {offers:?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The elements of a pod's network-status, waited for: a plain pod's is written after its start.
///
/// # Errors
/// When it is missing after 10 s or is not a list.
pub async fn network_status(node: &Base, pod: &str) -> Result<Vec<Value>> {
    for _ in 0..100 {
        let object = node.cluster.client.pod(pod).await?;
        let object = object.with_context(|| format!("pod {pod} is gone"))?;
        if let Some(text) = object["metadata"]["annotations"][NETWORK_STATUS].as_str() {
            return serde_json::from_str(text)
                .with_context(|| format!("network-status of {pod} is not a list: {text}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("pod {pod} has no network-status after 10 s")
}

/// Holds each element of a pod's network-status against the pod's links and the kubelet's devices. `expected` are the
/// interfaces that must be listed, in order; a userspace VF has an entry and no link. Returns a line per element.
///
/// # Errors
/// When an element says something else than `ip` or the kubelet.
pub async fn check_status(node: &Base, pod: &str, expected: &[&str]) -> Result<Vec<String>> {
    let status = network_status(node, pod).await?;
    let links = links(node, pod).await?;
    let mut devices: BTreeSet<String> = devices(pod).await?.into_values().flatten().collect();
    let listed: Vec<&str> = status
        .iter()
        .map(|entry| entry["interface"].as_str().unwrap_or(""))
        .collect();
    ensure!(
        listed == expected,
        "network-status of {pod} lists {listed:?}, wanted {expected:?}"
    );
    ensure!(
        status[0]["default"] == true,
        "network-status of {pod}: the first entry is not the default network"
    );
    let mut rows = Vec::new();
    for entry in &status {
        let name = entry["interface"].as_str().unwrap_or("");
        let pci = entry["device-info"]["pci"]["pci-address"].as_str();
        if let Some(pci) = pci {
            ensure!(
                devices.remove(pci),
                "network-status of {pod} names {pci} for {name}, which the kubelet did not give to it (left: {devices:?})"
            );
        }
        match links.get(name) {
            Some(link) => check_entry(pod, name, entry, link, pci)?,
            None => ensure!(
                pci.is_some_and(|pci| vfio(node, pci)),
                "network-status of {pod} names {name}; ip shows no such link and it is no vfio device"
            ),
        }
        rows.push(format!(
            "{pod}: {name} {} {} {}{}",
            entry["name"].as_str().unwrap_or("?"),
            entry["mac"].as_str().unwrap_or("no mac"),
            addresses(entry).into_iter().collect::<Vec<_>>().join(","),
            pci.map(|pci| format!(" {pci}")).unwrap_or_default(),
        ));
    }
    ensure!(
        devices.is_empty(),
        "the kubelet gave {devices:?} to {pod}, which its network-status does not name"
    );
    Ok(rows)
}

fn addresses(entry: &Value) -> BTreeSet<String> {
    entry["ips"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|ip| ip.as_str().map(str::to_owned))
        .collect()
}

fn check_entry(pod: &str, name: &str, entry: &Value, link: &Link, pci: Option<&str>) -> Result<()> {
    ensure!(
        entry["mac"] == link.mac.as_str(),
        "network-status of {pod} says mac {} for {name}, ip says {}",
        entry["mac"],
        link.mac
    );
    let ips = addresses(entry);
    ensure!(
        ips == link.ips,
        "network-status of {pod} says ips {ips:?} for {name}, ip says {:?}",
        link.ips
    );
    if let (Some(pci), Some(parent)) = (pci, &link.parent) {
        ensure!(
            pci == parent,
            "network-status of {pod} says {pci} for {name}, the link belongs to {parent}"
        );
    }
    if let Some(mtu) = entry["mtu"].as_u64() {
        ensure!(
            mtu == link.mtu,
            "network-status of {pod} says mtu {mtu} for {name}, ip says {}",
            link.mtu
        );
    }
    Ok(())
}

fn vfio(node: &Base, pci: &str) -> bool {
    node.baseline
        .get(pci)
        .is_some_and(|state| state.driver == "vfio-pci")
}
