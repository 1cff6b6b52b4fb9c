//! Real containerd and runc with the images that pods run, in one of two generations.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{service::Service, shell::run};

/// The CRI socket.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// Where the runtime looks for CNI configuration.
pub const CNI_CONF_DIR: &str = "/etc/cni/net.d";
/// Where the runtime looks for CNI plugins.
pub const CNI_BIN_DIR: &str = "/opt/cni/bin";
/// Where the lab's images lie.
const IMAGES: &str = "/images";

/// Which container runtime the node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Generation {
    /// Debian trixie's: containerd 1.7.
    #[default]
    #[value(name = "containerd")]
    One,
    /// Debian forky's: containerd 2.1 or newer, with a later runc.
    #[value(name = "containerd-2")]
    Two,
}

const CONFIG: &str = r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "lab.local/pause:1"
  disable_tcp_service = true
  enable_cdi = true
  cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
"#;

/// The same in the words of containerd 2, which has parted the CRI plugin.
const CONFIG_2: &str = r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "lab.local/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
  enable_cdi = true
  cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
"#;

impl Generation {
    fn program(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::One => "/usr/bin",
            Self::Two => "/opt/containerd-2/bin",
        };
        Path::new(folder).join(name)
    }

    fn config(self) -> &'static str {
        match self {
            Self::One => CONFIG,
            Self::Two => CONFIG_2,
        }
    }

    fn ctr(self, words: &[&str]) -> Result<String> {
        run(&self.program("ctr").to_string_lossy(), words)
    }

    /// Starts containerd and imports the images.
    ///
    /// # Errors
    /// When it does not come up in 60 s, with the end of its log.
    pub async fn start(self, logs: &Path) -> Result<Service> {
        fs::create_dir_all("/etc/containerd").context("create /etc/containerd")?;
        fs::write("/etc/containerd/config.toml", self.config())
            .context("write containerd's configuration")?;
        // Its shim and runc are looked up there.
        let own = self.program("");
        let path = format!(
            "{}:{}",
            own.display(),
            env::var("PATH").context("the guest's PATH")?
        );
        let mut service = Service::start_with(
            logs,
            "containerd",
            &self.program("containerd"),
            &[],
            &[("PATH", &path)],
        )?;
        service
            .wait_until(Duration::from_mins(1), "its socket answers", async || {
                self.ctr(&["version"]).is_ok()
            })
            .await?;
        for entry in fs::read_dir(IMAGES).context("list the lab's images")? {
            let path = entry.context("list the lab's images")?.path();
            self.import(&path)?;
        }
        Ok(service)
    }

    /// Imports the images of an archive for the kubelet's pods.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn import(self, archive: &Path) -> Result<()> {
        let file = archive.to_string_lossy();
        self.ctr(&["-n", "k8s.io", "images", "import", "--no-unpack", &file])
            .with_context(|| format!("import {}", archive.display()))?;
        Ok(())
    }

    /// Names and digests of the images that the kubelet's pods can have.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub fn images(self) -> Result<Vec<(String, String)>> {
        let list = self.ctr(&["-n", "k8s.io", "images", "list"])?;
        Ok(list
            .lines()
            .skip(1)
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?.to_owned(), words.nth(1)?.to_owned()))
            })
            .collect())
    }

    /// Version line for the report.
    ///
    /// # Errors
    /// When containerd is not installed.
    pub fn version(self) -> Result<String> {
        let program = self.program("containerd");
        Ok(run(&program.to_string_lossy(), ["--version"])?
            .split_whitespace()
            .nth(2)
            .unwrap_or("?")
            .to_owned())
    }
}
