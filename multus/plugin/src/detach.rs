//! DEL of attachments: in reverse order, all attempted, what failed is given back.

use cni::args::Args;
use cni::config::NetworkList;
use cni::net_attach::device_info;
use cni::raw::Object;
use cni::runtime::{Runtime, Target};
use serde_json::value::RawValue;

use crate::attach::failure_of;
use crate::failure::Failure;
use crate::journal::Entry;
use crate::log::Log;
use crate::primary::is_own;

/// Whose attachments are deleted.
#[derive(Debug, Clone)]
pub struct Place {
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_NETNS; empty when the namespace is gone.
    pub netns: String,
    /// CNI_ARGS of the delegates.
    pub args: Vec<(String, String)>,
    /// `prevResult` for a network that has no cached result: the one the runtime kept.
    pub prev_result: Option<Box<RawValue>>,
}

/// An attachment that could not be deleted.
#[derive(Debug)]
pub struct Remaining {
    /// The attachment.
    pub entry: Entry,
    /// Why.
    pub failure: Failure,
}

/// Deletes all entries, the last one first. Returns those that failed, in their own order.
pub fn detach(entries: &[Entry], place: &Place, runtime: &Runtime, log: &Log) -> Vec<Remaining> {
    let mut remaining: Vec<_> = entries
        .iter()
        .rev()
        .filter_map(|entry| {
            let failure = detach_one(entry, place, runtime, log).err()?;
            Some(Remaining {
                entry: entry.clone(),
                failure,
            })
        })
        .collect();
    remaining.reverse();
    remaining
}

fn detach_one(entry: &Entry, place: &Place, runtime: &Runtime, log: &Log) -> Result<(), Failure> {
    let network = NetworkList::parse(entry.config.get().as_bytes())
        .and_then(|network| network.check_name().map(|()| network));
    match network {
        // No delegate can have been called with such a configuration, so there is nothing to undo.
        Err(error) => log.warn(&format!(
            "network {} on {} is passed over: its recorded configuration is unusable: {}",
            entry.name,
            entry.ifname,
            cni::error::chain(&error)
        )),
        Ok(network)
            if network
                .plugins()
                .iter()
                .any(|plugin| is_own(plugin.plugin_type())) =>
        {
            log.warn(&format!(
                "network {} is passed over: it is multus itself",
                entry.name
            ));
        }
        Ok(network) => {
            log.debug(|| {
                format!(
                    "DEL {}: detach {} from {}",
                    place.container_id, entry.ifname, entry.name
                )
            });
            runtime
                .del(&network, &target(entry, place))
                .map_err(|error| failure_of("detach", &entry.name, &entry.ifname, &error))?;
        }
    }
    if let Some(path) = &entry.device_info
        && let Err(error) = device_info::remove(path)
    {
        log.warn(&cni::error::chain(&error));
    }
    Ok(())
}

/// What the delegate of an entry is told about the container.
pub fn target(entry: &Entry, place: &Place) -> Target {
    let args: Args = place.args.iter().cloned().collect();
    let mut capability_args = Object::new();
    for (key, value) in &entry.capabilities {
        capability_args.set(key, value.clone());
    }
    Target {
        container_id: place.container_id.clone(),
        netns: place.netns.clone(),
        ifname: entry.ifname.clone(),
        args,
        capability_args,
        prev_result: place.prev_result.clone().filter(|_| entry.default),
    }
}

/// The first cause and how many more there are, for one error message.
pub fn summary(remaining: &[Remaining]) -> Option<Failure> {
    let first = remaining
        .iter()
        .find(|r| r.entry.default)
        .or_else(|| remaining.first())?;
    let mut failure = first.failure.clone();
    let others: Vec<_> = remaining
        .iter()
        .filter(|r| r.failure != first.failure)
        .map(|r| r.failure.msg.as_str())
        .collect();
    if !others.is_empty() {
        failure.msg = format!("{} / {}", failure.msg, others.join(" / "));
    }
    Some(failure)
}
