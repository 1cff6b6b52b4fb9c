//! Whether a node has hardware of a pool: by what does not change while it runs.
//!
//! Drivers, VF counts, carriers and RDMA devices come and go; ids, addresses and names stay. What is not
//! known (the name of a PF whose driver is not there yet) speaks for hardware.

use host::pci::PciAddress;

use crate::{
    config::{DeviceType, Functions, Object, Pool},
    node::{Function, Node, PhysicalFunction},
};

/// The function that makes this a node with hardware of the pool, in words; `None` if there is none.
pub(super) fn of(pool: &Pool, node: &Node) -> Option<String> {
    let network = node
        .functions
        .iter()
        .filter(|function| function.kind == DeviceType::NetDevice);
    for function in network {
        for object in &pool.objects {
            if let Some(pf) = &function.own
                && could_have(object, function, pf)
            {
                return Some(format!("VFs of PF {} are the pool's", name(function, pf)));
            }
            if is_match(object, function) {
                return Some(format!("{} is the pool's", function.id));
            }
        }
    }
    None
}

/// Whether any function of the node has to do with VFs.
pub(super) fn is_possible(node: &Node) -> bool {
    let has = |one: &Function| one.own.is_some() || one.parent.is_some();
    node.functions.iter().any(|function| has(function))
}

/// Whether VFs of a PF can match, made or not.
fn could_have(object: &Object, function: &Function, pf: &PhysicalFunction) -> bool {
    let near = |wanted: &PciAddress| {
        // SR-IOV places VFs on the PF's bus and those after it.
        let behind = wanted.bus.checked_sub(pf.address.bus);
        wanted.domain == pf.address.domain && behind.is_some_and(|distance| distance <= 1)
    };
    one_of(&object.vendors, Some(&function.vendor))
        && (pf.vf_device.is_none() || one_of(&object.devices, pf.vf_device.as_ref()))
        && (object.addresses.is_empty() || object.addresses.iter().any(near))
        && is_child(object, pf)
        && (pf.link_type.is_none() || one_of(&object.link_types, pf.link_type.as_ref()))
}

/// Whether a function that exists matches: a VF, also one that a VM was given, or a NIC that is not the
/// node's own.
fn is_match(object: &Object, function: &Function) -> bool {
    let child = match &function.parent {
        Some(parent) => is_child(object, &parent.pf),
        None => object.pf_names.is_empty() && object.root_devices.is_empty(),
    };
    let is_pf = function.own.is_some();
    child
        && !is_pf
        && function.host_nic.is_none()
        && one_of(&object.vendors, Some(&function.vendor))
        && one_of(&object.devices, Some(&function.device))
        && one_of(&object.addresses, Some(&function.address))
        && one_of(&object.acpi_indexes, function.acpi_index.as_ref())
}

/// Whether VFs of this PF are meant, whatever their index. A PF without a name could have any.
fn is_child(object: &Object, pf: &PhysicalFunction) -> bool {
    let same = |name: &String, wanted: &Functions<String>| {
        name.to_lowercase() == wanted.parent.to_lowercase()
    };
    let named = |wanted: &Functions<String>| pf.names.iter().any(|name| same(name, wanted));
    let by_name =
        object.pf_names.is_empty() || pf.names.is_empty() || object.pf_names.iter().any(named);
    let root = |wanted: &Functions<PciAddress>| wanted.parent == pf.address;
    by_name && (object.root_devices.is_empty() || object.root_devices.iter().any(root))
}

fn one_of<T: PartialEq>(wanted: &[T], found: Option<&T>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.contains(found))
}

fn name(function: &Function, pf: &PhysicalFunction) -> String {
    match pf.names.first() {
        Some(name) => format!("{name} ({})", function.address),
        None => function.address.to_string(),
    }
}
