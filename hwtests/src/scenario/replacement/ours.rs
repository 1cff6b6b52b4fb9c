//! Our programs, put onto the node as the DaemonSets' containers do it.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    guest::{
        containerd::{CNI_BIN_DIR, CNI_CONF_DIR},
        node::{Base, Options, start_multus_daemon},
        service::Service,
    },
    scenario::installation,
};

/// An end that is asked for.
const END: Duration = Duration::from_secs(10);

/// The two daemons.
#[derive(Debug)]
pub(super) struct Ours {
    sriovdp: Service,
    daemon: Service,
}

impl Ours {
    /// The device plugin first, whose predecessor is gone; then the init container with both CNI plugins; then the daemon.
    pub(super) async fn go_in(base: &Base, options: &Options) -> Result<Self> {
        let sriovdp = Service::start(
            &options.logs,
            "sriovdp",
            &options.program("sriovdp"),
            &["--config-file", "/etc/pcidp/config.json"],
        )?;
        install(options)?;
        let daemon = start_multus_daemon(options, &base.cluster).await?;
        Ok(Self { sriovdp, daemon })
    }

    /// As when every object is deleted: multus learns that it is to leave, and the daemons end.
    pub(super) async fn delete(mut self) -> Result<String> {
        let (_, told) = installation::multus(&["uninstall"])?;
        self.daemon.terminate(END).await?;
        self.sriovdp.terminate(END).await?;
        Ok(told)
    }
}

fn install(options: &Options) -> Result<()> {
    let output = Command::new(options.program("multus-daemon"))
        .arg("install")
        .args(["--cni-bin-dir", CNI_BIN_DIR, "--cni-conf-dir", CNI_CONF_DIR])
        .arg("--multus-bin-file")
        .arg(options.program("multus"))
        .arg("--plugin")
        .arg(options.program("sriov"))
        .output()
        .context("run multus-daemon install")?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    ensure!(output.status.success(), "multus-daemon install: {text}");
    Ok(())
}
