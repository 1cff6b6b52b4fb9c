//! Real etcd, kube-apiserver and kubelet from the folder that `KUBEBUILDER_ASSETS` names.

mod controllers;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use self::controllers::Controllers;
use super::{Account, Client, KUBELET_ROOT, NODE};
use crate::guest::{
    containerd,
    service::Service,
    shell::{ip, run},
};

const API: &str = "https://127.0.0.1:6443";
/// Address of the node, on an interface of its own: neither server takes a loopback address for one.
const NODE_IP: &str = "10.99.0.1";
/// A token per identity; the lab's network is the machine itself.
const TOKENS: &str = "\
lab-admin,admin,admin,\"system:masters\"
lab-node,system:node:lab,node,\"system:nodes\"
lab-multus,system:serviceaccount:kube-system:multus,multus,\"system:serviceaccounts,system:authenticated\"
";
/// File of the static pod.
const STATIC_POD: &str = "static/pod.json";
/// Boot of the API server under software emulation.
const START: Duration = Duration::from_mins(4);

/// How much of a control plane there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Pods are bound by who creates them.
    Nodes,
    /// The same, and each request leaves a line.
    Audited,
    /// Controllers and a scheduler, pods with service accounts.
    Managed,
}

/// The processes of a real control plane and a real kubelet.
#[derive(Debug)]
pub struct Real {
    work: PathBuf,
    assets: PathBuf,
    logs: PathBuf,
    services: Vec<Service>,
    controllers: Option<Box<Controllers>>,
    kubelet: Option<Service>,
}

impl Real {
    /// Starts etcd, kube-apiserver and kubelet; with `managed` a controller manager and a scheduler, too, and pods have
    /// service accounts.
    ///
    /// # Errors
    /// When a binary is missing or a process does not get ready, with the end of its log.
    pub async fn start(work: &Path, logs: &Path, assets: &Path, managed: bool) -> Result<Self> {
        let extent = if managed {
            Extent::Managed
        } else {
            Extent::Nodes
        };
        let mut real = Self::serve(work, logs, assets, extent).await?;
        if managed {
            let controllers = Controllers::start(&real.work, &real.assets, &real.logs).await?;
            real.controllers = Some(Box::new(controllers));
        }
        real.start_kubelet().await?;
        Ok(real)
    }

    /// Starts etcd and kube-apiserver; with `audit` each request leaves a line.
    ///
    /// # Errors
    /// When a binary is missing or a process does not get ready, with the end of its log.
    pub async fn control_plane(
        work: &Path,
        logs: &Path,
        assets: &Path,
        audit: bool,
    ) -> Result<Self> {
        let extent = if audit {
            Extent::Audited
        } else {
            Extent::Nodes
        };
        Self::serve(work, logs, assets, extent).await
    }

    async fn serve(work: &Path, logs: &Path, assets: &Path, extent: Extent) -> Result<Self> {
        for name in ["etcd", "kube-apiserver", "kubelet"] {
            if !assets.join(name).exists() {
                bail!(
                    "KUBEBUILDER_ASSETS has no {name}: wanted {}",
                    assets.join(name).display()
                );
            }
        }
        let mut real = Self {
            work: work.to_owned(),
            assets: assets.to_owned(),
            logs: logs.to_owned(),
            services: Vec::new(),
            controllers: None,
            kubelet: None,
        };
        ip("link add node0 type bridge")?;
        ip(&format!("address add {NODE_IP}/24 dev node0"))?;
        ip("link set node0 up")?;
        real.write_files()?;
        real.start_etcd(logs)?;
        real.start_api(logs, extent).await?;
        Ok(real)
    }

    /// Token of the administrator.
    pub const ADMIN_TOKEN: &'static str = "lab-admin";

    /// The API server's certificate, which it made itself.
    pub fn certificate(&self) -> PathBuf {
        self.work.join("certs/apiserver.crt")
    }

