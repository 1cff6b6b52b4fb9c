//! Reading the node into the values that plans are made from.

use std::path::Path;

use host::netlink::link::Link;
use host::pci::PciAddress;

use crate::error::{Error, Result, own_code};
use crate::node::{Found, Function, Node, Place};
use crate::record::{Netdev, Record};
use crate::{plan, undo};

/// The VF and its PF, or why it cannot be handed out.
pub fn function(node: &mut dyn Node, vf: PciAddress) -> Result<Function> {
    let (code, problem) = match node.function(vf)? {
        Found::Vf(function) => return Ok(function),
        Found::Nothing => (
            own_code::NO_VF,
            "no such PCI function on this node".to_owned(),
        ),
        Found::NoVf => (
            own_code::NO_VF,
            "the PCI function is no virtual function of a PF on this node".to_owned(),
        ),
        Found::NoPfInterface { pf } => (
            own_code::NO_PF,
            format!("its PF {pf} has no interface on the host: bind the PF to its network driver"),
        ),
        Found::NotListed { pf } => (
            cni::error::code::TRY_AGAIN_LATER,
            format!("its PF {pf} does not list it: the PF's VFs are being changed"),
        ),
    };
    Err(Error::Vf { vf, problem, code })
}

/// What ADD is planned from.
pub fn before_add(
    node: &mut dyn Node,
    vf: PciAddress,
    function: Function,
    pod: &Path,
) -> Result<plan::Observed> {
    let mut others = node.vfs(&function.pf)?;
    let Some(at) = others.iter().position(|vf| vf.id == function.index) else {
        return Err(Error::Vf {
            vf,
            problem: format!(
                "driver {} of its PF {} tells nothing about vf {}",
                function.pf_driver.as_deref().unwrap_or("none"),
                function.pf,
                function.index
            ),
            code: own_code::NO_PF,
        });
    };
    let attributes = others.remove(at);
    let netdev = node.netdev(Place::Host, vf)?;
    let mut names_in_pod = Vec::new();
    for name in netdev.iter().flat_map(|link| &link.alt_names) {
        if node.link_by_name(Place::Pod(pod), name)?.is_some() {
            names_in_pod.push(name.clone());
        }
    }
    Ok(plan::Observed {
        function,
        attributes,
        others,
        netdev: netdev.as_ref().map(Netdev::from),
        names_in_pod,
    })
}

/// What undo is planned from. `pod` is the record's namespace, if it still exists.
pub fn before_undo(
    node: &mut dyn Node,
    record: &Record,
    pod: Option<&Path>,
) -> Result<undo::Observed> {
    let function = match node.function(record.vf)? {
        Found::Vf(function) => function,
        // A PF that recovers, whose interface was moved away or whose VFs are being changed may keep this one as it is.
        Found::NoPfInterface { .. } | Found::NotListed { .. } => {
            return Ok(undo::Observed {
                is_out_of_control: true,
                ..undo::Observed::default()
            });
        }
        // Without the VF nothing of it is left to be restored.
        Found::Nothing | Found::NoVf => {
            return Ok(undo::Observed::default());
        }
    };
    let attributes = node.attributes(&function.pf, function.index)?;
    let mut observed = undo::Observed {
        function: Some(function),
        attributes,
        ..undo::Observed::default()
    };
    if let Some(original) = &record.original.netdev {
        let in_pod = match pod {
            Some(pod) => node.netdev(Place::Pod(pod), record.vf)?,
            None => None,
        };
        match in_pod {
            Some(link) => in_the_pod(node, &original.name, &link, &mut observed)?,
            None => on_the_host(node, &original.name, record.vf, &mut observed)?,
        }
    }
    Ok(observed)
}

fn in_the_pod(
    node: &mut dyn Node,
    name: &str,
    link: &Link,
    observed: &mut undo::Observed,
) -> Result<()> {
    observed.name_is_taken = node.link_by_name(Place::Host, name)?.is_some();
    for name in &link.alt_names {
        if node.link_by_name(Place::Host, name)?.is_some() {
            observed.alt_names_taken.push(name.clone());
        }
    }
    observed.netdev = Some((undo::Whereabouts::Pod, Netdev::from(link)));
    Ok(())
}

fn on_the_host(
    node: &mut dyn Node,
    name: &str,
    vf: PciAddress,
    observed: &mut undo::Observed,
) -> Result<()> {
    if let Some(link) = node.netdev(Place::Host, vf)? {
        let holder = node.link_by_name(Place::Host, name)?;
        observed.name_is_taken = holder.is_some_and(|holder| holder.index != link.index);
        observed.netdev = Some((undo::Whereabouts::Host, Netdev::from(&link)));
    }
    Ok(())
}
