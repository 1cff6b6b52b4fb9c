//! Rules over all elements of an annotation.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Selection, SelectionError};

pub(super) fn check(elements: &[Selection]) -> Result<(), SelectionError> {
    unique(
        elements
            .iter()
            .filter_map(|element| element.interface.as_deref()),
    )?;
    default_routes(elements)
}

/// Fails if two interfaces have one name.
pub(super) fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), SelectionError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let message =
                format!("two networks have the interface name {name:?}; give one another");
            return Err(SelectionError::Together(message));
        }
    }
    Ok(())
}

/// One attachment may have gateways, one of each family. (An empty list asks for no gateway.)
fn default_routes(elements: &[Selection]) -> Result<(), SelectionError> {
    let with_gateways: Vec<(&Selection, &[IpAddr])> = elements
        .iter()
        .filter_map(|element| Some((element, element.default_route.as_deref()?)))
        .filter(|(_, gateways)| !gateways.is_empty())
        .collect();
    if let [(first, _), (second, _), ..] = with_gateways[..] {
        return Err(SelectionError::Together(format!(
            "default-route is given for {} and for {}; only one network can have it",
            first.name, second.name
        )));
    }
    for (element, gateways) in with_gateways {
        for v4 in [true, false] {
            if gateways
                .iter()
                .filter(|gateway| gateway.is_ipv4() == v4)
                .count()
                > 1
            {
                // Tools look for the words of multus.
                return Err(SelectionError::Together(format!(
                    "multus does not support ECMP for default-route: {} asks for {gateways:?}",
                    element.name
                )));
            }
        }
    }
    Ok(())
}
