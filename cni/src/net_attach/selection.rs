//! The networks annotation, in both its forms (spec/multus.md §2.1, §2.2, appendix B).

use std::net::IpAddr;

use crate::raw::Object;

/// One wanted attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The NAD's name.
    pub name: String,
    /// The NAD's namespace.
    pub namespace: String,
    /// Wanted interface name.
    pub interface: Option<String>,
    /// Wanted MAC, 6 bytes, as written.
    pub mac: Option<String>,
    /// Wanted InfiniBand GUID, 8 bytes, as written.
    pub infiniband_guid: Option<String>,
    /// Wanted addresses, with or without prefix length, as written.
    pub ips: Vec<String>,
    /// To be merged into `args.cni`.
    pub cni_args: Option<Object>,
    /// Wanted port mappings.
    pub port_mappings: Vec<PortMapping>,
    /// Wanted limits.
    pub bandwidth: Option<Bandwidth>,
    /// None: nothing said. Some and empty: keep this network's own default route.
    pub default_route: Option<Vec<IpAddr>>,
    /// Device asked for by name.
    pub device_id: Option<String>,
    /// Read by delegates such as OVN-Kubernetes; excludes `ips`.
    pub ipam_claim_reference: Option<String>,
}

/// A port of the host that leads to the container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub struct PortMapping {
    /// Port on the host.
    pub host_port: i64,
    /// Port in the container.
    pub container_port: i64,
    /// `tcp`, `udp`, `sctp`; empty means TCP.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Address on the host; empty means all.
    #[serde(rename = "hostIP", skip_serializing_if = "String::is_empty")]
    pub host_ip: String,
}

/// Limits in bits per second and bits.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bandwidth {
    /// To the container, bits per second.
    pub ingress_rate: i64,
    /// To the container, bits.
    pub ingress_burst: i64,
    /// From the container, bits per second.
    pub egress_rate: i64,
    /// From the container, bits.
    pub egress_burst: i64,
}

/// Something the specification forbids and multus lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Position in the annotation, from 0.
    pub index: usize,
    /// What, and what to do.
    pub message: String,
}

/// A parsed annotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selections {
    /// In the order of the annotation.
    pub elements: Vec<Selection>,
    /// A strict caller takes these for errors.
    pub warnings: Vec<Warning>,
}

/// Why an annotation is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The text as a whole.
    #[error("network annotation {text:?}: {reason}")]
    Text {
        /// The annotation, shortened.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// One element.
    #[error("element {index} of the network annotation: {reason}")]
    Element {
        /// Position, from 0.
        index: usize,
        /// What is wrong, with the value.
        reason: String,
    },
    /// Several elements together.
    #[error("network annotation: {0}")]
    Together(String),
}

/// Parses `k8s.v1.cni.cncf.io/networks`. An empty text asks for nothing.
pub fn parse(_text: &str, _default_namespace: &str) -> Result<Selections, SelectionError> {
    unimplemented!()
}

/// Parses `v1.multus-cni.io/default-network`: exactly one element.
pub fn parse_default_network(
    _text: &str,
    _multus_namespace: &str,
) -> Result<(Selection, Vec<Warning>), SelectionError> {
    unimplemented!()
}

/// Names the interfaces of a pod: the wanted name, else `net<position>` with the default network at 0, which is
/// `default_ifname`. Two equal names are an error.
pub fn interface_names(
    _default_ifname: &str,
    _wanted: &[Option<&str>],
) -> Result<Vec<String>, SelectionError> {
    unimplemented!()
}

impl Selection {
    /// What the element asks for as capabilities: `mac`, `infinibandGUID`, `ips`, `portMappings`, `bandwidth`,
    /// `deviceID`.
    pub fn capability_args(&self) -> Object {
        unimplemented!()
    }

    /// The older way to ask: `MAC=` and `IP=` for `CNI_ARGS` of ADD.
    pub fn cni_args_pairs(&self) -> Vec<(&'static str, String)> {
        unimplemented!()
    }
}
