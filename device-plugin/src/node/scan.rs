//! One pass over sysfs; work grows with the number of functions, never with its square.

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use host::{
    auxiliary::{self, SubFunction},
    driver,
    error::{Error, Result},
    netdev,
    pci::{self, PciAddress},
    sriov,
    sysfs::Sysfs,
    vdpa,
};

use super::{DeviceId, Devlink, Function, Network, Node, Parent, PhysicalFunction, Silent, Vdpa};
use crate::{
    config::{self, DeviceType},
    failure, rdma,
};

/// PCI base class of network controllers.
const NETWORK: u8 = 0x02;
/// PCI base class of processing accelerators.
const ACCELERATOR: u8 = 0x12;

/// Reads the node from sysfs and netlink alone.
pub fn scan(sysfs: &Sysfs, network: &Network) -> Result<Node> {
    scan_asking(sysfs, network, &mut Silent)
}

/// Reads the node. Only a missing sysfs is an error; a function that cannot be read is skipped.
pub fn scan_asking(sysfs: &Sysfs, network: &Network, devlink: &mut dyn Devlink) -> Result<Node> {
    let found = pci::scan(sysfs)?;
    let mut node = Node {
        functions: Vec::new(),
        skipped: found
            .skipped
            .iter()
            .map(|error| failure::chain(error))
            .collect(),
    };
    let vdpa = vdpa::devices(sysfs).unwrap_or_else(|error| {
        node.skipped.push(failure::chain(&error));
        Vec::new()
    });
    let mut scan = Scan {
        sysfs,
        network,
        devlink,
        parents: BTreeMap::new(),
        profiles: BTreeMap::new(),
        vdpa: by_function(vdpa),
    };
    for function in &found.functions {
        let kind = match function.base_class() {
            NETWORK => DeviceType::NetDevice,
            ACCELERATOR => DeviceType::Accelerator,
            _ => continue,
        };
        match scan.function(function, kind) {
            Ok(function) => node.functions.push(Arc::new(function)),
            Err(error) => node.skipped.push(failure::chain(&error)),
        }
    }
    scan.sub_functions(&mut node)?;
    Ok(node)
}

/// The first vDPA device of each PCI function; those of sub-functions belong to no function here.
fn by_function(devices: Vec<vdpa::Device>) -> BTreeMap<PciAddress, Vdpa> {
    let mut by_function = BTreeMap::new();
    for device in devices
        .into_iter()
        .filter(|device| device.auxiliary.is_none())
    {
        by_function.entry(device.parent).or_insert(Vdpa {
            name: device.name,
            driver: device.driver,
        });
    }
    by_function
}

struct Scan<'a> {
    sysfs: &'a Sysfs,
    network: &'a Network,
    devlink: &'a mut dyn Devlink,
    parents: BTreeMap<PciAddress, Family>,
    /// What devlink told of each PF's profile.
    profiles: BTreeMap<PciAddress, Option<String>>,
    vdpa: BTreeMap<PciAddress, Vdpa>,
}

/// A PF with the places of its VFs.
struct Family {
    pf: Arc<PhysicalFunction>,
    indexes: BTreeMap<PciAddress, u32>,
}

impl Scan<'_> {
    fn function(&mut self, function: &pci::Function, kind: DeviceType) -> Result<Function> {
        let address = function.address;
        let id = DeviceId::Pci(address);
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
        let rdma = rdma::devices(self.sysfs, &id)?;
        let pf = parent.as_ref().map_or(address, |parent| parent.pf.address);
        Ok(Function {
            can_rdma: kind == DeviceType::NetDevice && self.can_rdma(&id, &rdma),
            ddp_profile: self.ddp_profile(kind, pf),
            vdpa: self.vdpa.get(&address).cloned(),
            id,
            kind,
            address,
            vendor: function.vendor,
            device: function.device,
            numa: function.numa,
            acpi_index: function.acpi_index.clone(),
            incarnation: incarnation(self.sysfs.function(address).path()),
            driver: driver::current(self.sysfs, address)?,
            p_key: match link_type.as_deref() {
                Some("infiniband") => p_key(self.sysfs, address, rdma.first()),
                _ => None,
            },
            own: if sriov::is_pf(self.sysfs, address) {
                Some(Arc::clone(&self.family(address)?.pf))
            } else {
                None
            },
            vfs: sriov::num_vfs(self.sysfs, address),
            interfaces,
            link_type,
            parent,
            host_nic,
            rdma,
        })
    }

    fn family(&mut self, pf: PciAddress) -> Result<&Family> {
        Ok(match self.parents.entry(pf) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(slot) => slot.insert(family(self.sysfs, self.network, pf)?),
        })
    }

    fn parent(&mut self, pf: PciAddress, vf: PciAddress) -> Result<Parent> {
        let family = self.family(pf)?;
        Ok(Parent {
            pf: Arc::clone(&family.pf),
            index: family.indexes.get(&vf).copied(),
        })
    }
}

