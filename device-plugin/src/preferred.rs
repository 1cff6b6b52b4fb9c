//! GetPreferredAllocation: which of the free devices a container had better get.
//!
//! Pure. The kubelet names the free devices, those that must be among the chosen, and how many it
//! wants; what it gets is a subset of exactly that size, or nothing if that is impossible.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use host::pci::PciAddress;

use crate::{
    config::Preference,
    inventory::{Listed, Listing},
    node::DeviceId,
};

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    numa: Option<u32>,
    /// Its PF; itself where it has none.
    pf: Pf,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pf {
    Function(PciAddress),
    Alone(DeviceId),
}

/// What the kubelet asks for one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Free devices.
    pub available: Vec<String>,
    /// Devices that are given anyway; they are among the free ones.
    pub must_include: Vec<String>,
    /// Number of devices, those that must be included counted.
    pub size: usize,
}

/// The devices to prefer, sorted; empty if there is no advice.
pub fn prefer(policy: Preference, listing: &Listing, request: &Request) -> Vec<String> {
    if policy == Preference::None {
        return Vec::new();
    }
    // Only healthy devices of this pool, spelt as they were offered.
    let known = |text: &String| {
        let id: DeviceId = text.parse().ok()?;
        let listed = listing.get(&id).filter(|listed| listed.unwell.is_none())?;
        (id.to_string() == *text).then(|| (place(&id, listed), id))
    };
    let mut chosen: BTreeSet<(Place, DeviceId)> =
        request.must_include.iter().filter_map(known).collect();
    if chosen.len() != unique(&request.must_include) || chosen.len() > request.size {
        return Vec::new();
    }
    let mut free: BTreeSet<(Place, DeviceId)> =
        request.available.iter().filter_map(known).collect();
    free.retain(|device| !chosen.contains(device));
    while chosen.len() < request.size {
        let missing = request.size - chosen.len();
        let best = best(policy, &chosen, &free, missing);
        let Some(device) = best.cloned() else {
            return Vec::new();
        };
        free.remove(&device);
        chosen.insert(device);
    }
    let mut ids: Vec<DeviceId> = chosen.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    ids.iter().map(DeviceId::to_string).collect()
}

fn unique(ids: &[String]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

fn place(id: &DeviceId, listed: &Listed) -> Place {
    let device = listed.device.as_ref();
    let parent = device.and_then(|device| device.function.parent.as_ref());
    Place {
        numa: device.and_then(|device| device.numa),
        pf: parent.map_or_else(
            || Pf::Alone(id.clone()),
            |parent| Pf::Function(parent.pf.address),
        ),
    }
}

/// The next device: the first by the policy's order, the smallest id among equals.
fn best<'a>(
    policy: Preference,
    chosen: &BTreeSet<(Place, DeviceId)>,
    free: &'a BTreeSet<(Place, DeviceId)>,
    missing: usize,
) -> Option<&'a (Place, DeviceId)> {
    let (taken, left) = (Counts::of(chosen), Counts::of(free));
    free.iter().min_by_key(|(place, id)| {
        let (node, pf) = (
            Group::new(taken.numa(place), left.numa(place), missing),
            Group::new(taken.pf(place), left.pf(place), missing),
        );
        let order = match policy {
            Preference::Packed => [node.goes_on(), node.tight(), pf.goes_on(), pf.tight()].concat(),
            Preference::Balanced => [pf.even(), node.goes_on(), node.roomy()].concat(),
            Preference::Numa | Preference::None => {
                [node.goes_on(), node.roomy(), pf.even()].concat()
            }
        };
        (order, id)
    })
}

/// Devices that share a memory node or a PF. Each order is a key: the smaller, the better.
struct Group {
    taken: usize,
    left: usize,
    missing: usize,
}

impl Group {
    fn new(taken: usize, left: usize, missing: usize) -> Self {
        Self {
            taken,
            left,
            missing,
        }
    }

    /// One that has part of the request comes before one that has none.
    fn goes_on(&self) -> Vec<usize> {
        vec![usize::from(self.taken == 0)]
    }

    /// One with room for the rest, and of those the one with most.
    fn roomy(&self) -> Vec<usize> {
        vec![usize::MAX - self.left]
    }

    /// One with room for the rest, and of those the one with least, so that larger requests find room
    /// later; of those without, the one with most.
    fn tight(&self) -> Vec<usize> {
        if self.left >= self.missing {
            vec![0, self.left]
        } else {
            vec![1, usize::MAX - self.left]
        }
    }

    /// The one that has least of the request, then the one with most free devices.
    fn even(&self) -> Vec<usize> {
        vec![self.taken, usize::MAX - self.left]
    }
}

struct Counts {
    numa: BTreeMap<Option<u32>, usize>,
    pf: BTreeMap<Pf, usize>,
}

impl Counts {
    fn of(devices: &BTreeSet<(Place, DeviceId)>) -> Self {
        let mut counts = Self {
            numa: BTreeMap::new(),
            pf: BTreeMap::new(),
        };
        for (place, _) in devices {
            *counts.numa.entry(place.numa).or_default() += 1;
            *counts.pf.entry(place.pf.clone()).or_default() += 1;
        }
        counts
    }

    fn numa(&self, place: &Place) -> usize {
        self.numa.get(&place.numa).copied().unwrap_or(0)
    }

    fn pf(&self, place: &Place) -> usize {
        self.pf.get(&place.pf).copied().unwrap_or(0)
    }
}
