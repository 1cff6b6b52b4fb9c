//! Our programs, put onto the node as the DaemonSets' containers do it.

use std::time::Duration;

use anyhow::Result;

use crate::{
    guest::{
        node::{Base, Options, start_multus_daemon, start_sriovdp},
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
        let sriovdp = start_sriovdp(options)?;
        installation::install(options, &["sriov"])?;
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
