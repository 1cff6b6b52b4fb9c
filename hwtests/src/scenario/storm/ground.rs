//! Where the storm is played: links, folders, an API server with pods and networks, PodResources, the daemon.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::calls::{Calls as Answers, Pod};
use crate::{
    guest::{
        cluster::{Client, NODE},
        cni::{Plugin, Sandbox},
        pod::{NETWORK_STATUS, NETWORKS as ANNOTATION, PodSpec, network},
        service::Service,
        shell::{ip, run},
    },
    scenario::leftovers,
    standin::{
        api::ApiServer,
        kubelet::{Allocations, Calls, Rate},
    },
};

/// The networks of every pod, by name.
pub(super) const NETWORKS: [&str; 3] = ["by-device", "macvlan", "bridge"];
/// Pool of the devices. They are names only: the kubelet's answer is what the storm is about.
const POOL: &str = "example.com/slot";
/// What a kubelet allows to all clients together.
const LIMIT: Rate = Rate {
    per_second: 100,
    burst: 10,
};
/// More than the daemon writes statuses at once.
const FIRST: usize = 24;
/// On a busy machine; only a hang takes as long.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Ground {
    dir: PathBuf,
    client: Client,
    kubelet: Allocations,
    pub(super) pods: Vec<Pod>,
    /// Pods of which a daemon gets to hold what it goes on holding: connections to the API server.
    pub(super) first: Vec<Pod>,
    _api: ApiServer,
}

impl Ground {
    /// Makes everything but the daemon, inside namespaces that nobody else uses.
    pub(super) async fn lay(dir: &Path, pods: usize) -> Result<Self> {
        links()?;
        for folder in ["net.d", "conf.d", "state", "run", "leases"] {
            let path = dir.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        let api = ApiServer::start((Ipv4Addr::LOCALHOST, 0).into())
            .await
            .context("start the stand-in API server")?;
        let write = |name: &str, text: &str| {
            fs::write(dir.join(name), text).with_context(|| format!("write {name}"))
        };
        write("kubeconfig", &api.kubeconfig())?;
        let primary = json!({
            "cniVersion": "1.0.0", "name": "storm",
            "plugins": [with_leases(dir, 0, json!({"type": "bridge", "bridge": "storm0"}))],
        });
        write("net.d/10-storm.conflist", &primary.to_string())?;
        let folders = json!({
            "cniDir": dir.join("state"), "cniConfigDir": dir.join("net.d"), "confDir": dir.join("conf.d"),
        });
        write("daemon.json", &folders.to_string())?;
        let mut ground = Self {
            client: Client::from_kubeconfig(&dir.join("kubeconfig")).await?,
            kubelet: Allocations::serve(&dir.join("kubelet.sock"), LIMIT)?,
            dir: dir.to_owned(),
            pods: Vec::new(),
            first: Vec::new(),
            _api: api,
        };
        ground.networks().await?;
        let devices: Vec<String> = (0..pods + FIRST)
            .map(|index| format!("slot-{index}"))
            .collect();
        ground.kubelet.offer(POOL, &devices);
        for device in devices {
            let pod = ground.pod(&device).await?;
            ground.pods.push(pod);
        }
        ground.first = ground.pods.split_off(pods);
        Ok(ground)
    }

    async fn networks(&self) -> Result<()> {
        let delegates = [
            json!({"type": "macvlan", "master": "storm-a", "mode": "bridge"}),
            json!({"type": "macvlan", "master": "storm-b", "mode": "bridge"}),
            json!({"type": "bridge", "bridge": "storm1"}),
        ];
        for (index, (name, mut config)) in NETWORKS.into_iter().zip(delegates).enumerate() {
            config["cniVersion"] = json!("1.0.0");
            config["name"] = json!(name);
            let config = with_leases(&self.dir, index + 1, config).to_string();
            let pool = (index == 0).then_some(POOL);
            self.client.create(&network(name, pool, &config)).await?;
        }
        Ok(())
    }

    /// A pod that the API server knows, that holds a device, and whose sandbox is made.
    async fn pod(&self, device: &str) -> Result<Pod> {
        let name = format!("storm-{device}");
        let asked = NETWORKS.join(",");
        let manifest = PodSpec::new(&name).networks(&asked).manifest(NODE);
        self.client.create(&manifest).await?;
        let object = self.client.pod(&name).await?.context("a pod is gone")?;
        let uid = object["metadata"]["uid"].as_str().context("a pod's uid")?;
        self.kubelet.give(uid, ("default", &name), POOL, device);
        let sandbox = Sandbox::create(&name)?;
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_INFRA_CONTAINER_ID={name};K8S_POD_UID={uid}"
        );
        Ok(Pod {
            plugin: Plugin::new(&built("small", "multus")?).with("CNI_ARGS", &args),
            config: json!({
                "cniVersion": "1.0.0", "name": "multus-cni-network", "type": "multus",
                "clusterNetwork": self.dir.join("net.d/10-storm.conflist"),
                "cniDir": self.dir.join("state"), "confDir": self.dir.join("conf.d"),
                "daemonSocketDir": self.dir.join("run"),
                "capabilities": {"io.kubernetes.cri.pod-annotations": true},
                "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {ANNOTATION: asked}},
            }),
            name,
            sandbox,
        })
    }

