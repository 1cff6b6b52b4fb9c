//! Traffic of VFs as their PF counts it, so that it is seen of a VF on vfio and of one inside a pod, too.
//!
//! Attributes in sysfs where the PF's driver has them, else netlink (spec/device-plugin.md §9). A driver that
//! counts nothing shows zeros there.

use std::collections::{BTreeMap, BTreeSet};

use host::{
    netlink::{Netlink, vf::Pf},
    pci::PciAddress,
    sysfs::Sysfs,
};
use tracing::debug;

use crate::{failure, node::Node};

/// Counters of one VF by name: `rx_bytes`, `tx_packets`, ...
pub type Counters = BTreeMap<String, u64>;

/// Counters of all VFs of the node whose PF tells any.
pub fn observe(sysfs: &Sysfs, node: &Node) -> BTreeMap<PciAddress, Counters> {
    let mut counters = BTreeMap::new();
    let mut netlink = Netlink::open()
        .inspect_err(|error| debug!(error = %failure::chain(error), "no counters through netlink"))
        .ok();
    for pf in pfs(node) {
        let mut counted = from_sysfs(sysfs, pf.address);
        if counted.is_empty()
            && let (Some(netlink), Some(name)) = (&mut netlink, &pf.name)
        {
            counted = from_netlink(netlink, pf.address, name);
        }
        for (index, values) in counted {
            if let Some(vf) = pf.vfs.get(&index) {
                counters.insert(*vf, values);
            }
        }
    }
    counters
}

struct Counted {
    address: PciAddress,
    name: Option<String>,
    vfs: BTreeMap<u32, PciAddress>,
}

/// PFs by way of their VFs.
fn pfs(node: &Node) -> Vec<Counted> {
    let mut pfs: BTreeMap<PciAddress, Counted> = BTreeMap::new();
    for function in &node.functions {
        let (Some(vf), Some(parent)) = (function.id.pci(), &function.parent) else {
            continue;
        };
        let Some(index) = parent.index else {
            continue;
        };
        let pf = pfs.entry(parent.pf.address).or_insert_with(|| Counted {
            address: parent.pf.address,
            name: parent.pf.names.first().cloned(),
            vfs: BTreeMap::new(),
        });
        pf.vfs.insert(index, vf);
    }
    pfs.into_values().collect()
}

/// `<pf>/sriov/<index>/stats/*` (out-of-tree drivers of Intel and NVIDIA).
fn from_sysfs(sysfs: &Sysfs, pf: PciAddress) -> BTreeMap<u32, Counters> {
    let mut counted = BTreeMap::new();
    let all = sysfs.function(pf).child("sriov");
    for name in all.list().ok().flatten().unwrap_or_default() {
        let Ok(index) = name.parse::<u32>() else {
            continue;
        };
        let stats = all.child(&name).child("stats");
        let mut counters = Counters::new();
        for counter in stats.list().ok().flatten().unwrap_or_default() {
            if let Ok(value) = stats.parse(&counter, "a counter") {
                counters.insert(counter, value);
            }
        }
        if !counters.is_empty() {
            counted.insert(index, counters);
        }
    }
    counted
}

fn from_netlink(netlink: &mut Netlink, address: PciAddress, name: &str) -> BTreeMap<u32, Counters> {
    let read = |netlink: &mut Netlink| {
        let Some(link) = netlink.link_by_name(name)? else {
            return Ok(Vec::new());
        };
        netlink.vf_counters(&Pf {
            index: link.index,
            name: name.to_owned(),
            address,
        })
    };
    let counted = read(netlink).unwrap_or_else(|error: host::error::Error| {
        debug!(error = %failure::chain(&error), "no counters of this PF");
        Vec::new()
    });
    let named = counted.into_iter().map(|(index, counters)| {
        let named = counters.named();
        (
            index,
            named
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    });
    named.collect()
}

/// All names of counters that any VF has.
pub fn names(counters: &BTreeMap<PciAddress, Counters>) -> BTreeSet<&str> {
    counters
        .values()
        .flat_map(|one| one.keys())
        .map(String::as_str)
        .collect()
}