impl Scan<'_> {
    /// Sub-functions of network functions. They outlive none of their parent's facts, so these are shared.
    fn sub_functions(&mut self, node: &mut Node) -> Result<()> {
        let found = auxiliary::scan(self.sysfs)?;
        let skipped = found.skipped.iter().map(|error| failure::chain(error));
        node.skipped.extend(skipped);
        let mut functions = Vec::new();
        for part in found.found {
            let whole = node.function(&part.parent.into());
            let whole = whole.filter(|whole| whole.kind == DeviceType::NetDevice);
            // Anything else is no network device, or was told of above.
            let Some(whole) = whole.cloned() else {
                continue;
            };
            match self.sub_function(&part, &whole) {
                Ok(function) => functions.push(Arc::new(function)),
                Err(error) => node.skipped.push(failure::chain(&error)),
            }
        }
        functions.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        node.functions.extend(functions);
        Ok(())
    }

    fn sub_function(&mut self, part: &SubFunction, whole: &Function) -> Result<Function> {
        let id: DeviceId = part.name.parse().map_err(|_| Error::Text {
            value: part.name.clone(),
            expected: "a name of the auxiliary bus like mlx5_core.sf.4",
        })?;
        let entry = auxiliary::device(self.sysfs, &part.name);
        let interfaces = entry.child("net").list()?.unwrap_or_default();
        let family = self.family(part.parent)?;
        let pf = Arc::clone(&family.pf);
        let own = interfaces
            .first()
            .and_then(|name| self.network.link_type(name));
        let rdma = rdma::devices(self.sysfs, &id)?;
        Ok(Function {
            can_rdma: self.can_rdma(&id, &rdma),
            kind: DeviceType::AuxNetDevice,
            incarnation: incarnation(entry.path()),
            link_type: own.or_else(|| pf.link_type.clone()),
            parent: Some(Parent {
                pf,
                index: Some(part.number),
            }),
            own: None,
            vfs: 0,
            host_nic: None,
            acpi_index: None,
            p_key: None,
            ddp_profile: None,
            vdpa: None,
            id,
            interfaces,
            rdma,
            ..whole.clone()
        })
    }

    /// devlink is asked only where sysfs shows nothing.
    fn can_rdma(&mut self, id: &DeviceId, rdma: &[String]) -> bool {
        !rdma.is_empty() || self.devlink.can_rdma(id)
    }

    /// A profile is loaded into the whole NIC.
    fn ddp_profile(&mut self, kind: DeviceType, pf: PciAddress) -> Option<String> {
        if kind != DeviceType::NetDevice {
            return None;
        }
        let profile = self.profiles.entry(pf);
        profile
            .or_insert_with(|| self.devlink.ddp_profile(pf))
            .clone()
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
            vf_device: vf_device(sysfs, pf),
        }),
        indexes,
    })
}

/// `sriov_vf_device` (kernel 4.13), which is there before any VF is.
fn vf_device(sysfs: &Sysfs, pf: PciAddress) -> Option<u16> {
    let entry = sysfs.function(pf);
    let id = entry.parse_hex("sriov_vf_device", "a PCI id like 154c");
    id.ok().and_then(|id| u16::try_from(id).ok())
}

/// Number of the device's directory, which the kernel never gives out twice between two boots.
fn incarnation(directory: &Path) -> u64 {
    std::fs::metadata(directory).map_or(0, |found| found.ino())
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