    /// Starts a daemon that knows the networks.
    pub(super) async fn start_daemon(&self, log: &str) -> Result<Service> {
        let path = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        let words = [
            ("--config", path("daemon.json")),
            ("--kubeconfig", path("kubeconfig")),
            ("--socket-dir", path("run")),
            ("--pod-resources-socket", path("kubelet.sock")),
            ("--device-checkpoint", path("no-checkpoint")),
            ("--devinfo-dir", path("devinfo")),
            ("--runtime-cache-dir", path("runtime")),
        ];
        let words: Vec<&str> = words
            .iter()
            .flat_map(|(option, value)| [*option, value.as_str()])
            .collect();
        let mut daemon = Service::start_with(
            &self.dir.join("logs"),
            log,
            &built("release", "multus-daemon")?,
            &words,
            &[("MULTUS_NODE_NAME", NODE)],
        )?;
        let socket = self.dir.join("run/multus.sock");
        let copies = self.dir.join("state/nads/default");
        daemon
            .wait_until(PATIENCE, "it serves and knows the networks", async || {
                socket.exists()
                    && fs::read_dir(&copies).is_ok_and(|files| files.count() == NETWORKS.len())
            })
            .await?;
        Ok(daemon)
    }

    pub(super) fn pod_resources_calls(&self) -> Calls {
        self.kubelet.calls()
    }

    /// Waits until the network-status of every pod tells what its ADD gave; the number of different addresses in all.
    pub(super) async fn addresses_in_status(&self, adds: &Answers) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        let mut addresses = BTreeSet::new();
        for (pod, given) in adds.addresses()? {
            loop {
                let object = self.client.pod(&pod).await?.context("a pod is gone")?;
                let text = object["metadata"]["annotations"][NETWORK_STATUS].as_str();
                let entries: Vec<Value> =
                    serde_json::from_str(text.unwrap_or("[]")).context("read a network-status")?;
                let ips: Vec<&str> = entries
                    .iter()
                    .filter_map(|entry| entry["ips"].as_array())
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                // Until then it may be that of an earlier sandbox.
                if ips.first() == Some(&given.as_str()) {
                    ensure!(
                        entries.len() == NETWORKS.len() + 1,
                        "network-status of {pod}: {entries:?}"
                    );
                    addresses.extend(ips.into_iter().map(str::to_owned));
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "the network-status of {pod} has not {given}: {entries:?}"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(addresses.len())
    }

    /// Records, kept deletions, reports, cached results and leases.
    pub(super) fn files_of_pods(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in ["state", "leases", "runtime", "devinfo"] {
            found.extend(leftovers::tree(&self.dir.join(folder))?);
        }
        found.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let lease = path.starts_with(self.dir.join("leases"));
            let of_the_node = ["state/nads", "state/lock"]
                .iter()
                .any(|folder| path.starts_with(self.dir.join(folder)));
            !of_the_node && (name.parse::<IpAddr>().is_ok() || (!lease && !name.ends_with("lock")))
        });
        Ok(found
            .into_iter()
            .map(|path| path.display().to_string())
            .collect())
    }
}

/// Ends a daemon and reads how many tasks it says it had.
pub(super) async fn tasks_at_the_end(mut daemon: Service) -> Result<usize> {
    daemon.terminate(Duration::from_secs(10)).await?;
    let log = daemon.log()?;
    log.lines()
        .rev()
        .find(|line| line.contains("stopping"))
        .and_then(|line| line.split("tasks=").nth(1)?.split(' ').next()?.parse().ok())
        .with_context(|| format!("the daemon's log names no tasks:\n{}", daemon.tail()))
}

/// Masters of the macvlan networks: one end each of a pair, since the machine may have nothing better.
fn links() -> Result<()> {
    fs::create_dir_all("/run/netns").context("create /run/netns")?;
    run("mount", ["-t", "tmpfs", "tmpfs", "/run/netns"])?;
    ip("link set lo up")?;
    for name in ["storm-a", "storm-b"] {
        ip(&format!("link add {name} type veth peer name {name}-far"))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("link set {name}-far up"))?;
    }
    Ok(())
}

fn with_leases(dir: &Path, index: usize, mut config: Value) -> Value {
    config["ipam"] = json!({
        "type": "host-local", "dataDir": dir.join("leases"),
        "ranges": [[{"subnet": format!("10.7{index}.0.0/22")}]],
    });
    config
}

/// A program of this build.
fn built(profile: &str, name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let profiles = own.parent().and_then(Path::parent);
    let path = profiles
        .context("a program without a folder")?
        .join(profile)
        .join(name);
    ensure!(
        path.exists(),
        "{} is not built: run make build",
        path.display()
    );
    Ok(path)
}
