//! Devices that a network's text or the pod's annotation names, instead of leaving the choice to the kubelet.
//!
//! Every way in which a plugin can be told a device counts, or the one that is left out becomes the way to the device
//! of another pod.

use cni::config::{ConfigError, Plugin};
use cni::raw::Object;

use super::{invalid, normal};
use crate::known::{Known, Naming, Need};
use crate::plan::{Network, Refusal};

/// The reference plugin that takes any interface of the host.
const HOST_DEVICE: &str = "host-device";

/// Look-ups without which [`named`] would be incomplete.
pub(super) fn needs(network: &Network, known: &Known) -> Result<Vec<Need>, Refusal> {
    let mut namings = namings(network)?;
    namings.retain(|naming| !known.functions.contains_key(naming));
    Ok(namings.into_iter().map(Need::Function).collect())
}

/// The devices, each once. Those that a resource's device will replace do not count.
pub(super) fn named(network: &Network, known: &Known) -> Result<Vec<String>, Refusal> {
    let mut ids: Vec<String> = Vec::new();
    for plugin in network.list.plugins() {
        if network.resource.is_none() {
            ids.extend(of_object(
                plugin.object(),
                &["deviceID", "pciBusID"],
                network,
            )?);
        }
        ids.extend(of_runtime(plugin, network)?);
    }
    if network.resource.is_none() {
        ids.extend(network.wanted.selection.device_id.clone());
    }
    let found = namings(network)?;
    ids.extend(
        found
            .iter()
            .filter_map(|naming| known.functions.get(naming)?.clone()),
    );
    ids.sort_unstable();
    ids.dedup_by(|a, b| normal(a) == normal(b));
    Ok(ids)
}

/// Keys of `host-device` that name an interface in other words than by its address. No resource replaces them.
fn namings(network: &Network) -> Result<Vec<Naming>, Refusal> {
    let mut found = Vec::new();
    for plugin in network.list.plugins() {
        if plugin.plugin_type() != HOST_DEVICE {
            continue;
        }
        let mut of = |key: &str, naming: fn(String) -> Naming| {
            of_object(plugin.object(), &[key], network)
                .map(|texts| found.extend(texts.into_iter().map(naming)))
        };
        of("device", Naming::Interface)?;
        of("hwaddr", Naming::HardwareAddress)?;
        of("kernelpath", Naming::Path)?;
    }
    Ok(found)
}

/// A `runtimeConfig` written into a NAD reaches the plugin unless a capability replaces it.
fn of_runtime(plugin: &Plugin, network: &Network) -> Result<Vec<String>, Refusal> {
    let runtime: Option<Object> = plugin
        .object()
        .typed_folded("runtimeConfig")
        .map_err(|source| invalid(network, ConfigError::Key(source)))?;
    runtime.map_or(Ok(Vec::new()), |runtime| {
        of_object(&runtime, &["deviceID"], network)
    })
}

/// The texts of these keys, in whatever spelling a Go plugin would read them; empty ones name nothing.
fn of_object(object: &Object, keys: &[&str], network: &Network) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    for key in keys {
        let text: Option<String> = object
            .typed_folded(key)
            .map_err(|source| invalid(network, ConfigError::Key(source)))?;
        found.extend(text.filter(|text| !text.is_empty()));
    }
    Ok(found)
}
