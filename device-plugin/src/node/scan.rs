//! One pass over sysfs; work grows with the number of functions, never with its square.

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    os::unix::fs::MetadataExt,
    sync::Arc,
};

use host::{
    driver,
    error::{Error, Result},
    netdev,
    pci::{self, PciAddress},
    sriov,
    sysfs::Sysfs,
};

use super::{Function, Network, Node, Parent, PhysicalFunction};
use crate::{config, failure, rdma};

/// PCI base class of network controllers.
const NETWORK: u8 = 0x02;

/// Reads the node. Only a missing sysfs is an error; a function that cannot be read is skipped.
pub fn scan(sysfs: &Sysfs, network: &Network) -> Result<Node> {
    let found = pci::scan(sysfs)?;
    let mut node = Node {
        functions: Vec::new(),
        skipped: found
            .skipped
            .iter()
            .map(|error| failure::chain(error))
            .collect(),
    };
    let mut scan = Scan {
        sysfs,
        network,
        parents: BTreeMap::new(),
    };
    for function in found
        .functions
        .iter()
        .filter(|function| function.base_class() == NETWORK)
    {
        match scan.function(function) {
            Ok(function) => node.functions.push(Arc::new(function)),
            Err(error) => node.skipped.push(failure::chain(&error)),
        }
    }
    Ok(node)
}

struct Scan<'a> {
    sysfs: &'a Sysfs,
    network: &'a Network,
    parents: BTreeMap<PciAddress, Family>,
}

/// A PF with the places of its VFs.
struct Family {
    pf: Arc<PhysicalFunction>,
    indexes: BTreeMap<PciAddress, u32>,
}

impl Scan<'_> {
    fn function(&mut self, function: &pci::Function) -> Result<Function> {
        let address = function.address;
        let interfaces = netdev::names(self.sysfs, address)?;
        let parent = match sriov::pf_of(self.sysfs, address)? {
            Some(pf) => Some(self.parent(pf, address)?),
            None => None,
        };
        let own = interfaces
            .first()
            .and_then(|name| self.network.link_type(name));
        let link_type = own.or_else(|| {
            parent
                .as_ref()
                .and_then(|parent| parent.pf.link_type.clone())
        });
        let host_nic = interfaces
            .iter()
            .find(|name| self.network.is_host_nic(name))
            .cloned();
        let rdma = rdma::devices(self.sysfs, address)?;
        Ok(Function {
            address,
            vendor: function.vendor,
            device: function.device,
            numa: function.numa,
            acpi_index: function.acpi_index.clone(),
            incarnation: incarnation(self.sysfs, address),
            driver: driver::current(self.sysfs, address)?,
            p_key: match link_type.as_deref() {
                Some("infiniband") => p_key(self.sysfs, address, rdma.first()),
                _ => None,
            },
            vfs: sriov::num_vfs(self.sysfs, address),
            interfaces,
            link_type,
            parent,
            host_nic,
            rdma,
        })
    }

    fn parent(&mut self, pf: PciAddress, vf: PciAddress) -> Result<Parent> {
        let family = match self.parents.entry(pf) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(slot) => slot.insert(family(self.sysfs, self.network, pf)?),
        };
        Ok(Parent {
            pf: Arc::clone(&family.pf),
            index: family.indexes.get(&vf).copied(),
        })
    }
}

fn family(sysfs: &Sysfs, network: &Network, pf: PciAddress) -> Result<Family> {
    // The PF's interface may be unreadable or in another namespace: its VFs are still VFs.
    let uplink = netdev::uplink(sysfs, pf).ok().flatten();
    let mut names = Vec::new();
    if let Some(uplink) = &uplink {
        names.push(uplink.clone());
        names.extend_from_slice(network.alt_names(uplink));
    }
    let link_type = uplink.and_then(|name| network.link_type(&name));
    let indexes = match sriov::vfs(sysfs, pf) {
        Ok(vfs) => vfs.into_iter().map(|vf| (vf.address, vf.index)).collect(),
        Err(Error::State { .. }) => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    Ok(Family {
        pf: Arc::new(PhysicalFunction {
            address: pf,
            names,
            link_type,
        }),
        indexes,
    })
}

/// Number of the function's directory, which the kernel never gives out twice between two boots.
fn incarnation(sysfs: &Sysfs, address: PciAddress) -> u64 {
    std::fs::metadata(sysfs.function(address).path()).map_or(0, |found| found.ino())
}

fn p_key(sysfs: &Sysfs, address: PciAddress, device: Option<&String>) -> Option<u16> {
    let port = sysfs
        .function(address)
        .child("infiniband")
        .child(device?)
        .child("ports/1/pkeys");
    let key = port.parse_hex("0", "a P_Key like 0x8001").ok()?;
    u16::try_from(key).ok().map(|key| key & config::P_KEY)
}
