//! The cluster that the node belongs to: real kubelet and API server where their binaries are given, else stand-ins.
//! A scenario cannot tell them apart: it speaks to the API and to the container runtime only.

pub mod client;
pub mod exec;
pub mod objects;
pub mod real;
pub mod rights;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::standin;

pub use client::Client;

/// Name of the node.
pub const NODE: &str = "lab";
/// The kubelet's folder.
pub const KUBELET_ROOT: &str = "/var/lib/kubelet";

/// UID that the stand-in kubelet gives to a static pod: like a real one's, a hash.
const STATIC_UID: &str = "5f0c3a91b7de44c2a8e96d10273fb58c";

/// A running cluster of one node.
#[derive(Debug)]
pub struct Cluster {
    /// Speaks to the API as an administrator.
    pub client: Client,
    /// Kubeconfig of an administrator.
    pub admin_kubeconfig: PathBuf,
    /// Kubeconfig that multus-daemon uses.
    pub multus_kubeconfig: PathBuf,
    /// What ran, for the report: name and version.
    pub parts: Vec<(String, String)>,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    StandIns {
        api: standin::api::ApiServer,
        kubelet: standin::kubelet::Kubelet,
        _controllers: standin::controllers::Controllers,
    },
    Real(real::Real),
}

/// Where the API is and who asks, as a pod is told.
#[derive(Debug)]
pub struct Account {
    /// Of the API server.
    pub address: SocketAddr,
    /// The certificate to trust, as PEM.
    pub authority: String,
    /// Of the account.
    pub token: String,
}

/// Faults that the honesty test plants into the stand-ins.
pub type Fault = standin::api::ApiFault;

impl Cluster {
    /// Starts the cluster. `assets` is the folder that `KUBEBUILDER_ASSETS` named; `managed` says whether it carries
    /// DaemonSets out and gives accounts to pods, which stand-ins always do.
    ///
    /// # Errors
    /// When a part does not come up, with the end of its log.
    pub async fn start(
        work: &Path,
        logs: &Path,
        assets: Option<&Path>,
        managed: bool,
    ) -> Result<Self> {
        std::fs::create_dir_all(work).with_context(|| format!("create {}", work.display()))?;
        match assets {
            Some(assets) => Self::start_real(work, logs, assets, managed).await,
            None => Self::start_stand_ins(work, logs).await,
        }
    }

    async fn start_real(work: &Path, logs: &Path, assets: &Path, managed: bool) -> Result<Self> {
        let real = real::Real::start(work, logs, assets, managed).await?;
        let client = Client::from_kubeconfig(&real.admin_kubeconfig()).await?;
        if !managed {
            // Otherwise they come with an installation.
            rights::install(&client).await?;
        }
        real.wait_node_ready(&client).await?;
        Ok(Self {
            client,
            admin_kubeconfig: real.admin_kubeconfig(),
            multus_kubeconfig: real.multus_kubeconfig(),
            parts: real.versions()?,
            inner: Inner::Real(real),
        })
    }

    async fn start_stand_ins(work: &Path, logs: &Path) -> Result<Self> {
        let api = standin::api::ApiServer::start(([127, 0, 0, 1], 0).into())
            .await
            .context("start the stand-in API server")?;
        let service = api
            .secure(([127, 0, 0, 1], 0).into())
            .await
            .context("serve the stand-in API server to pods")?;
        let controllers = standin::controllers::Controllers::start(api.store().clone(), &service);
        let mut config = standin::kubelet::KubeletConfig::new(NODE, api.clone());
        config.service = Some(service);
        config.logs = logs.join("pods");
        let kubelet = standin::kubelet::Kubelet::start(config)
            .await
            .context("start the stand-in kubelet")?;
        let kubeconfig = work.join("kubeconfig");
        std::fs::write(&kubeconfig, api.kubeconfig())
            .with_context(|| format!("write {}", kubeconfig.display()))?;
        Ok(Self {
            client: Client::from_kubeconfig(&kubeconfig).await?,
            admin_kubeconfig: kubeconfig.clone(),
            multus_kubeconfig: kubeconfig,
            parts: vec![
                ("kubelet".to_owned(), "stand-in of hwtests".to_owned()),
                ("API server".to_owned(), "stand-in of hwtests".to_owned()),
            ],
            inner: Inner::StandIns {
                api,
                kubelet,
                _controllers: controllers,
            },
        })
    }

    /// Plants a fault into the API server.
    ///
    /// # Errors
    /// When the cluster is a real one: a run that looks planted and is not would show nothing.
    pub fn plant(&self, fault: Fault) -> Result<()> {
        match &self.inner {
            Inner::StandIns { api, .. } => {
                api.set_fault(fault);
                Ok(())
            }
            Inner::Real(_) => anyhow::bail!(
                "{fault:?} can only be planted into the stand-in API server: run without KUBEBUILDER_ASSETS"
            ),
        }
    }

    /// Restarts the kubelet: a real one is killed and started again, a stand-in forgets its plugins and makes its
    /// sockets anew. Pods go on. Returns when its registration socket is there.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn restart_kubelet(&mut self) -> Result<()> {
        match &mut self.inner {
            Inner::StandIns { kubelet, .. } => kubelet.restart().await,
            Inner::Real(real) => real.restart_kubelet().await,
        }
    }

    /// Runs a pod that belongs to the kubelet and not to the API server, which only shows it, as `<name>-<node>`.
    ///
    /// # Errors
    /// When its manifest cannot be placed.
    pub async fn run_static(&self, manifest: &Value) -> Result<()> {
        if let Inner::Real(real) = &self.inner {
            return real.run_static(manifest);
        }
        let mut mirror = manifest.clone();
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        mirror["metadata"]["name"] = json!(format!("{name}-{NODE}"));
        for (key, value) in [
            ("source", "file"),
            ("hash", STATIC_UID),
            ("mirror", STATIC_UID),
        ] {
            mirror["metadata"]["annotations"][format!("kubernetes.io/config.{key}")] = json!(value);
        }
        self.client.create(&mirror).await
    }

    /// Ends the pod that the API server shows under this name, if there is one.
    ///
    /// # Errors
    /// When it does not go.
    pub async fn stop_static(&self, name: &str) -> Result<()> {
        match &self.inner {
            Inner::Real(real) => real.stop_static(),
            Inner::StandIns { .. } if self.client.pod(name).await?.is_some() => {
                self.client.delete_pod(name, POD_START).await
            }
            Inner::StandIns { .. } => Ok(()),
        }
    }

    /// Whether the kubelet and the API server are real.
    pub fn is_real(&self) -> bool {
        matches!(self.inner, Inner::Real(_))
    }

    /// An administrator as a pod's service account sees the API: for programs that take no kubeconfig.
    ///
    /// # Errors
    /// With stand-ins, which give tokens to pods only.
    pub fn admin_account(&self) -> Result<Account> {
        match &self.inner {
            Inner::Real(real) => real.admin_account(),
            Inner::StandIns { .. } => {
                anyhow::bail!("the stand-in API server gives tokens to pods only")
            }
        }
    }

    /// Socket of the kubelet's PodResources service.
    pub fn pod_resources() -> PathBuf {
        Path::new(KUBELET_ROOT).join("pod-resources/kubelet.sock")
    }
}

/// How long a pod may take from its creation to `Running` under software emulation.
pub const POD_START: Duration = Duration::from_mins(2);
