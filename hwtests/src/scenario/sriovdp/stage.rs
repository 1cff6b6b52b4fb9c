//! The device plugin under test, started again by each step that needs it otherwise, and its ConfigMap.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::offers;
use crate::{
    guest::{
        node::{Node, Options},
        service::Service,
    },
    scenario::{
        demo::networks::{DPDK, KERNEL, STORAGE},
        look,
    },
};

/// Where the ConfigMap is mounted.
const CONFIG_MAP: &str = "/run/pools";
/// All pods of the story.
const PODS: [&str; 10] = [
    "held",
    "several",
    "after-restarts",
    "after-overlap",
    "after-rollback",
    "sriovdp",
    "user",
    "dpdk",
    "software",
    "hardware",
];
/// Time for the end of the device plugin: far more than it needs.
const STOP: Duration = Duration::from_secs(10);
/// No scan without an event.
const NO_RECONCILE: [&str; 2] = ["--reconcile-seconds", "0"];

/// The node, with a device plugin of this story instead of the node's own.
pub(super) struct Stage<'a> {
    /// The node.
    pub(super) node: &'a mut Node,
    /// Where programs come from and logs go to.
    pub(super) options: &'a Options,
    /// Generations of the device plugin started so far.
    generation: u32,
    /// Versions of the ConfigMap written so far.
    version: u32,
}

impl<'a> Stage<'a> {
    /// Writes the ConfigMap and takes the node's device plugin away.
    ///
    /// # Errors
    /// When a file cannot be written or the kubelet does not see the story's pools.
    pub(super) async fn set(node: &'a mut Node, options: &'a Options) -> Result<Self> {
        let mut stage = Self {
            node,
            options,
            generation: 0,
            version: 0,
        };
        stage.reset().await?;
        Ok(stage)
    }

    /// The story's pools: kernel and vfio VFs of the first PF told apart by their driver, kernel VFs of the second.
    pub(super) fn pools(&self) -> Value {
        let [first, second] = [0, 1].map(|pf| &self.node.hardware.pfs[pf].name);
        json!({"resourceList": [
            {"resourceName": "sriov_net", "selectors": {"pfNames": [first], "drivers": ["igbvf"]}},
            {"resourceName": "sriov_dpdk", "selectors": {"pfNames": [first], "drivers": ["vfio-pci"]}},
            {"resourceName": "sriov_storage", "selectors": {"pfNames": [second], "drivers": ["igbvf"]}},
        ]})
    }

    /// Changes the ConfigMap as the kubelet does: a new folder, a symbolic link replaced at once.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn configure(&mut self, pools: &Value) -> Result<()> {
        self.configure_text(&format!("{pools:#}"))
    }

    /// As [`Stage::configure`], with any text.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn configure_text(&mut self, text: &str) -> Result<()> {
        self.version += 1;
        let map = Path::new(CONFIG_MAP);
        let folder = format!("..version_{}", self.version);
        fs::create_dir_all(map.join(&folder)).context("create the ConfigMap's folder")?;
        fs::write(map.join(&folder).join("config.json"), text).context("write the ConfigMap")?;
        symlink(&folder, map.join("..data_tmp")).context("link the ConfigMap")?;
        fs::rename(map.join("..data_tmp"), map.join("..data")).context("swap the ConfigMap")?;
        let file = map.join("config.json");
        if !file.exists() {
            symlink("..data/config.json", &file).context("link config.json")?;
        }
        let _first = fs::remove_dir_all(map.join(format!("..version_{}", self.version - 1)));
        Ok(())
    }

    /// Where the ConfigMap's file is.
    pub(super) fn config_file() -> PathBuf {
        Path::new(CONFIG_MAP).join("config.json")
    }

    /// Starts one more device plugin beside the one that runs.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(&mut self, more: &[&str]) -> Result<Service> {
        self.generation += 1;
        let config = Self::config_file();
        let config = config.to_string_lossy();
        let mut words = vec!["--config-file", &config];
        words.extend(NO_RECONCILE);
        words.extend(more);
        Service::start(
            &self.options.logs,
            &format!("sriovdp-{}", self.generation),
            &self.options.program("sriovdp"),
            &words,
        )
    }

    /// Stops the device plugin as a rollout does and starts the next one, with more flags.
    ///
    /// # Errors
    /// When one does not end, or the next does not start.
    pub(super) async fn restart(&mut self, more: &[&str]) -> Result<()> {
        self.node.sriovdp.terminate(STOP).await?;
        self.node.sriovdp = self.start(more)?;
        Ok(())
    }

    /// Puts configuration and device plugin back after a step that did not hold, so that the next one can.
    ///
    /// # Errors
    /// When the pools do not come back.
    pub(super) async fn reset(&mut self) -> Result<()> {
        let client = &self.node.cluster.client;
        for pod in PODS {
            if client.pod(pod).await?.is_some() {
                client.delete_pod(pod, Duration::from_mins(1)).await?;
            }
        }
        self.configure(&self.pools())?;
        self.restart(&[]).await?;
        self.wait_all().await?;
        Ok(())
    }

    /// The first device of a resource that the kubelet gave to a pod.
    ///
    /// # Errors
    /// When it gave none.
    pub(super) async fn device_of(&self, pod: &str, resource: &str) -> Result<String> {
        let devices = look::devices(pod).await?;
        let ids = devices.get(resource);
        ids.and_then(|ids| ids.first().cloned())
            .with_context(|| format!("pod {pod} has no {resource}, only {devices:?}"))
    }

    /// VFs of a PF, as the kubelet names them.
    pub(super) fn vfs(&self, pf: usize) -> &[String] {
        &self.node.hardware.pfs[pf].vfs
    }

    /// Waits until the kubelet offers every VF in its pool: what each step begins and ends with.
    ///
    /// # Errors
    /// When it does not.
    pub(super) async fn wait_all(&self) -> Result<Duration> {
        let wanted = [
            (KERNEL, &self.vfs(0)[..5]),
            (DPDK, &self.vfs(0)[5..]),
            (STORAGE, self.vfs(1)),
        ];
        offers::until(&format!("all VFs are offered: {wanted:?}"), |offers| {
            wanted.iter().all(|(resource, ids)| {
                offers
                    .get(*resource)
                    .is_some_and(|seen| seen.iter().eq(ids.iter()))
            })
        })
        .await
    }
}
