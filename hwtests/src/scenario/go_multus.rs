//! What Go multus puts onto a node (spec/multus.md §6).

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::guest::containerd::CNI_CONF_DIR;

/// What the thick daemon writes, whatever the primary's version.
pub(crate) const THICK_CONF: &str = "/etc/cni/net.d/00-multus.conf";
/// What the thin entry point writes for a primary of CNI 1.0: the name that ours has, too.
pub(crate) const THIN_CONF: &str = "/etc/cni/net.d/00-multus.conflist";
/// Where the thin entry point puts the credentials.
pub(crate) const CREDENTIALS: &str = "/etc/cni/net.d/multus.d";
/// Their name there.
pub(crate) const KUBECONFIG: &str = "multus.kubeconfig";

/// The content of [`THIN_CONF`].
pub(crate) fn thin_conf(primary: &Value) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "multus-cni-network",
        "plugins": [{
            "type": "multus", "logLevel": "verbose", "logToStderr": true,
            "kubeconfig": format!("{CREDENTIALS}/{KUBECONFIG}"), "delegates": [primary],
        }],
    })
}

/// The configuration of the primary network, as it is on the node.
pub(crate) fn primary() -> Result<Value> {
    let path = Path::new(CNI_CONF_DIR).join("10-bridge.conflist");
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))
}

/// Writes JSON.
pub(crate) fn write(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, value.to_string()).with_context(|| format!("write {}", path.display()))
}
