//! STATUS: could an ADD be served? (spec/sriov-cni.md §3.4)

use cni::error::code;
use cni::ipam::Ipam;
use cni::plugin::Invocation;

use crate::config::{self, RawConfig};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::observe;
use crate::site::Site;

/// Fails with code 50 if the node or the state directory cannot be used; the IPAM plugin's answer is passed on.
pub fn status(site: &Site, node: &mut dyn Node, call: &Invocation) -> Result<()> {
    let raw = RawConfig::read(&call.config)?;
    let unavailable = |error: Error| cni::Error::from_chain(code::NOT_AVAILABLE, &error);
    site.ledger()
        .probe()
        .map_err(|error| unavailable(Error::State(error)))?;
    node.boot_id().map_err(|error| unavailable(error.into()))?;
    if let Ok(Some((_, fallback))) = config::slot(&raw) {
        cni::exec::find(&fallback.plugin, &call.path)
            .map_err(|error| cni::Error::from_chain(code::NOT_AVAILABLE, &error))?;
    }
    let id = raw.device_id.or(raw.runtime_device_id);
    if let Some(vf) = id.and_then(|id| id.parse().ok()) {
        let function = observe::function(node, vf).map_err(unavailable)?;
        let told = node.attributes(&function.pf, function.index);
        told.map_err(|error| unavailable(error.into()))?;
    }
    match Ipam::of(call, Some(site.ipam))? {
        None => Ok(()),
        Some(ipam) => ipam.status().map_err(|failure| Error::Ipam {
            plugin: ipam.plugin_type().to_owned(),
            failure,
        }),
    }
}
