//! What every step needs: networks, pods made and deleted together, the daemon with another configuration.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::chain::CHAIN;
use crate::{
    guest::{
        cluster::{NODE, POD_START},
        containerd::CNI_CONF_DIR,
        node::{Node, Options, start_multus_daemon},
        pod::{PodSpec, network},
        shell::run,
    },
    scenario::{
        demo::{all_is_back, networks::STORAGE},
        leftovers,
        look::{self, Link},
    },
};

/// Name of the static pod in the API.
pub(super) const STATIC_POD: &str = "static-web-lab";
/// Where the daemon looks for its configuration.
pub(super) const DAEMON_CONFIG: &str = "/etc/cni/net.d/multus.d/daemon-config.json";

/// The node, and what the steps do with it.
pub(super) struct Stage<'a> {
    pub(super) node: &'a mut Node,
    pub(super) options: &'a Options,
}

impl Stage<'_> {
    /// The networks of upstream's tests and of ours.
    pub(super) async fn networks(&self) -> Result<String> {
        let macvlan = |name: &str, ipam: Value, able: bool| {
            json!({"cniVersion": "1.0.0", "name": name, "plugins": [
                {"type": "macvlan", "master": "ens5", "mode": "bridge", "capabilities": {"ips": able}, "ipam": ipam},
                {"type": "tuning"},
            ]})
        };
        let addresses = json!({"type": "static"});
        let routes = json!({"type": "static", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.1"}]});
        let six = json!({"type": "static", "routes": [{"dst": "::/0", "gw": "fd00:6::1"}]});
        let leased = json!({"type": "host-local", "ranges": [[{"subnet": "10.20.0.0/16"}]]});
        let bridge = json!({"cniVersion": "1.0.0", "name": "bridge-nad", "type": "bridge", "bridge": "br-nad",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.10.0.0/16"}]]}});
        let vf = json!({"cniVersion": "1.0.0", "name": "vf", "type": "sriov"});
        let all = [
            (
                "macvlan1",
                None,
                macvlan("macvlan1", addresses.clone(), true),
            ),
            // Without the capability addresses arrive as arguments, which upstream's tests depend on.
            (
                "macvlan-args",
                None,
                macvlan("macvlan-args", addresses, false),
            ),
            (
                "macvlan-routes",
                None,
                macvlan("macvlan-routes", routes, true),
            ),
            ("macvlan-six", None, macvlan("macvlan-six", six, true)),
            (
                "macvlan-leased",
                None,
                macvlan("macvlan-leased", leased, false),
            ),
            ("bridge-nad", None, bridge),
            ("vf", Some(STORAGE), vf),
        ];
        for (name, resource, config) in &all {
            let manifest = network(name, *resource, &config.to_string());
            self.node.cluster.client.create(&manifest).await?;
        }
        Ok(format!("{} networks", all.len()))
    }

    /// Creates pods at the same time, and waits until all of them run.
    pub(super) async fn start(&self, pods: &[PodSpec]) -> Result<()> {
        let manifests: Vec<Value> = pods.iter().map(|pod| pod.manifest(NODE)).collect();
        self.start_manifests(&manifests).await
    }

    pub(super) async fn start_manifests(&self, pods: &[Value]) -> Result<()> {
        let client = &self.node.cluster.client;
        for pod in pods {
            client.create(pod).await?;
        }
        let limit = self.patience();
        try_join_all(pods.iter().map(|pod| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            client.wait_phase(name, "Running", limit)
        }))
        .await?;
        Ok(())
    }

    /// Deletes pods at the same time.
    pub(super) async fn delete_some(&self, names: &[&str]) -> Result<()> {
        let client = &self.node.cluster.client;
        try_join_all(
            names
                .iter()
                .map(|name| client.delete_pod(name, self.deletion())),
        )
        .await?;
        Ok(())
    }

    /// Deletes the last pods of the node, after which nothing of any pod may be left.
    pub(super) async fn delete(&self, names: &[&str]) -> Result<()> {
        self.delete_some(names).await?;
        let left = leftovers::of_pods()?;
        ensure!(left.is_empty(), "left on the node:\n{}", left.join("\n"));
        Ok(())
    }

    pub(super) async fn links(&self, pod: &str) -> Result<BTreeMap<String, Link>> {
        look::links(self.node, pod).await
    }

    /// The link of that name.
    pub(super) async fn link(&self, pod: &str, name: &str) -> Result<Link> {
        let mut links = self.links(pod).await?;
        links
            .remove(name)
            .with_context(|| format!("pod {pod} has no {name}, only {:?}", links.keys()))
    }

    /// Default routes of a pod as `gateway dev`, by `-4` or `-6`.
    pub(super) async fn default_routes(&self, pod: &str, family: &str) -> Result<Vec<String>> {
        let (_, netns) = self.node.runtime.sandbox(pod).await?;
        let net = format!("--net={netns}");
        let words = [&net, "ip", family, "-json", "route", "show", "default"];
        let text = run("nsenter", words)?;
        let text = if text.trim().is_empty() { "[]" } else { &text };
        let list: Vec<Value> = serde_json::from_str(text).context("read the pod's routes")?;
        let word = |route: &Value, key: &str| route[key].as_str().unwrap_or("-").to_owned();
        Ok(list
            .iter()
            .map(|route| format!("{} {}", word(route, "gateway"), word(route, "dev")))
            .collect())
    }

    /// Another daemon with these keys in its file; without any, without a file.
    pub(super) async fn restart_daemon(&mut self, keys: &Value) -> Result<()> {
        Self::configure_daemon(keys)?;
        self.restart_daemon_as_configured().await
    }

    /// Puts these keys into the daemon's file; without any, there is none.
    pub(super) fn configure_daemon(keys: &Value) -> Result<()> {
        let file = Path::new(DAEMON_CONFIG);
        if keys.is_null() {
            let _ = fs::remove_file(file);
            return Ok(());
        }
        let folder = file.parent().context("a file without folder")?;
        fs::create_dir_all(folder).context("create the daemon's folder")?;
        fs::write(file, keys.to_string()).context("write the daemon's configuration")
    }

    /// Another daemon in the place of this one.
    pub(super) async fn restart_daemon_as_configured(&mut self) -> Result<()> {
        self.node
            .multus_daemon
            .terminate(Duration::from_secs(10))
            .await?;
        self.node.multus_daemon = start_multus_daemon(self.options, &self.node.cluster).await?;
        Ok(())
    }

    /// The kubelet's event about a pod that says this, from our own words on; the pod must not run.
    pub(super) async fn refused(&self, pod: &str, says: &str) -> Result<String> {
        let client = &self.node.cluster.client;
        let deadline = Instant::now() + self.patience();
        loop {
            let events = client.events(pod).await?;
            let told = events
                .iter()
                .find(|event| event.starts_with("FailedCreatePodSandBox") && event.contains(says));
            let phase = client.pod(pod).await?.unwrap_or_default()["status"]["phase"].clone();
            ensure!(phase != "Running", "pod {pod} runs and was to be refused");
            if let Some(event) = told {
                let from = event.find("multus: ").unwrap_or_default();
                return Ok(event[from..].chars().take(150).collect());
            }
            if Instant::now() > deadline {
                bail!("no event of {pod} says {says:?}:\n{}", events.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for a pod that was refused before.
    pub(super) async fn runs(&self, pod: &str) -> Result<()> {
        let client = &self.node.cluster.client;
        let deadline = Instant::now() + self.patience();
        while client.pod(pod).await?.unwrap_or_default()["status"]["phase"] != "Running" {
            ensure!(
                Instant::now() < deadline,
                "{pod} was refused and does not run now:\n{}",
                client.events(pod).await?.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// How long pods that are made together may take to run. The real kubelet and API server need several times the
    /// stand-ins' time for each pod under software emulation.
    pub(super) fn patience(&self) -> Duration {
        POD_START * if self.node.cluster.is_real() { 8 } else { 2 }
    }

    /// A pod's deletion, several tries of the kubelet included.
    pub(super) fn deletion(&self) -> Duration {
        Duration::from_mins(if self.node.cluster.is_real() { 8 } else { 2 })
    }

    /// After a step that did not hold: no pods, the daemon without configuration, no folder of plugins.
    pub(super) async fn reset(&mut self) -> Result<()> {
        self.node.cluster.stop_static(STATIC_POD).await?;
        let names = self.node.cluster.client.pods().await?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.delete_some(&names).await?;
        for folder in ["lab", CHAIN] {
            let _ = fs::remove_dir_all(Path::new(CNI_CONF_DIR).join(folder));
        }
        self.restart_daemon(&Value::Null).await?;
        all_is_back(self.node).map(drop)
    }
}
