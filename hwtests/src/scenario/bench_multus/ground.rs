//! Where it is measured: links, reference plugins, an API server with pods and networks, folders.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::NETWORKS;
use crate::{
    guest::{
        cluster::{Client, NODE, real::Real, rights},
        pod::{PodSpec, network},
        shell::{ip, run},
    },
    standin::api::ApiServer,
};

/// Reference plugins of the node.
pub(super) const PLUGINS: &str = "/usr/lib/cni";
/// Pods are created so many at a time.
const AT_ONCE: usize = 50;

enum Server {
    StandIn(ApiServer),
    Real(Real),
}

/// The ground.
pub(super) struct Ground {
    pub(super) dir: PathBuf,
    pub(super) kubeconfig: PathBuf,
    client: Client,
    server: Server,
}

impl Ground {
    /// Lays it in the namespaces of this process, which must be its own.
    pub(super) async fn lay(assets: Option<&Path>) -> Result<Self> {
        let links = run("ip", ["-brief", "link", "show"])?;
        ensure!(
            links.lines().count() == 1,
            "bench-multus wants a network namespace of its own: unshare --net --mount hwtests bench-multus"
        );
        let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
        ensure!(
            mounts("self") != mounts("1"),
            "bench-multus wants a mount namespace of its own: unshare --net --mount hwtests bench-multus"
        );
        run("mount", ["-t", "tmpfs", "tmpfs", "/run"])?;
        for plugin in ["bridge", "macvlan", "host-local"] {
            let path = Path::new(PLUGINS).join(plugin);
            ensure!(
                path.exists(),
                "no {}: install containernetworking-plugins",
                path.display()
            );
        }
        ip("link set lo up")?;
        ip("link add bench0 type veth peer name bench1")?;
        ip("link set bench0 up")?;
        ip("link set bench1 up")?;
        let dir = std::env::temp_dir().join(format!("ferrovia-bench-{}", std::process::id()));
        let logs = dir.join("logs");
        for folder in ["bin", "scripts", "net.d", "nads.d"] {
            fs::create_dir_all(dir.join(folder)).context("create the bench's folder")?;
        }
        let (server, kubeconfig, client) = if let Some(assets) = assets {
            let real = Real::control_plane(&dir, &logs, assets, true).await?;
            let kubeconfig = real.admin_kubeconfig();
            let client = Client::from_kubeconfig(&kubeconfig).await?;
            rights::install(&client).await?;
            (Server::Real(real), kubeconfig, client)
        } else {
            let api = ApiServer::start(([127, 0, 0, 1], 0).into())
                .await
                .context("start the stand-in API server")?;
            let kubeconfig = dir.join("kubeconfig");
            fs::write(&kubeconfig, api.kubeconfig()).context("write a kubeconfig")?;
            let client = Client::from_kubeconfig(&kubeconfig).await?;
            (Server::StandIn(api), kubeconfig, client)
        };
        let ground = Self {
            dir,
            kubeconfig,
            client,
            server,
        };
        ground.place_files()?;
        ground.create_objects().await?;
        Ok(ground)
    }

    fn place_files(&self) -> Result<()> {
        let primary = self.dir.join("net.d/10-bench.conflist");
        fs::write(primary, self.primary().to_string()).context("write the default network")?;
        // Delegates that cost nothing: what is left is the program that calls them.
        let answer =
            json!({"cniVersion": "1.0.0", "interfaces": [], "ips": [{"address": "10.0.0.2/24"}]});
        let script = format!("#!/bin/sh\n[ $CNI_COMMAND != ADD ] || echo '{answer}'\n");
        for name in ["bridge", "macvlan"] {
            let path = self.dir.join("scripts").join(name);
            fs::write(&path, &script).context("write a delegate")?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("chmod")?;
        }
        Ok(())
    }

    async fn create_objects(&self) -> Result<()> {
        for index in 1..=*NETWORKS.iter().max().unwrap_or(&0) {
            let config = self.macvlan(index).to_string();
            self.client
                .create(&network(&nad(index), None, &config))
                .await?;
        }
        for networks in NETWORKS {
            self.client
                .create(&Self::pod(networks).manifest(NODE))
                .await?;
        }
        Ok(())
    }

    /// Default network: bridge with leased addresses.
    pub(super) fn primary(&self) -> Value {
        json!({"cniVersion": "1.0.0", "name": "cbr0", "plugins": [{
            "type": "bridge", "bridge": "cni-bench", "isGateway": true,
            "ipam": {"type": "host-local", "dataDir": self.dir.join("leases"),
                "ranges": [[{"subnet": "10.244.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }]})
    }

    /// One of the further networks.
    pub(super) fn macvlan(&self, index: usize) -> Value {
        json!({"cniVersion": "1.0.0", "name": nad(index), "type": "macvlan", "master": "bench0",
            "ipam": {"type": "host-local", "dataDir": self.dir.join("leases"),
                "ranges": [[{"subnet": format!("10.{}.0.0/16", 20 + index)}]]},
        })
    }

    fn pod(networks: usize) -> PodSpec {
        let pod = PodSpec::new(&format!("bench-{networks}"));
        if networks == 0 {
            pod
        } else {
            pod.networks(&annotation(networks))
        }
    }

    /// CNI_ARGS of the pod with so many networks, as containerd gives them.
    pub(super) async fn args(&self, networks: usize, container: &str) -> Result<String> {
        let name = format!("bench-{networks}");
        let pod = self.client.pod(&name).await?;
        let pod = pod.with_context(|| format!("pod {name} is gone"))?;
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        Ok(format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_INFRA_CONTAINER_ID={container};K8S_POD_UID={uid}"
        ))
    }

    /// Requests that the API server has answered so far.
    pub(super) fn api_calls(&self) -> Result<u64> {
        match &self.server {
            Server::StandIn(api) => Ok(api.requests()),
            Server::Real(real) => real.audited(),
        }
    }

    /// The control plane's certificate and token, for a program that believes to be in the cluster.
    pub(super) fn in_cluster(&self) -> Result<(PathBuf, &'static str)> {
        match &self.server {
            Server::Real(real) => Ok((real.certificate(), Real::ADMIN_TOKEN)),
            Server::StandIn(_) => bail!("the stand-in has no certificate"),
        }
    }

    /// Pods of this node that nobody runs.
    pub(super) async fn crowd(&self, count: usize) -> Result<()> {
        let manifests: Vec<Value> = (0..count)
            .map(|index| {
                PodSpec::new(&format!("crowd-{index}"))
                    .networks(&annotation(1))
                    .manifest(NODE)
            })
            .collect();
        for some in manifests.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|pod| self.client.create(pod))).await?;
        }
        // The watches have them a moment later; nothing tells when.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    /// What ran, for the first lines.
    pub(super) fn head(&self) -> Result<String> {
        let api = match &self.server {
            Server::StandIn(_) => "stand-in of hwtests, plain HTTP".to_owned(),
            Server::Real(_) => "kube-apiserver, TLS".to_owned(),
        };
        let kernel = run("uname", ["-r"])?;
        Ok(format!(
            "kernel {}; API server: {api}; default network bridge + host-local, further ones macvlan + host-local",
            kernel.trim()
        ))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn nad(index: usize) -> String {
    format!("mv{index}")
}

/// The networks annotation that asks for so many.
pub(super) fn annotation(networks: usize) -> String {
    (1..=networks).map(nad).collect::<Vec<_>>().join(",")
}
