//! The long form: a JSON list of objects.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::comma::is_label;
use super::{Selection, SelectionError, Selections, Warning, address, limits};
use crate::name;
use crate::raw::{Object, shorten};

pub(super) fn parse(text: &str, default_namespace: &str) -> Result<Selections, SelectionError> {
    let wrong = |reason: String| SelectionError::Text {
        text: shorten(text),
        reason,
    };
    let items: Vec<Box<RawValue>> = serde_json::from_str(text)
        .map_err(|error| wrong(format!("not a JSON list of objects: {error}")))?;
    let mut selections = Selections::default();
    for (index, item) in items.iter().enumerate() {
        let failed = |reason| SelectionError::Element { index, reason };
        let object = Object::parse(item.get().as_bytes())
            .map_err(|_| failed(format!("it is {}, not an object", shorten(item.get()))))?;
        let mut warnings = Vec::new();
        let element = element(&object, default_namespace, &mut warnings).map_err(failed)?;
        selections.elements.push(element);
        let warnings = warnings
            .into_iter()
            .map(|message| Warning { index, message });
        selections.warnings.extend(warnings);
    }
    Ok(selections)
}

fn element(
    object: &Object,
    default_namespace: &str,
    warnings: &mut Vec<String>,
) -> Result<Selection, String> {
    let selection = Selection {
        name: network_name(object)?,
        namespace: namespace(object)?.unwrap_or_else(|| default_namespace.to_owned()),
        interface: interface(object)?,
        mac: text(object, "mac")?,
        infiniband_guid: text(object, "infiniband-guid")?,
        ips: value::<Vec<String>>(object, "ips")?.unwrap_or_default(),
        cni_args: value(object, "cni-args")?,
        port_mappings: limits::port_mappings(object, warnings)?,
        bandwidth: limits::bandwidth(object, warnings)?,
        default_route: default_route(object)?,
        device_id: text(object, "deviceID")?,
        ipam_claim_reference: text(object, "ipam-claim-reference")?,
    };
    if let Some(mac) = &selection.mac {
        address::check_hardware("mac", mac, 6)?;
    }
    if let Some(guid) = &selection.infiniband_guid {
        address::check_hardware("infiniband-guid", guid, 8)?;
    }
    for ip in &selection.ips {
        address::check_ip(ip)?;
    }
    if !selection.ips.is_empty() && selection.ipam_claim_reference.is_some() {
        return Err("ips and ipam-claim-reference exclude each other; give one of them".to_owned());
    }
    Ok(selection)
}

/// The value of a key; absent and null are None.
pub(super) fn value<T: DeserializeOwned>(object: &Object, key: &str) -> Result<Option<T>, String> {
    object.typed_folded(key).map_err(|error| error.to_string())
}

/// A string; an empty one counts as none.
pub(super) fn text(object: &Object, key: &str) -> Result<Option<String>, String> {
    Ok(value::<String>(object, key)?.filter(|text| !text.is_empty()))
}

fn network_name(object: &Object) -> Result<String, String> {
    let name = text(object, "name")?.ok_or("it has no \"name\"")?;
    if name.len() <= 253 && name.split('.').all(is_label) {
        return Ok(name);
    }
    Err(format!(
        "name {name:?} is no name of a network attachment definition"
    ))
}

fn namespace(object: &Object) -> Result<Option<String>, String> {
    let namespace = text(object, "namespace")?;
    match namespace {
        Some(bad) if !is_label(&bad) => Err(format!("namespace {bad:?} is no name of a namespace")),
        other => Ok(other),
    }
}

/// `interface`, or its older name.
fn interface(object: &Object) -> Result<Option<String>, String> {
    let wanted = match text(object, "interface")? {
        Some(name) => Some(name),
        None => text(object, "interfaceRequest")?,
    };
    if let Some(name) = &wanted {
        name::check_interface(name).map_err(|error| error.to_string())?;
    }
    Ok(wanted)
}

fn default_route(object: &Object) -> Result<Option<Vec<IpAddr>>, String> {
    let Some(texts) = value::<Vec<String>>(object, "default-route")? else {
        return Ok(None);
    };
    let gateway = |text: &String| {
        let parsed = text.parse::<IpAddr>().map(|gateway| gateway.to_canonical());
        parsed.map_err(|_| format!("default-route {text:?} is not an IP address"))
    };
    texts
        .iter()
        .map(gateway)
        .collect::<Result<_, _>>()
        .map(Some)
}
