//! What the delegate of one network is given.

use std::collections::BTreeMap;

use cni::config::NetworkList;
use cni::net_attach::device_info;
use cni::raw;
use multus_plugin::wire::{Attachment, Device, DeviceInfoFiles, Reason};
use serde_json::value::RawValue;

use super::route::Route;
use super::{Network, Question, Refusal, Warning};

/// Capability: the device's id.
const DEVICE_ID: &str = "deviceID";
/// Capability: where the plugin finds, and may write, the device's description.
const DEVICE_INFO_FILE: &str = "CNIDeviceInfoFile";

/// The attachment of `network`.
pub(super) fn build(
    question: &Question<'_>,
    mut network: Network,
    ifname: String,
    device: Option<Device>,
    route: Route,
    warnings: &mut Vec<Warning>,
) -> Result<Attachment, Refusal> {
    let selection = &network.wanted.selection;
    if let Some(args) = &selection.cni_args {
        network
            .list
            .merge_cni_args(args)
            .map_err(|source| Refusal::Network {
                network: network.name.clone(),
                source: Box::new(source),
            })?;
    }
    let mut capabilities = BTreeMap::new();
    if network.wanted.default {
        // Only the default network gets what the runtime offers (appendix B, clause 7.5).
        capabilities.clone_from(&question.conf.runtime_config);
    }
    for (key, value) in selection.capability_args().iter() {
        if key != DEVICE_ID {
            undeclared(&network.name, &network.list, key, warnings);
            capabilities.insert(key.to_owned(), value.to_owned());
        }
    }
    let device_info = device.as_ref().map(|device| {
        let dir = question.devinfo_dir;
        let id = &question.request.container_id;
        DeviceInfoFiles {
            source: (!device.requested)
                .then(|| device_info::dp_path(&dir.join("dp"), &device.resource, &device.id)),
            target: device_info::cni_path(&dir.join("cni"), &network.name, id, &ifname),
        }
    });
    if let (Some(device), Some(files)) = (&device, &device_info) {
        capabilities.insert(DEVICE_ID.to_owned(), raw::raw(&device.id));
        let target = files.target.to_string_lossy();
        capabilities.insert(DEVICE_INFO_FILE.to_owned(), raw::raw(&*target));
    }
    let cni_args = selection
        .cni_args_pairs()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Ok(Attachment {
        name: network.name,
        default: network.wanted.default,
        ifname,
        config: text(&network.list),
        capabilities,
        cni_args,
        device,
        device_info,
        gateways: route.gateways,
        keep_default_route: route.keep,
    })
}

/// The exact bytes, unless a device or arguments had to be merged in.
fn text(list: &NetworkList) -> Box<RawValue> {
    String::from_utf8(list.bytes().to_vec())
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .unwrap_or_else(|| list.object().to_raw())
}

/// Upstream drops such a wish silently (spec/multus.md §9.2 Q14).
fn undeclared(name: &str, list: &NetworkList, key: &str, warnings: &mut Vec<Warning>) {
    if list.has_capability(key) {
        return;
    }
    warnings.push(Warning {
        reason: Reason::NetworkInvalid,
        text: format!(
            "network {name}: no plugin declares the capability {key}, which the pod asks for: add \"capabilities\": {{\"{key}\": true}} to a plugin that has it"
        ),
    });
}
