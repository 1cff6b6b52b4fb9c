//! Which device each network gets: one ledger per pod, shared by default, extra and annotation
//! networks, so that no device is given twice (spec/multus.md §3, §9.2 Q12 and Q13).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cni::config::ConfigError;
use host::pci::PciAddress;
use multus_plugin::wire::{Device, PodRef, Reason};

use super::{Network, Question, Refusal, Warning, claims};
use crate::dra::Claims;
use crate::known::{Allocation, Found, Known, Need};

mod named;

use named::named;

/// Ids of slots of the software fallback begin with this (design §5).
const SOFTWARE: &str = "software-";
/// The only plugin type that knows what to do with such a slot.
const SRIOV: &str = "sriov";

/// The look-ups that assigning devices needs and that were not made yet. Nothing is asked unless a
/// network has a resource or names a device.
pub(super) fn needs(
    question: &Question<'_>,
    networks: &[Network],
    known: &Known,
) -> Result<BTreeSet<Need>, Refusal> {
    if known.devices.is_some() {
        return Ok(BTreeSet::new());
    }
    let mut needs = BTreeSet::new();
    for network in networks {
        needs.extend(named::needs(network, known)?);
    }
    if !needs.is_empty() {
        return Ok(needs);
    }
    let mut others = false;
    for network in networks {
        others |= !named(network, known)?.is_empty();
    }
    let resources = networks.iter().any(|n| n.resource.is_some());
    if resources || others {
        needs.insert(Need::Devices { others });
        if question.conf.dra {
            needs.insert(Need::Claims { others });
        }
    }
    Ok(needs)
}

/// The device of each network, written into its configuration.
pub(super) fn assign(
    networks: &mut [Network],
    pod: &PodRef,
    known: &Known,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Option<Device>>, Refusal> {
    let mut passed_over = Vec::new();
    let allocation = allocated(networks, pod, known, &mut passed_over)?;
    let mut ledger = Ledger {
        pod,
        allocation: allocation.as_deref(),
        passed_over: &passed_over,
        taken: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    networks
        .iter_mut()
        .map(|network| {
            for id in named(network, known)? {
                ledger.judge(&network.name, &id, warnings)?;
            }
            let device = match &network.resource {
                Some(resource) => Some(ledger.next(&network.name, resource)?),
                None => network.wanted.selection.device_id.clone().map(|id| Device {
                    resource: String::new(),
                    id,
                    requested: true,
                }),
            };
            if let Some(device) = &device {
                software(network, &device.id)?;
                if !device.requested {
                    ignored(network, device, warnings);
                    network.list.set_device_id(&device.id);
                }
            }
            Ok(device)
        })
        .collect()
}

/// What the pod has, by the kubelet's word and by its claims. `None`: nobody here gives devices.
fn allocated<'a>(
    networks: &[Network],
    pod: &PodRef,
    known: &'a Known,
    passed_over: &mut Vec<String>,
) -> Result<Option<Cow<'a, Allocation>>, Refusal> {
    let of_plugins = match &known.devices {
        Some(Found::Unknown(cause)) => {
            return Err(Refusal::KubeletSilent {
                pod: pod.to_string(),
                cause: cause.clone(),
            });
        }
        Some(Found::Here(allocation)) => Some(Cow::Borrowed(allocation)),
        Some(Found::Missing) | None => None,
    };
    match &known.claims {
        Some(Found::Unknown(cause)) => Err(Refusal::ClaimsUnknown {
            pod: pod.to_string(),
            cause: cause.clone(),
        }),
        Some(Found::Here(claims)) if *claims != Claims::default() => {
            let wanted = networks.iter().filter_map(|n| n.resource.as_deref());
            let mut both = of_plugins.map_or_else(Allocation::default, Cow::into_owned);
            both.managed.get_or_insert_default();
            *passed_over = claims::add(&mut both, claims, &wanted.collect(), pod)?;
            Ok(Some(Cow::Owned(both)))
        }
        _ => Ok(of_plugins),
    }
}

struct Ledger<'a> {
    pod: &'a PodRef,
    allocation: Option<&'a Allocation>,
    /// Devices of claims that no network can use, and why.
    passed_over: &'a [String],
    /// Who got the devices of a resource so far.
    taken: BTreeMap<String, Vec<String>>,
    /// Who uses a device.
    users: BTreeMap<String, String>,
}

