//! Hardware and IP addresses as annotations write them.

use std::net::IpAddr;

use ipnet::IpNet;

/// Fails unless `text` is a hardware address of `wanted` bytes: `aa:bb:…`, `aa-bb-…` or
/// `aabb.ccdd…`.
pub(super) fn check_hardware(key: &str, text: &str, wanted: usize) -> Result<(), String> {
    match bytes(text) {
        Some(count) if count == wanted => Ok(()),
        Some(count) => Err(format!("{key} {text:?} has {count} bytes, not {wanted}")),
        None => Err(format!("{key} {text:?} is not a hardware address")),
    }
}

/// The number of bytes, if it is a hardware address.
fn bytes(text: &str) -> Option<usize> {
    let (separator, digits) = match text.find([':', '-', '.']).map(|at| &text[at..=at])? {
        "." => (".", 4),
        separator => (separator, 2),
    };
    let hex = |group: &str| group.len() == digits && group.bytes().all(|b| b.is_ascii_hexdigit());
    let groups: Vec<&str> = text.split(separator).collect();
    groups
        .iter()
        .all(|group| hex(group))
        .then_some(groups.len() * digits / 2)
}

/// Fails unless `text` is an IP address, with or without prefix length.
pub(super) fn check_ip(text: &str) -> Result<(), String> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Ok(());
    }
    Err(format!(
        "ips {text:?} is neither an IP address nor one with a prefix length"
    ))
}
