//! Port mappings and bandwidth. What the specification forbids and multus lets pass is a warning
//! (spec/multus.md appendix B).

use super::json::{text, value};
use super::{Bandwidth, PortMapping};
use crate::raw::Object;

pub(super) fn port_mappings(
    object: &Object,
    warnings: &mut Vec<String>,
) -> Result<Vec<PortMapping>, String> {
    let mappings: Vec<Object> = value(object, "portMappings")?.unwrap_or_default();
    mappings
        .iter()
        .map(|mapping| port_mapping(mapping, warnings))
        .collect()
}

fn port_mapping(object: &Object, warnings: &mut Vec<String>) -> Result<PortMapping, String> {
    let mapping = PortMapping {
        host_port: value(object, "hostPort")?.unwrap_or_default(),
        container_port: value(object, "containerPort")?.unwrap_or_default(),
        protocol: text(object, "protocol")?.unwrap_or_default(),
        host_ip: text(object, "hostIP")?.unwrap_or_default(),
    };
    for (key, port) in [
        ("hostPort", mapping.host_port),
        ("containerPort", mapping.container_port),
    ] {
        if !(1..=65535).contains(&port) {
            warnings.push(format!(
                "portMappings: {key} {port} is not between 1 and 65535"
            ));
        }
    }
    let protocol = mapping.protocol.to_ascii_lowercase();
    if !["", "tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        let found = &mapping.protocol;
        warnings.push(format!(
            "portMappings: protocol {found:?} is not tcp, udp or sctp"
        ));
    }
    Ok(mapping)
}

pub(super) fn bandwidth(
    object: &Object,
    warnings: &mut Vec<String>,
) -> Result<Option<Bandwidth>, String> {
    let Some(limits) = value::<Object>(object, "bandwidth")? else {
        return Ok(None);
    };
    let number = |key: &str| value::<i64>(&limits, key);
    let pairs = [
        ("ingressRate", "ingressBurst"),
        ("egressRate", "egressBurst"),
    ];
    for (rate_key, burst_key) in pairs {
        let (rate, burst) = (number(rate_key)?, number(burst_key)?);
        for (key, given) in [(rate_key, rate), (burst_key, burst)] {
            if given.is_some_and(|given| given <= 0) {
                warnings.push(format!("bandwidth: {key} must be more than 0"));
            }
        }
        if burst.is_some() && rate.is_none() {
            warnings.push(format!("bandwidth: {burst_key} needs {rate_key}"));
        }
    }
    Ok(Some(Bandwidth {
        ingress_rate: number("ingressRate")?.unwrap_or_default(),
        ingress_burst: number("ingressBurst")?.unwrap_or_default(),
        egress_rate: number("egressRate")?.unwrap_or_default(),
        egress_burst: number("egressBurst")?.unwrap_or_default(),
    }))
}