impl Ledger<'_> {
    fn next(&mut self, network: &str, resource: &str) -> Result<Device, Refusal> {
        let Some(allocation) = self.allocation else {
            return Err(Refusal::NoKubelet {
                network: network.to_owned(),
                resource: resource.to_owned(),
            });
        };
        let ids = allocation.pod.get(resource).map_or(&[][..], Vec::as_slice);
        let taken = self.taken.entry(resource.to_owned()).or_default();
        let Some(id) = ids.get(taken.len()) else {
            return Err(if ids.is_empty() {
                Refusal::NotRequested {
                    network: network.to_owned(),
                    resource: resource.to_owned(),
                    pod: self.pod.to_string(),
                    passed_over: self.passed_over.iter().fold(String::new(), |text, why| {
                        format!("{text}; not usable: {why}")
                    }),
                }
            } else {
                Refusal::Exhausted {
                    network: network.to_owned(),
                    resource: resource.to_owned(),
                    pod: self.pod.to_string(),
                    have: ids.len(),
                    want: ids.len() + 1,
                    users: taken.join(", "),
                }
            });
        };
        taken.push(network.to_owned());
        self.used(network, id)?;
        Ok(Device {
            resource: resource.to_owned(),
            id: id.clone(),
            requested: false,
        })
    }

    /// A device that is named by text rather than given by the kubelet.
    fn judge(
        &mut self,
        network: &str,
        id: &str,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Refusal> {
        let normal = normal(id);
        let is_it = |own: &String| same(own, &normal);
        let held = self
            .allocation
            .is_some_and(|a| a.pod.values().flatten().any(is_it));
        let managed = self
            .allocation
            .and_then(|a| a.managed.as_ref())
            .is_some_and(|all| all.iter().any(is_it));
        // A plugin would follow a path to whatever device it leads to, past every comparison here.
        if !held && (managed || id.starts_with(SOFTWARE) || id.contains(['/', '\0'])) {
            return Err(Refusal::NotAllocated {
                network: network.to_owned(),
                device: id.to_owned(),
                pod: self.pod.to_string(),
            });
        }
        if !held {
            warnings.push(Warning {
                reason: Reason::DeviceNotAllocated,
                text: format!(
                    "network {network} uses device {id}, which no resource pool of this node knows: nothing keeps other pods from using it too"
                ),
            });
        }
        self.used(network, id)
    }

    fn used(&mut self, network: &str, id: &str) -> Result<(), Refusal> {
        match self.users.insert(normal(id), network.to_owned()) {
            Some(first) => Err(Refusal::DeviceTwice {
                first,
                second: network.to_owned(),
                device: id.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn software(network: &Network, id: &str) -> Result<(), Refusal> {
    let plugins = network.list.plugins();
    if !id.starts_with(SOFTWARE) || plugins.iter().any(|p| p.plugin_type() == SRIOV) {
        return Ok(());
    }
    Err(Refusal::SoftwareSlot {
        network: network.name.clone(),
        device: id.to_owned(),
        kind: plugins
            .first()
            .map_or_else(String::new, |p| p.plugin_type().to_owned()),
    })
}

fn ignored(network: &Network, device: &Device, warnings: &mut Vec<Warning>) {
    let asked = network.wanted.selection.device_id.as_deref();
    if let Some(asked) = asked.filter(|asked| !same(asked, &normal(&device.id))) {
        warnings.push(Warning {
            reason: Reason::AnnotationInvalid,
            text: format!(
                "network {}: deviceID {asked} of the annotation is not used, the pod's devices of {} are given in their order, here {}",
                network.name, device.resource, device.id
            ),
        });
    }
}

fn invalid(network: &Network, source: ConfigError) -> Refusal {
    Refusal::Network {
        network: network.name.clone(),
        source: Box::new(source),
    }
}

fn same(id: &str, normalised: &str) -> bool {
    normal(id) == normalised
}

/// PCI addresses have several spellings.
fn normal(id: &str) -> String {
    id.parse::<PciAddress>()
        .map_or_else(|_| id.to_owned(), |address| address.to_string())
}
