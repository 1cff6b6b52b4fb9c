//! The Go programs, put onto the node and started as their manifests do it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    guest::{
        cluster::{Cluster, NODE},
        containerd::{CNI_BIN_DIR, CNI_CONF_DIR},
        node::Options,
        service::Service,
    },
    scenario::go_multus::{CREDENTIALS, KUBECONFIG, THIN_CONF, primary, thin_conf, write},
};

/// File in the folder that `PEER_BIN` names, name in the guest.
pub const PEERS: [(&str, &str); 5] = [
    ("multus", "peer-multus"),
    ("multus-daemon", "peer-multus-daemon"),
    ("multus-shim", "peer-multus-shim"),
    ("sriov", crate::scenario::sriov::rig::PEER),
    ("sriovdp", "peer-sriovdp"),
];

/// The daemon's socket.
const SOCKET: &str = "/run/multus/multus.sock";
/// Where a pod finds its service account.
const ACCOUNT: &str = "/run/secrets/kubernetes.io/serviceaccount";
/// A Go daemon serves within this time, its caches filled.
const START: Duration = Duration::from_mins(2);
/// The daemon waits ten seconds after SIGTERM before it does anything.
const END: Duration = Duration::from_mins(1);

/// The Go programs of the node.
#[derive(Debug)]
pub(super) struct Go {
    programs: PathBuf,
    logs: PathBuf,
    sriovdp: Option<Service>,
    daemon: Option<Service>,
}

impl Go {
    /// Whether all of them are among the guest's programs.
    pub(super) fn is_in(programs: &Path) -> bool {
        PEERS.iter().all(|(_, name)| programs.join(name).exists())
    }

    pub(super) fn new(options: &Options) -> Self {
        Self {
            programs: options.programs.clone(),
            logs: options.logs.clone(),
            sriovdp: None,
            daemon: None,
        }
    }

    /// The device plugin with its usual options, and the CNI plugin `sriov`.
    pub(super) fn start_sriov(&mut self) -> Result<()> {
        self.place("sriov", "sriov")?;
        self.sriovdp = Some(Service::start(
            &self.logs,
            "go-sriovdp",
            &self.programs.join("peer-sriovdp"),
            &["-config-file", "/etc/pcidp/config.json"],
        )?);
        Ok(())
    }

    /// Deletes the device plugin's DaemonSet.
    pub(super) async fn stop_sriovdp(&mut self) -> Result<()> {
        match &mut self.sriovdp {
            Some(service) => service.terminate(END).await.map(drop),
            None => Ok(()),
        }
    }

    /// What `thin_entrypoint` does with its default options.
    pub(super) fn install_thin(&self, cluster: &Cluster) -> Result<()> {
        fs::create_dir_all(CREDENTIALS).context("create the credentials' folder")?;
        let kubeconfig = Path::new(CREDENTIALS).join(KUBECONFIG);
        fs::copy(&cluster.admin_kubeconfig, &kubeconfig).context("write the kubeconfig")?;
        self.place("multus", "multus")?;
        write(Path::new(THIN_CONF), &thin_conf(&primary()?))
    }

    /// What the thick DaemonSet does: its init container copies the shim, then the daemon runs.
    pub(super) async fn start_thick(&mut self, cluster: &Cluster) -> Result<()> {
        self.place("multus-shim", "multus-shim")?;
        let config = Path::new("/run/lab/go-daemon-config.json");
        write(
            config,
            &json!({
                "cniVersion": "1.0.0", "logLevel": "verbose", "logToStderr": true,
                "cniConfigDir": CNI_CONF_DIR, "multusAutoconfigDir": CNI_CONF_DIR,
                "multusConfigFile": "auto", "socketDir": "/run/multus/",
            }),
        )?;
        let account = cluster.admin_account()?;
        fs::create_dir_all(ACCOUNT).context("create the service account's folder")?;
        fs::write(Path::new(ACCOUNT).join("ca.crt"), &account.authority)
            .context("write the authority")?;
        fs::write(Path::new(ACCOUNT).join("token"), &account.token).context("write the token")?;
        let before = inode();
        let mut daemon = Service::start_with(
            &self.logs,
            "go-multus-daemon",
            &self.programs.join("peer-multus-daemon"),
            &["-config", &config.to_string_lossy()],
            &[
                ("MULTUS_NODE_NAME", NODE),
                ("KUBERNETES_SERVICE_HOST", &account.address.ip().to_string()),
                (
                    "KUBERNETES_SERVICE_PORT",
                    &account.address.port().to_string(),
                ),
            ],
        )?;
        daemon
            .wait_until(START, "it has emptied the folder of sockets", async || {
                inode().is_some_and(|now| Some(now) != before)
            })
            .await?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// SIGTERM, as at an upgrade or the DaemonSet's deletion.
    pub(super) async fn stop_thick(&mut self) -> Result<()> {
        match &mut self.daemon {
            Some(daemon) => daemon.terminate(END).await.map(drop),
            None => Ok(()),
        }
    }

    /// By a temporary file and a rename: the one that is there may be running.
    fn place(&self, name: &str, as_name: &str) -> Result<()> {
        let (_, peer) = PEERS
            .iter()
            .find(|(file, _)| *file == name)
            .with_context(|| format!("no Go program {name}"))?;
        let target = Path::new(CNI_BIN_DIR).join(as_name);
        let fresh = Path::new(CNI_BIN_DIR).join(format!(".{as_name}.go"));
        fs::copy(self.programs.join(peer), &fresh).with_context(|| format!("copy {peer}"))?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {as_name} executable"))?;
        fs::rename(&fresh, &target).with_context(|| format!("place {}", target.display()))
    }
}

fn inode() -> Option<u64> {
    fs::symlink_metadata(SOCKET).map(|meta| meta.ino()).ok()
}
