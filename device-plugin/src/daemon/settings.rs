//! What the command line decides.

use std::{path::PathBuf, time::Duration};

use crate::{handover::cdi, http::Address};

/// Where everything is and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pool configuration.
    pub config: PathBuf,
    /// Prefix of pools that have none of their own.
    pub prefix: String,
    /// The kubelet's root directory.
    pub kubelet_root: PathBuf,
    /// `/sys`.
    pub sysfs_root: PathBuf,
    /// `/dev`.
    pub dev_root: PathBuf,
    /// `/proc`.
    pub proc_root: PathBuf,
    /// Directory of DeviceInfo files.
    pub device_info: PathBuf,
    /// How containers get device nodes.
    pub cdi: cdi::Settings,
    /// Where metrics and probes are served, if anywhere.
    pub http: Option<Address>,
    /// Longest time between two scans; `None` leaves it to events.
    pub reconcile: Option<Duration>,
    /// How long after a change the next scan begins: changes come in swarms.
    pub settle: Duration,
    /// Pause before a second try with the kubelet.
    pub pause: Duration,
    /// How long after its start the kubelet may not know all of its pods yet.
    pub warm_up: Duration,
}
