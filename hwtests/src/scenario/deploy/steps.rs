//! The way in: image, manifests, upgrade, another ConfigMap.

use std::{cell::Cell, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    image::{self, ARCHIVES, MARK},
    install::{Installation, pods_of},
};
use crate::{
    guest::{
        containerd::{CNI_BIN_DIR, CNI_CONF_DIR},
        node::{Base, Options},
        pod::{PodSpec, network},
    },
    scenario::{
        demo::{
            networks::{KERNEL, kernel_vf},
            start,
        },
        load::{DELETION, Load, come_and_go},
        look,
    },
};

/// Image unpacked, containers started, probes passed, under software emulation with other guests beside it.
pub(crate) const ROLLOUT: Duration = Duration::from_mins(5);
/// A pod that needs a plan waits a second for it and is tried again by the kubelet. Emulation may stretch the change of
/// daemons beyond that second; a pod that is refused more often than this waits for nobody.
const REPLACED: Load<'_> = Load {
    name: "upgrade",
    least: 3,
    refusals: Some(2),
};
/// VLAN of the VFs.
pub(super) const VLAN: u64 = 300;

/// The node and what is installed on it.
pub(super) struct Installed<'a> {
    pub(super) base: &'a Base,
    pub(super) options: &'a Options,
    pub(super) manifests: Installation,
}

/// Both images are there under the names that manifests have.
pub(crate) fn images(options: &Options) -> Result<String> {
    for archive in ARCHIVES {
        options.runtime.import(&options.programs.join(archive))?;
    }
    let images = options.runtime.images()?;
    let mut digests = Vec::new();
    for name in [image::current()?, image::older()?] {
        let found = images.iter().find(|(image, _)| *image == name);
        let (_, digest) = found.with_context(|| format!("no image {name}, only {images:?}"))?;
        digests.push(format!("{name} {}", digest.get(..19).unwrap_or(digest)));
    }
    ensure!(
        digests[0].split(' ').next_back() != digests[1].split(' ').next_back(),
        "both tags are one image"
    );
    Ok(digests.join("\n"))
}

/// The network with a VF.
pub(super) fn through() -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "through", "type": "sriov", "vlan": VLAN,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.60.0.0/24"}]]},
    })
}

/// The network with macvlan.
pub(super) fn mv() -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "mv", "type": "macvlan", "master": "ens5",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}]]},
    })
}

impl Installed<'_> {
    /// All DaemonSets become ready, the runtime's configuration is ours, the plugins are the image's.
    pub(super) async fn install(&self) -> Result<String> {
        let client = &self.base.cluster.client;
        self.manifests.apply(client).await?;
        let rows = self.manifests.wait_rolled_out(client, ROLLOUT).await?;
        self.plugins_are_of(Some(MARK))?;
        let path = Path::new(CNI_CONF_DIR).join("00-multus.conflist");
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let list: Value = serde_json::from_slice(&text).context("read the configuration")?;
        ensure!(
            list["plugins"][0]["type"] == "multus"
                && list["plugins"][0]["clusterNetwork"]
                    == format!("{CNI_CONF_DIR}/10-bridge.conflist"),
            "the generated configuration: {list}"
        );
        self.networks().await?;
        Ok(rows.join("\n"))
    }

    /// The installed plugins are those of an image, byte for byte: the programs under test, and a mark behind.
    fn plugins_are_of(&self, mark: Option<&[u8]>) -> Result<()> {
        for name in ["multus", "sriov"] {
            let path = self.options.program(name);
            let mut wanted = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            wanted.extend_from_slice(mark.unwrap_or_default());
            let path = Path::new(CNI_BIN_DIR).join(name);
            let is = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            ensure!(
                is == wanted,
                "{} has {} bytes and is not the image's of {} bytes",
                path.display(),
                is.len(),
                wanted.len()
            );
        }
        Ok(())
    }

    /// The image of this version takes the older one's place while pods with macvlan come and go; a pod with a VF lives
    /// through it and is deleted by the new programs.
    pub(super) async fn upgrade(&mut self) -> Result<String> {
        let client = &self.base.cluster.client;
        let pod = PodSpec::new("through")
            .networks("through")
            .devices(KERNEL, 1);
        start(self.base, &pod).await?;
        kernel_vf(self.base, "through", "net1", VLAN).await?;
        self.manifests.set_image(&image::current()?)?;
        let done = Cell::new(false);
        let manifests = &self.manifests;
        let rollout = async {
            manifests.apply(client).await?;
            let rows = manifests.wait_rolled_out(client, ROLLOUT).await;
            done.set(true);
            self.old_pods_go().await?;
            rows
        };
        let (rows, load) = tokio::join!(rollout, come_and_go(self.base, REPLACED, &done));
        let (rows, load) = (rows?, load?);
        self.plugins_are_of(None)?;
        kernel_vf(self.base, "through", "net1", VLAN).await?;
        client.delete_pod("through", DELETION).await?;
        let back = crate::scenario::demo::all_is_back(self.base)?;
        Ok(format!(
            "{}\n{load}\na pod from before is deleted: {back}",
            rows.join("\n")
        ))
    }

    /// Waits until each set has one pod, of the image that it names.
    async fn old_pods_go(&self) -> Result<()> {
        let client = &self.base.cluster.client;
        let deadline = std::time::Instant::now() + ROLLOUT;
        for set in self.manifests.sets() {
            let wanted = &set["spec"]["template"]["spec"]["containers"][0]["image"];
            loop {
                let pods = pods_of(client, set).await?;
                if pods.len() == 1 && pods[0]["spec"]["containers"][0]["image"] == *wanted {
                    break;
                }
                ensure!(
                    std::time::Instant::now() < deadline,
                    "old pods stay: {}",
                    self.manifests.pods(client, set).await?.join("\n")
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    async fn networks(&self) -> Result<()> {
        let client = &self.base.cluster.client;
        client
            .apply(&network("through", Some(KERNEL), &through().to_string()))
            .await?;
        client.apply(&network("mv", None, &mv().to_string())).await
    }

    /// A pool gets another name in the ConfigMap: the kubelet's offers follow, the pods stay.
    pub(super) async fn pools(&mut self) -> Result<String> {
        let client = &self.base.cluster.client;
        let uids = async || {
            let mut uids = Vec::new();
            for set in self.manifests.sets() {
                let pods = pods_of(client, set).await?;
                uids.extend(pods.iter().map(|pod| {
                    let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
                    (pod["metadata"]["uid"].to_string(), restarts.to_string())
                }));
            }
            anyhow::Ok(uids)
        };
        let before = uids().await?;
        let mut pools = self.base.pools();
        pools["resourceList"][2]["resourceName"] = json!("sriov_renamed");
        let mut changed = self.manifests.clone();
        changed.set_config("sriovdp-config", "config.json", &pools.to_string())?;
        changed.apply(client).await?;
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        loop {
            let offers = look::offers().await?;
            if offers
                .get("intel.com/sriov_renamed")
                .is_some_and(|ids| ids.len() == 7)
            {
                break;
            }
            ensure!(
                std::time::Instant::now() < deadline,
                "the kubelet still offers {:?}",
                offers.keys()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let after = uids().await?;
        ensure!(before == after, "pods before: {before:?}, after: {after:?}");
        self.manifests = changed;
        Ok("7 devices under the new name, no container restarted".to_owned())
    }
}
