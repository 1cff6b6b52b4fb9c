//! The short form: `[namespace/]name[@interface]`, separated by commas.

use super::{Selection, SelectionError};
use crate::name;

pub(super) fn parse(text: &str, default_namespace: &str) -> Result<Vec<Selection>, SelectionError> {
    let element = |(index, item): (usize, &str)| {
        element(item.trim(), default_namespace)
            .map_err(|reason| SelectionError::Element { index, reason })
    };
    text.split(',').enumerate().map(element).collect()
}

/// An empty namespace or interface counts as none, as in multus.
fn element(item: &str, default_namespace: &str) -> Result<Selection, String> {
    if item.is_empty() {
        return Err("it is empty; remove the surplus comma or blank".to_owned());
    }
    let (namespace, rest) = match item.split_once('/') {
        None => ("", item),
        Some((_, rest)) if rest.contains('/') => {
            return Err(format!("{item:?} has more than one \"/\""));
        }
        Some((namespace, rest)) => (namespace, rest),
    };
    let (network, interface) = match rest.split_once('@') {
        None => (rest, ""),
        Some((_, interface)) if interface.contains('@') => {
            return Err(format!("{item:?} has more than one \"@\""));
        }
        Some((network, interface)) => (network, interface),
    };
    let namespace = if namespace.is_empty() {
        default_namespace
    } else {
        namespace
    };
    for (what, value) in [("namespace", namespace), ("network name", network)] {
        if !is_label(value) {
            return Err(format!(
                "{what} {value:?} in {item:?} must be lower-case letters, digits and \"-\" \
                 (other names need the JSON form)"
            ));
        }
    }
    if !interface.is_empty() {
        name::check_interface(interface).map_err(|error| error.to_string())?;
    }
    Ok(Selection {
        name: network.to_owned(),
        namespace: namespace.to_owned(),
        interface: Some(interface.to_owned()).filter(|interface| !interface.is_empty()),
        ..Selection::default()
    })
}

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
pub(super) fn is_label(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !value.is_empty()
        && value.chars().all(|c| inner(c) || c == '-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}
