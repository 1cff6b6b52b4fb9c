//! What the kubelet's tasks share.

use tokio::sync::Mutex;

use super::config::KubeletConfig;
use super::event::Recorder;
use super::registry::Registry;
use super::runtime::Runtime;
use super::table::Table;

/// Handles on everything a task may need.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) config: KubeletConfig,
    pub(crate) runtime: Runtime,
    pub(crate) table: Table,
    pub(crate) registry: Registry,
    pub(crate) recorder: Recorder,
    /// Pods are admitted one after the other, so no device is promised twice.
    pub(crate) admitting: Mutex<()>,
}
