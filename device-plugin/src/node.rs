//! What the node has: one immutable value per scan, from which everything else is decided.

mod devlink;
mod id;
mod network;
mod scan;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use host::pci::PciAddress;

pub use devlink::{Devlink, Kernel, Silent};
pub use id::DeviceId;
pub use network::Network;
pub use scan::{scan, scan_asking};

use crate::config::DeviceType;

/// All devices of the node that a pool may select.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// PCI functions of base class 02 and 12 by address, then sub-functions by name.
    pub functions: Vec<Arc<Function>>,
    /// What could not be read, one line each; the rest is not affected.
    pub skipped: Vec<String>,
}

/// One function: of PCI, or a sub-function, which has ids, driver and memory node of its PCI function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// What the kubelet knows it as.
    pub id: DeviceId,
    /// What it is.
    pub kind: DeviceType,
    /// PCI address; of a sub-function, that of the function that it is part of.
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
    /// The PF and the place there, if this is a VF or sub-function.
    pub parent: Option<Parent>,
    /// Itself as its VFs would see it, if it can have VFs.
    pub own: Option<Arc<PhysicalFunction>>,
    /// Number of VFs that it has.
    pub vfs: u32,
    /// Its interface that carries a default route of the node, itself or below a bond, bridge or VLAN.
    pub host_nic: Option<String>,
    /// RDMA devices visible in the host's namespace.
    pub rdma: Vec<String>,
    /// It can do RDMA, though its RDMA device may be in a pod's namespace now (exclusive mode).
    pub can_rdma: bool,
    /// DDP profile that its NIC runs, if anybody asked.
    pub ddp_profile: Option<String>,
    /// Its vDPA device.
    pub vdpa: Option<Vdpa>,
    /// Partition key 0 without the membership bit; only InfiniBand has one.
    pub p_key: Option<u16>,
}

/// A vDPA device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vdpa {
    /// Name on the vdpa bus.
    pub name: String,
    /// Driver there.
    pub driver: Option<String>,
}

/// Where a VF or sub-function belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The PF.
    pub pf: Arc<PhysicalFunction>,
    /// The VF's index there, or the sub-function's number; `None` if the PF does not list it.
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
    /// PCI device id of its VFs, whether it has any or not.
    pub vf_device: Option<u16>,
}

impl Node {
    /// The function of that name.
    pub fn function(&self, id: &DeviceId) -> Option<&Arc<Function>> {
        let found = self
            .functions
            .binary_search_by(|function| function.id.cmp(id));
        found.ok().and_then(|place| self.functions.get(place))
    }
}

impl Function {
    /// A slot of the software fallback. There is nothing behind it; its address means nothing.
    pub fn slot(number: u32) -> Self {
        Self {
            id: DeviceId::Software(number),
            kind: DeviceType::NetDevice,
            address: PciAddress {
                domain: 0,
                bus: 0,
                device: 0,
                function: 0,
            },
            vendor: 0,
            device: 0,
            numa: None,
            acpi_index: None,
            incarnation: 0,
            driver: None,
            interfaces: Vec::new(),
            link_type: None,
            parent: None,
            own: None,
            vfs: 0,
            host_nic: None,
            rdma: Vec::new(),
            can_rdma: false,
            ddp_profile: None,
            vdpa: None,
            p_key: None,
        }
    }

    /// What the kubelet knows it as.
    pub fn id(&self) -> DeviceId {
        self.id.clone()
    }
}
