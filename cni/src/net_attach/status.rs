//! The network-status annotation, byte for byte as multus writes it (spec/multus.md §2.4).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::device_info::DeviceInfo;
use crate::result::AddResult;

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
    pub dns: StatusDns,
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

/// Name resolution in network-status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusDns {
    /// Servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Local domain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Resolver options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
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
pub fn of_attachment(_attached: &Attached<'_>) -> Vec<NetworkStatus> {
    unimplemented!()
}

/// The annotation's text.
pub fn print(_statuses: &[NetworkStatus]) -> String {
    unimplemented!()
}

/// Reads an annotation's text.
pub fn parse(text: &str) -> Result<Vec<NetworkStatus>, serde_json::Error> {
    serde_json::from_str(text)
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
