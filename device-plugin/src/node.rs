//! What the node has: one immutable value per scan, from which everything else is decided.

mod id;
mod network;
mod scan;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use host::pci::PciAddress;

pub use id::DeviceId;
pub use network::Network;
pub use scan::scan;

/// All network functions of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Functions of PCI base class 02, ordered by address.
    pub functions: Vec<Arc<Function>>,
    /// What could not be read, one line each; the rest is not affected.
    pub skipped: Vec<String>,
}

/// One network function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// PCI address.
    pub address: PciAddress,
    /// PCI vendor id.
    pub vendor: u16,
    /// PCI device id; a VF has its own.
    pub device: u16,
    /// Memory node, if the platform tells one.
    pub numa: Option<u32>,
    /// Firmware's index.
    pub acpi_index: Option<String>,
    /// Changes when the function goes away and comes back at the same address.
    pub incarnation: u64,
    /// Driver that owns it.
    pub driver: Option<String>,
    /// Its interfaces in the host's namespace.
    pub interfaces: Vec<String>,
    /// Type of its interface, or of its PF's if it has none here (`ether`, `infiniband`).
    pub link_type: Option<String>,
    /// The PF and the place there, if this is a VF.
    pub parent: Option<Parent>,
    /// Number of VFs that it has.
    pub vfs: u32,
    /// Its interface that carries a default route of the node, itself or below a bond, bridge or VLAN.
    pub host_nic: Option<String>,
    /// RDMA devices visible in the host's namespace.
    pub rdma: Vec<String>,
    /// Partition key 0 without the membership bit; only InfiniBand has one.
    pub p_key: Option<u16>,
}

/// Where a VF belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The PF.
    pub pf: Arc<PhysicalFunction>,
    /// The VF's index there; `None` if the PF does not list it.
    pub index: Option<u32>,
}

/// A PF as its VFs see it. Found out once per scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalFunction {
    /// PCI address.
    pub address: PciAddress,
    /// Its interface and what else that is called; empty if it shows none here.
    pub names: Vec<String>,
    /// Type of its interface.
    pub link_type: Option<String>,
}

impl Node {
    /// The function of that name.
    pub fn function(&self, id: &DeviceId) -> Option<&Arc<Function>> {
        let found = self
            .functions
            .binary_search_by(|function| function.id().cmp(id));
        found.ok().and_then(|place| self.functions.get(place))
    }
}

impl Function {
    /// What the kubelet knows it as.
    pub fn id(&self) -> DeviceId {
        DeviceId::Pci(self.address)
    }
}
