//! The default network of the configuration, found on the host without daemon or API.

use std::collections::BTreeMap;
use std::path::Path;

use cni::conf_dir;
use cni::config::NetworkList;
use cni::error::code;
use host::file;
use serde_json::value::RawValue;

use crate::config::{NetConf, OWN_TYPES, Primary};
use crate::failure::Failure;
use crate::lifecycle::heal;
use crate::wire::{Attachment, Families, Reason, ResolvedNetwork};

/// The networks that the configuration attaches to every pod by itself: the default network, and, with
/// `delegates`, the further ones. They are named by position: `ifname`, `net1`, `net2`, ...
pub fn attachments(conf: &NetConf, ifname: &str) -> Result<Vec<Attachment>, Failure> {
    let networks = match conf.primary().map_err(|e| invalid(e.to_string()))? {
        Primary::Reference(reference) => vec![referenced(conf, &reference)?],
        Primary::Inline(delegates) => delegates
            .iter()
            .map(|raw| parse(raw))
            .collect::<Result<_, _>>()?,
    };
    networks
        .iter()
        .enumerate()
        .map(|(index, network)| attachment(conf, network, index, ifname))
        .collect()
}

/// The default network alone.
pub fn resolve(conf: &NetConf) -> Result<NetworkList, Failure> {
    let network = match conf.primary().map_err(|e| invalid(e.to_string()))? {
        Primary::Reference(reference) => referenced(conf, &reference)?,
        Primary::Inline(delegates) => parse(&delegates[0])?,
    };
    refuse_recursion(&network)?;
    Ok(network)
}

/// The default network for the planner, if it can be read here.
pub fn resolved(conf: &NetConf) -> Option<ResolvedNetwork> {
    let network = resolve(conf).ok()?;
    Some(ResolvedNetwork {
        name: network.name().to_owned(),
        config: raw(&network).ok()?,
    })
}

/// Refuses a network one of whose plugins is this program: it would call itself without end.
pub fn refuse_recursion(network: &NetworkList) -> Result<(), Failure> {
    let own = network
        .plugins()
        .iter()
        .find(|plugin| is_own(plugin.plugin_type()));
    own.map_or(Ok(()), |plugin| {
        Err(invalid(format!(
            "network \"{}\" has a plugin of type \"{}\", which is multus itself: name the real network instead",
            network.name(),
            plugin.plugin_type()
        )))
    })
}

/// Whether a plugin type is this program.
pub fn is_own(plugin_type: &str) -> bool {
    OWN_TYPES.contains(&plugin_type)
}

fn attachment(
    conf: &NetConf,
    network: &NetworkList,
    index: usize,
    ifname: &str,
) -> Result<Attachment, Failure> {
    refuse_recursion(network)?;
    let default = index == 0;
    Ok(Attachment {
        name: network.name().to_owned(),
        default,
        ifname: if default {
            ifname.to_owned()
        } else {
            format!("net{index}")
        },
        config: raw(network)?,
        // What the runtime offers is meant for the default network (spec/multus.md §9.2, Q3 and Q15).
        capabilities: if default {
            conf.runtime_config.clone()
        } else {
            BTreeMap::new()
        },
        cni_args: Vec::new(),
        device: None,
        device_info: None,
        gateways: Vec::new(),
        keep_default_route: Families::default(),
    })
}

/// The grammar of spec/multus.md §1.3; a NAD is read from the file that the daemon keeps.
fn referenced(conf: &NetConf, reference: &str) -> Result<NetworkList, Failure> {
    let not_ready = |error: &dyn std::error::Error| {
        let msg = format!(
            "default network \"{reference}\": {}",
            cni::error::chain(error)
        );
        Failure::new(code::TRY_AGAIN_LATER, Reason::PrimaryNotReady, msg)
    };
    if reference.contains('/') {
        let path = Path::new(reference);
        let loaded = if path.is_dir() {
            conf_dir::first(path)
        } else {
            conf_dir::load(path)
        };
        return loaded
            .or_else(|error| last_good(&conf.cni_dir, path).ok_or_else(|| not_ready(&error)));
    }
    let kept = match conf.kept_primary() {
        Some(path) => file::read(&path).map_err(|error| not_ready(&error))?,
        None => None,
    };
    match kept {
        Some(bytes) => NetworkList::parse(&bytes).map_err(|error| not_ready(&error)),
        None => conf_dir::find(&conf.conf_dir, reference).map_err(|error| not_ready(&error)),
    }
}

/// The daemon's copy of the file, for as long as the file is away or torn: while the primary plugin is upgraded or
/// another program has renamed it, pods come and go all the same.
fn last_good(cni_dir: &Path, path: &Path) -> Option<NetworkList> {
    let kept = heal::read_kept(cni_dir).ok().flatten()?;
    (kept.path == path)
        .then(|| NetworkList::parse(kept.config.as_bytes()).ok())
        .flatten()
}

fn parse(raw: &RawValue) -> Result<NetworkList, Failure> {
    NetworkList::parse(raw.get().as_bytes()).map_err(|error| invalid(cni::error::chain(&error)))
}

fn raw(network: &NetworkList) -> Result<Box<RawValue>, Failure> {
    let text = String::from_utf8_lossy(network.bytes()).trim().to_owned();
    RawValue::from_string(text).map_err(|error| invalid(error.to_string()))
}

fn invalid(msg: String) -> Failure {
    Failure::new(code::INVALID_CONFIG, Reason::NetworkInvalid, msg)
}

#[cfg(test)]
mod tests;
