//! Real containerd and runc with the images that pods run.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};

use super::{service::Service, shell::run};

/// The CRI socket.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// Where the runtime looks for CNI configuration.
pub const CNI_CONF_DIR: &str = "/etc/cni/net.d";
/// Where the runtime looks for CNI plugins.
pub const CNI_BIN_DIR: &str = "/opt/cni/bin";
/// Where the lab's images lie.
const IMAGES: &str = "/images";

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

/// Starts containerd and imports the images.
///
/// # Errors
/// When it does not come up in 60 s, with the end of its log.
pub async fn start(logs: &Path) -> Result<Service> {
    fs::create_dir_all("/etc/containerd").context("create /etc/containerd")?;
    fs::write("/etc/containerd/config.toml", CONFIG).context("write containerd's configuration")?;
    let mut service = Service::start(logs, "containerd", Path::new("/usr/bin/containerd"), &[])?;
    service
        .wait_until(Duration::from_mins(1), "its socket answers", async || {
            run("ctr", ["version"]).is_ok()
        })
        .await?;
    for entry in fs::read_dir(IMAGES).context("list the lab's images")? {
        let path = entry.context("list the lab's images")?.path();
        run(
            "ctr",
            [
                "-n",
                "k8s.io",
                "images",
                "import",
                "--no-unpack",
                &path.to_string_lossy(),
            ],
        )
        .with_context(|| format!("import {}", path.display()))?;
    }
    Ok(service)
}

/// Version line for the report.
///
/// # Errors
/// When containerd is not installed.
pub fn version() -> Result<String> {
    Ok(run("containerd", ["--version"])?
        .split_whitespace()
        .nth(2)
        .unwrap_or("?")
        .to_owned())
}
