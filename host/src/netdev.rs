//! Network interfaces of PCI functions, as sysfs shows them for the namespace in which sysfs was mounted.

use crate::error::Result;
use crate::pci::PciAddress;
use crate::sriov;
use crate::sysfs::{Entry, Sysfs};

/// Names of the function's interfaces, sorted; empty if it has none here (no driver, userspace driver, moved into a
/// pod). For a virtio function they are found below `virtioN`.
pub fn names(sysfs: &Sysfs, function: PciAddress) -> Result<Vec<String>> {
    let entry = sysfs.function(function);
    if let Some(names) = entry.child("net").list()? {
        return Ok(names);
    }
    if entry.link("driver")?.as_deref() != Some("virtio-pci") {
        return Ok(Vec::new());
    }
    for child in entry.list()?.unwrap_or_default() {
        if child.starts_with("virtio")
            && let Some(names) = entry.child(child).child("net").list()?
        {
            return Ok(names);
        }
    }
    Ok(Vec::new())
}

/// The PF's own interface: the one whose physical port name is `p<N>`, else one that is not named as the
/// representor of a VF or sub-function, else none. Needs no devlink and no privilege.
pub fn uplink(sysfs: &Sysfs, pf: PciAddress) -> Result<Option<String>> {
    Ok(ports(sysfs, pf)?.into_uplink())
}

/// [`uplink`] and [`is_switchdev`] with one look at sysfs.
pub fn uplink_and_mode(sysfs: &Sysfs, pf: PciAddress) -> Result<(Option<String>, bool)> {
    let ports = ports(sysfs, pf)?;
    let switchdev = ports.are_switchdev(sysfs, pf)?;
    Ok((ports.into_uplink(), switchdev))
}

/// Interface of the PF that a VF belongs to; `None` if the function is no VF or the PF shows no interface.
pub fn pf_name(sysfs: &Sysfs, vf: PciAddress) -> Result<Option<String>> {
    match sriov::pf_of(sysfs, vf)? {
        Some(pf) => uplink(sysfs, pf),
        None => Ok(None),
    }
}

/// Interface that represents a sub-function in the embedded switch of its PF (`pf0sf88`), in switchdev mode.
pub fn sf_representor(sysfs: &Sysfs, pf: PciAddress, number: u32) -> Result<Option<String>> {
    let net = sysfs.function(pf).child("net");
    for name in names(sysfs, pf)? {
        let port = port_name(&net.child(&name))?.unwrap_or_default();
        let wanted = port
            .strip_prefix("pf")
            .and_then(|rest| rest.split_once("sf"));
        if wanted.is_some_and(|(pf, sf)| is_number(pf) && sf == number.to_string()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether the PF's embedded switch is in switchdev mode: a VF or sub-function representor exists, or the uplink has
/// both a switch id and a physical port name.
pub fn is_switchdev(sysfs: &Sysfs, pf: PciAddress) -> Result<bool> {
    ports(sysfs, pf)?.are_switchdev(sysfs, pf)
}

/// Whether the interface is operationally up. `unknown` counts as up, because drivers that do not track it say that.
pub fn is_up(sysfs: &Sysfs, interface: &str) -> Result<bool> {
    let state = sysfs
        .entry("class/net")
        .child(interface)
        .read("operstate")?;
    Ok(matches!(state.as_str(), "up" | "unknown"))
}

/// Interfaces of a PF with their physical port names.
struct Ports(Vec<(String, Option<String>)>);

fn ports(sysfs: &Sysfs, pf: PciAddress) -> Result<Ports> {
    let net = sysfs.function(pf).child("net");
    let named = names(sysfs, pf)?.into_iter().map(|name| {
        let port = port_name(&net.child(&name))?;
        Ok((name, port))
    });
    named.collect::<Result<_>>().map(Ports)
}

impl Ports {
    fn into_uplink(self) -> Option<String> {
        let mut others = None;
        for (name, port) in self.0 {
            match port {
                Some(port) if is_physical(&port) => return Some(name),
                Some(port) if is_representor(&port) => {}
                _ => others = others.or(Some(name)),
            }
        }
        others
    }

    fn are_switchdev(&self, sysfs: &Sysfs, pf: PciAddress) -> Result<bool> {
        for (name, port) in &self.0 {
            let Some(port) = port else { continue };
            if is_representor(port) || (is_physical(port) && has_switch(sysfs, pf, name)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn has_switch(sysfs: &Sysfs, pf: PciAddress, name: &str) -> Result<bool> {
    let interface = sysfs.function(pf).child("net").child(name);
    let id = interface.read_optional("phys_switch_id")?;
    Ok(id.is_some_and(|id| !id.is_empty()))
}

fn port_name(interface: &Entry) -> Result<Option<String>> {
    Ok(interface
        .read_optional("phys_port_name")?
        .filter(|name| !name.is_empty()))
}

/// `p0`, and `p0s1` of a split port.
fn is_physical(port: &str) -> bool {
    let Some(rest) = port.strip_prefix('p') else {
        return false;
    };
    let (number, split) = rest.split_once('s').unwrap_or((rest, "0"));
    is_number(number) && is_number(split)
}

/// `pf0vf3`, `pf0sf7`, and with a controller in front `c1pf0vf3`.
fn is_representor(port: &str) -> bool {
    let port = match port.strip_prefix('c') {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => port,
    };
    let Some(rest) = port.strip_prefix("pf") else {
        return false;
    };
    let function = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    ["vf", "sf"]
        .iter()
        .any(|kind| function.strip_prefix(kind).is_some_and(is_number))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
