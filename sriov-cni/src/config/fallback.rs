//! `fallback`: the plugin that serves software slots (design §5).

use cni::raw::Object;

use super::{Invalid, RawConfig, device};
use crate::slot::Slot;

/// Plugins that can stand in for a VF.
const PLUGINS: [&str; 2] = ["macvlan", "ipvlan"];

/// Keys that the network gives to the plugin, the same as for a VF.
const OF_THE_NETWORK: [&str; 6] = [
    "cniVersion",
    "name",
    "ipam",
    "runtimeConfig",
    "prevResult",
    "args",
];

/// What a network says about software slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// Type of the plugin.
    pub plugin: String,
    /// Its configuration, without what the network gives.
    pub config: Object,
}

impl Fallback {
    /// The value of `fallback`, judged whether or not it is used: a typing error must not wait for a node without NIC.
    pub fn new(raw: &RawConfig) -> Result<Option<Self>, Invalid> {
        let Some(config) = &raw.fallback else {
            return Ok(None);
        };
        let plugin: Option<String> = config
            .typed("type")
            .map_err(|error| Invalid::new("fallback.type", "", error.to_string()))?;
        let Some(plugin) = plugin.filter(|plugin| PLUGINS.contains(&plugin.as_str())) else {
            let written = config.get("type").map_or("is missing", |value| value.get());
            return Err(Invalid::new(
                "fallback.type",
                written,
                "give \"macvlan\" or \"ipvlan\"",
            ));
        };
        let double = OF_THE_NETWORK
            .iter()
            .find(|key| config.get_folded(key).is_some());
        if let Some(key) = double {
            return Err(Invalid::new(
                "fallback",
                format!("has {key}"),
                format!("{key} is the network's own: remove it from fallback"),
            ));
        }
        Ok(Some(Self {
            plugin,
            config: config.clone(),
        }))
    }
}

/// The software slot that is given, with the plugin that serves it; `None` for a VF.
pub fn slot(raw: &RawConfig) -> Result<Option<(Slot, Fallback)>, Invalid> {
    let fallback = Fallback::new(raw)?;
    let (key, id) = device::given(raw)?;
    if !id.starts_with(crate::slot::PREFIX) {
        return Ok(None);
    }
    let slot = id.parse().map_err(|_| {
        Invalid::new(
            key,
            format!("{id:?}"),
            "is no software slot; they are called software-0, software-1, …",
        )
    })?;
    match fallback {
        Some(fallback) => Ok(Some((slot, fallback))),
        None => Err(Invalid::new(
            key,
            id,
            "is a software slot, and this network has no fallback configured; run the pod on a node with VFs",
        )),
    }
}
