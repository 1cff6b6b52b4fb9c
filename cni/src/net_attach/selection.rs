//! The networks annotation, in both its forms (spec/multus.md §2.1, §2.2, appendix B).

use std::net::IpAddr;

use crate::raw::{Object, raw, shorten};

mod address;
mod comma;
mod json;
mod limits;
mod together;

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
pub fn parse(text: &str, default_namespace: &str) -> Result<Selections, SelectionError> {
    if text.is_empty() {
        return Ok(Selections::default());
    }
    let selections = if text.contains(['[', '{', '"']) {
        json::parse(text, default_namespace)?
    } else {
        let elements = comma::parse(text, default_namespace)?;
        Selections {
            elements,
            warnings: Vec::new(),
        }
    };
    together::check(&selections.elements)?;
    Ok(selections)
}

/// Parses `v1.multus-cni.io/default-network`: exactly one element.
pub fn parse_default_network(
    text: &str,
    multus_namespace: &str,
) -> Result<(Selection, Vec<Warning>), SelectionError> {
    let Selections {
        mut elements,
        warnings,
    } = parse(text, multus_namespace)?;
    match (elements.pop(), elements.is_empty()) {
        (Some(only), true) => Ok((only, warnings)),
        (last, _) => Err(SelectionError::Text {
            text: shorten(text),
            reason: format!(
                "the default network must be exactly one, not {}",
                elements.len() + usize::from(last.is_some())
            ),
        }),
    }
}

/// Names the interfaces of a pod: the wanted name, else `net<position>`. Position 0 is the default
/// network: its name is `default_ifname` if no other is wanted. Two equal names are an error.
pub fn interface_names(
    default_ifname: &str,
    wanted: &[Option<&str>],
) -> Result<Vec<String>, SelectionError> {
    let name = |(position, wanted): (usize, Option<&str>)| match (wanted, position) {
        (Some(name), _) => name.to_owned(),
        (None, 0) => default_ifname.to_owned(),
        (None, position) => format!("net{position}"),
    };
    let names: Vec<String> = wanted.iter().copied().enumerate().map(name).collect();
    together::unique(names.iter().map(String::as_str))?;
    Ok(names)
}

impl Selection {
    /// What the element asks for as capabilities: `mac`, `infinibandGUID`, `ips`, `portMappings`,
    /// `bandwidth`, `deviceID`.
    pub fn capability_args(&self) -> Object {
        let mut args = Object::new();
        if let Some(mac) = &self.mac {
            args.set("mac", raw(mac));
        }
        if let Some(guid) = &self.infiniband_guid {
            args.set("infinibandGUID", raw(guid));
        }
        if !self.ips.is_empty() {
            args.set("ips", raw(&self.ips));
        }
        if !self.port_mappings.is_empty() {
            args.set("portMappings", raw(&self.port_mappings));
        }
        if let Some(bandwidth) = &self.bandwidth {
            args.set("bandwidth", raw(bandwidth));
        }
        if let Some(device_id) = &self.device_id {
            args.set("deviceID", raw(device_id));
        }
        args
    }

    /// The older way to ask: `MAC=` and `IP=` for `CNI_ARGS` of ADD.
    pub fn cni_args_pairs(&self) -> Vec<(&'static str, String)> {
        let mac = self.mac.clone().map(|mac| ("MAC", mac));
        let ips = (!self.ips.is_empty()).then(|| ("IP", self.ips.join(",")));
        mac.into_iter().chain(ips).collect()
    }
}

#[cfg(test)]
mod tests;
