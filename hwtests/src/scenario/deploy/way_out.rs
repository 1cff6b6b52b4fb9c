//! The way out: every object deleted at once while pods live, and what is left when the last of them is gone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::steps::{Installed, VLAN};
use crate::{
    guest::{
        cluster::{NODE, POD_START},
        pod::PodSpec,
    },
    scenario::{
        demo::{
            all_is_back,
            networks::{KERNEL, kernel_vf},
            start,
        },
        installation, leftovers,
        load::DELETION,
        look,
    },
};

/// The daemons end within their grace period.
const GONE: Duration = Duration::from_mins(1);

/// Where files of ours can be that are not multus'.
const PLACES: [&str; 6] = [
    "/opt/cni/bin",
    "/etc/cni",
    "/var/lib/cni/sriov",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet/plugins_registry",
    "/var/run/k8s.cni.cncf.io/devinfo",
];

/// What their names have, or those of their folders.
const OURS: [&str; 3] = ["sriov", "ferrovia", "devinfo"];

/// What stays on purpose (deploy/docs/uninstall.md): folder, end of the name.
const STAYS: [(&str, &str); 2] = [
    ("/var/lib/cni/sriov/", ".lock"),
    ("/var/run/k8s.cni.cncf.io/devinfo/dp/", ".json"),
];

impl Installed<'_> {
    /// Three pods live on; a plain one is made, one that asks for a network is refused with the reason.
    pub(super) async fn uninstall(&self) -> Result<String> {
        let client = &self.base.cluster.client;
        let vf = PodSpec::new("last-vf")
            .networks("through")
            .devices(KERNEL, 1);
        for pod in [
            vf,
            PodSpec::new("last-mv").networks("mv"),
            PodSpec::new("last-plain"),
        ] {
            start(self.base, &pod).await?;
        }
        self.manifests.delete(client).await?;
        self.manifests.wait_gone(client, GONE).await?;
        kernel_vf(self.base, "last-vf", "net1", VLAN).await?;
        ensure!(
            look::links(self.base, "last-mv")
                .await?
                .contains_key("net1"),
            "a pod has lost its network"
        );
        start(self.base, &PodSpec::new("plain-after")).await?;
        let wanting = PodSpec::new("too-late").networks("mv").manifest(NODE);
        client.create(&wanting).await?;
        let event = self.refusal("too-late", "being removed").await?;
        client.delete_pod("too-late", DELETION).await?;
        client.delete_pod("last-mv", DELETION).await?;
        ensure!(
            Path::new("/opt/cni/bin/multus").exists(),
            "multus left before the last pod with a network"
        );
        Ok(format!(
            "three pods live on, a plain one runs; too-late: {event}"
        ))
    }

    async fn refusal(&self, pod: &str, says: &str) -> Result<String> {
        let client = &self.base.cluster.client;
        let deadline = Instant::now() + POD_START;
        loop {
            let events = client.events(pod).await?;
            let told = events
                .iter()
                .find(|event| event.starts_with("FailedCreatePodSandBox") && event.contains(says));
            if let Some(event) = told {
                let start = event.find("multus:").unwrap_or(0);
                return Ok(event[start..].chars().take(150).collect());
            }
            let phase = client.pod(pod).await?.unwrap_or_default()["status"]["phase"].clone();
            ensure!(
                phase != "Running" && Instant::now() < deadline,
                "{pod} is {phase}, no event says {says:?}:\n{}",
                events.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Nothing of ours is on the node, and pods have the network from before.
    pub(super) async fn clean(&self) -> Result<String> {
        let client = &self.base.cluster.client;
        client.delete_pod("last-vf", DELETION).await?;
        let left = of_ours()?;
        ensure!(left.is_empty(), "still on the node:\n{}", left.join("\n"));
        start(self.base, &PodSpec::new("plain-clean")).await?;
        let links = look::links(self.base, "plain-clean").await?;
        ensure!(
            links.get("eth0").is_some_and(|link| !link.ips.is_empty()),
            "a plain pod has no address: {links:?}"
        );
        for pod in ["last-plain", "plain-after", "plain-clean"] {
            client.delete_pod(pod, DELETION).await?;
        }
        // A daemon that lived on would have put its files back by now.
        let left = of_ours()?;
        ensure!(left.is_empty(), "on the node again:\n{}", left.join("\n"));
        all_is_back(self.base)
    }
}

/// Files of ours that are on the node.
fn of_ours() -> Result<Vec<String>> {
    let mut found: Vec<String> = installation::files()?
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for folder in PLACES {
        let files = leftovers::tree(Path::new(folder))?;
        let names = files.iter().map(|path| path.display().to_string());
        found.extend(names.filter(|name| OURS.iter().any(|word| name.contains(word))));
    }
    found.retain(|path| {
        let stays = |(folder, end): &(&str, &str)| path.starts_with(folder) && path.ends_with(end);
        !STAYS.iter().any(stays)
    });
    Ok(found)
}