    /// The administrator, as a pod's service account has it.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn admin_account(&self) -> Result<Account> {
        Ok(Account {
            address: ([127, 0, 0, 1], 6443).into(),
            authority: fs::read_to_string(self.certificate()).context("read the certificate")?,
            token: Self::ADMIN_TOKEN.to_owned(),
        })
    }

    /// Requests that were answered so far, watches that go on not among them.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audited(&self) -> Result<u64> {
        let text = fs::read_to_string(self.work.join("audit.log")).context("read the audit log")?;
        Ok(text.lines().count() as u64)
    }

    fn write_files(&self) -> Result<()> {
        write_private(&self.work.join("tokens.csv"), TOKENS)?;
        for (name, token) in [
            ("admin", Self::ADMIN_TOKEN),
            ("node", "lab-node"),
            ("multus", "lab-multus"),
        ] {
            let config = kubeconfig(token).to_string();
            write_private(&self.work.join(format!("{name}.kubeconfig")), &config)?;
        }
        run("openssl", ["genrsa", "-out", &self.file("sa.key"), "2048"])?;
        run(
            "openssl",
            [
                "rsa",
                "-in",
                &self.file("sa.key"),
                "-pubout",
                "-out",
                &self.file("sa.pub"),
            ],
        )?;
        let kubelet = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "readOnlyPort": 0,
            "cgroupDriver": "cgroupfs",
            "failSwapOn": false,
            "containerRuntimeEndpoint": format!("unix://{}", containerd::SOCKET),
            "resolvConf": "",
            "clusterDNS": [],
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": false,
            "localStorageCapacityIsolation": false,
            "syncFrequency": "5s",
            "staticPodPath": self.file("static"),
        });
        fs::create_dir_all(self.work.join("static")).context("create the folder of static pods")?;
        write_private(&self.work.join("kubelet.json"), &kubelet.to_string())
    }

    fn start_etcd(&mut self, logs: &Path) -> Result<()> {
        let data = format!("--data-dir={}", self.file("etcd"));
        self.services.push(Service::start(
            logs,
            "etcd",
            &self.assets.join("etcd"),
            &[
                &data,
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
            ],
        )?);
        Ok(())
    }

    async fn start_api(&mut self, logs: &Path, extent: Extent) -> Result<()> {
        let mut words = vec![
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--advertise-address={NODE_IP}"),
            "--secure-port=6443".to_owned(),
            format!("--cert-dir={}", self.file("certs")),
            format!("--token-auth-file={}", self.file("tokens.csv")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--anonymous-auth=false".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", self.file("sa.pub")),
            format!("--service-account-signing-key-file={}", self.file("sa.key")),
        ];
        if extent != Extent::Managed {
            // Nobody makes accounts.
            words.push("--disable-admission-plugins=ServiceAccount".to_owned());
        }
        if extent == Extent::Audited {
            // Leases and health are no business of pods.
            let policy = json!({
                "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
                "rules": [
                    {"level": "None", "userGroups": ["system:apiserver"]},
                    {"level": "None", "users": ["system:apiserver", "system:anonymous"]},
                    {"level": "None", "nonResourceURLs": ["*"]},
                    {"level": "Metadata"},
                ],
            });
            write_private(&self.work.join("audit.json"), &policy.to_string())?;
            words.push(format!("--audit-policy-file={}", self.file("audit.json")));
            words.push(format!("--audit-log-path={}", self.file("audit.log")));
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut api = Service::start(
            logs,
            "kube-apiserver",
            &self.assets.join("kube-apiserver"),
            &words,
        )?;
        let admin = self.admin_kubeconfig();
        api.wait_until(
            START,
            "/readyz answers ok",
            async || match Client::from_kubeconfig(&admin).await {
                Ok(client) => client.ready().await,
                Err(_) => false,
            },
        )
        .await?;
        self.services.push(api);
        Ok(())
    }

    /// Kills the kubelet and starts it again.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart_kubelet(&mut self) -> Result<()> {
        self.kubelet = None;
        // Left by the killed one; the wait below must not take it for the new one's.
        let _ = fs::remove_file(Path::new(KUBELET_ROOT).join("device-plugins/kubelet.sock"));
        self.start_kubelet().await
    }

    async fn start_kubelet(&mut self) -> Result<()> {
        let words = [
            format!("--config={}", self.file("kubelet.json")),
            format!("--kubeconfig={}", self.file("node.kubeconfig")),
            format!("--root-dir={KUBELET_ROOT}"),
            format!("--cert-dir={}", self.file("kubelet-certs")),
            format!("--hostname-override={NODE}"),
            format!("--node-ip={NODE_IP}"),
            "--v=2".to_owned(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut kubelet =
            Service::start(&self.logs, "kubelet", &self.assets.join("kubelet"), &words)?;
        let socket = Path::new(KUBELET_ROOT).join("device-plugins/kubelet.sock");
        kubelet
            .wait_until(START, "its device plugin socket is there", async || {
                socket.exists()
            })
            .await?;
        self.kubelet = Some(kubelet);
        Ok(())
    }

    /// Waits until the node is there; it may be not ready for want of a CNI configuration, which comes later.
    ///
    /// # Errors
    /// After four minutes.
    pub async fn wait_node_ready(&self, client: &Client) -> Result<()> {
        let deadline = Instant::now() + START;
        while client.node(NODE).await.is_err() {
            if Instant::now() > deadline {
                bail!(
                    "the kubelet did not register node {NODE} in {} s",
                    START.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Puts a manifest where the kubelet looks for pods of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn run_static(&self, manifest: &Value) -> Result<()> {
        write_private(&self.work.join(STATIC_POD), &manifest.to_string())
    }

    /// Takes it away.
    ///
    /// # Errors
    /// When it is there and stays.
    pub fn stop_static(&self) -> Result<()> {
        let path = self.work.join(STATIC_POD);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Kubeconfig of an administrator.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.work.join("admin.kubeconfig")
    }

    /// Kubeconfig with the rights that multus-daemon has in a cluster.
    pub fn multus_kubeconfig(&self) -> PathBuf {
        self.work.join("multus.kubeconfig")
    }

    /// Versions for the report.
    ///
    /// # Errors
    /// When a binary does not run.
    pub fn versions(&self) -> Result<Vec<(String, String)>> {
        let controllers: &[&str] = match self.controllers {
            Some(_) => &controllers::PROGRAMS,
            None => &[],
        };
        ["kubelet", "kube-apiserver"]
            .iter()
            .chain(controllers)
            .map(|name| {
                let path = self.assets.join(name);
                let version = run(&path.to_string_lossy(), ["--version"])?;
                Ok(((*name).to_owned(), version.trim().to_owned()))
            })
            .collect()
    }

    fn file(&self, name: &str) -> String {
        self.work.join(name).to_string_lossy().into_owned()
    }
}

/// A kubeconfig (JSON is YAML, too) with an identity's token.
fn kubeconfig(token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        // The API server makes its own certificate in the lab; the connection never leaves the machine.
        "clusters": [{"name": "lab", "cluster": {"server": API, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        "current-context": "lab",
    })
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("set the mode of {}", path.display()))
}
