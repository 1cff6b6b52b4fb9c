//! The network-status annotation, byte for byte as multus writes it (spec/multus.md §2.4).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::device_info::DeviceInfo;
use crate::raw::pretty;
use crate::result::{AddResult, Dns, Interface, IpConfig};

/// One element of network-status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// `namespace/name` of the NAD, or the network's name.
    pub name: String,
    /// The interface in the pod.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interface: String,
    /// Addresses without prefix length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
    /// Hardware address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// Bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mtu: u32,
    /// This is the default network.
    #[serde(default, skip_serializing_if = "is_false")]
    pub default: bool,
    /// Name resolution; always printed.
    #[serde(default)]
    pub dns: Dns,
    /// The device behind the interface.
    #[serde(
        rename = "device-info",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub device_info: Option<DeviceInfo>,
    /// Gateways of the default routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway: Vec<String>,
}

/// What one attachment brought about.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'a> {
    /// `namespace/name` of the NAD, or the network's name.
    pub name: &'a str,
    /// This is the default network.
    pub default: bool,
    /// `CNI_IFNAME`, for a default network whose result has no interface.
    pub ifname: &'a str,
    /// The plugin's result.
    pub result: &'a AddResult,
    /// The device behind it.
    pub device_info: Option<&'a DeviceInfo>,
    /// Gateways that `default-route` set; they replace those of the result.
    pub gateways: &'a [IpAddr],
}

/// The elements for one attachment: one per interface in the pod.
///
/// A result with one interface gives one element. One without any gives none, except for the
/// default network, which always has an element (spec/multus.md appendix B, 5.2).
pub fn of_attachment(attached: &Attached<'_>) -> Vec<NetworkStatus> {
    let result = attached.result;
    let mut elements = match &result.interfaces[..] {
        [] => Vec::new(),
        [only] => vec![single(attached, only)],
        several => of_several(attached, several),
    };
    if elements.is_empty() && attached.default {
        let ips = result.ips.iter().map(address).collect();
        let interface = attached.ifname.to_owned();
        elements.push(NetworkStatus {
            interface,
            ips,
            default: true,
            ..bare(attached)
        });
    }
    elements
}

/// The annotation's text: each element indented by 4 spaces, without blanks between elements.
pub fn print(statuses: &[NetworkStatus]) -> String {
    let elements: Vec<String> = statuses.iter().map(pretty).collect();
    let mut text = format!("[{}]", elements.join(","));
    // Go escapes these in strings, and outside of strings they do not occur.
    for (character, escape) in [
        ("&", "\\u0026"),
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        if text.contains(character) {
            text = text.replace(character, escape);
        }
    }
    text
}

/// Reads an annotation's text.
pub fn parse(text: &str) -> Result<Vec<NetworkStatus>, serde_json::Error> {
    serde_json::from_str(text)
}

/// What every element of an attachment has.
fn bare(attached: &Attached<'_>) -> NetworkStatus {
    NetworkStatus {
        name: attached.name.to_owned(),
        dns: attached.result.dns.clone(),
        device_info: attached.device_info.cloned(),
        gateway: gateways(attached),
        ..NetworkStatus::default()
    }
}

fn of_interface(attached: &Attached<'_>, interface: &Interface) -> NetworkStatus {
    NetworkStatus {
        interface: interface.name.clone(),
        mac: interface.mac.clone(),
        mtu: interface.mtu,
        ..bare(attached)
    }
}

fn single(attached: &Attached<'_>, interface: &Interface) -> NetworkStatus {
    let in_pod = !interface.sandbox.is_empty();
    let status = if in_pod {
        of_interface(attached, interface)
    } else {
        bare(attached)
    };
    let ips = attached.result.ips.iter().map(address).collect();
    NetworkStatus {
        ips,
        default: attached.default,
        ..status
    }
}

/// One element per interface in the pod; addresses without index belong to the last one.
fn of_several(attached: &Attached<'_>, interfaces: &[Interface]) -> Vec<NetworkStatus> {
    let in_pod: Vec<usize> = (0..interfaces.len())
        .filter(|&index| !interfaces[index].sandbox.is_empty())
        .collect();
    let Some((&first, &last)) = in_pod.first().zip(in_pod.last()) else {
        return Vec::new();
    };
    let ips = &attached.result.ips;
    let with_gateway = ips
        .iter()
        .filter(|ip| ip.gateway.is_some())
        .find_map(|ip| ip.interface);
    let default = with_gateway
        .filter(|index| in_pod.contains(index))
        .unwrap_or(first);
    let element = |&index: &usize| {
        let own = |ip: &&IpConfig| ip.interface.unwrap_or(last) == index;
        NetworkStatus {
            ips: ips.iter().filter(own).map(address).collect(),
            default: attached.default && index == default,
            ..of_interface(attached, &interfaces[index])
        }
    };
    in_pod.iter().map(element).collect()
}

fn address(ip: &IpConfig) -> String {
    ip.address.addr().to_string()
}

/// What `default-route` set, else the next hops of the result's default routes.
fn gateways(attached: &Attached<'_>) -> Vec<String> {
    if !attached.gateways.is_empty() {
        return attached.gateways.iter().map(ToString::to_string).collect();
    }
    let defaults = attached
        .result
        .routes
        .iter()
        .filter(|route| route.is_default());
    defaults
        .filter_map(|route| route.gw)
        .map(|gw| gw.to_string())
        .collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde wants"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde wants"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
