//! Which device each network gets: one ledger per pod, shared by default, extra and annotation
//! networks, so that no device is given twice (spec/multus.md §3, §9.2 Q12 and Q13).

use std::collections::BTreeMap;

use cni::config::{ConfigError, Plugin};
use cni::raw::Object;
use host::pci::PciAddress;
use multus_plugin::wire::{Device, PodRef, Reason};

use super::{Network, Refusal, Warning};
use crate::known::{Allocation, Found, Known, Need};

/// Ids of slots of the software fallback begin with this (design §5).
const SOFTWARE: &str = "software-";
/// The only plugin type that knows what to do with such a slot.
const SRIOV: &str = "sriov";

/// The look-up that assigning devices needs, if it was not made yet. Nothing is asked unless a
/// network has a resource or names a device.
pub(super) fn need(networks: &[Network], known: &Known) -> Result<Option<Need>, Refusal> {
    if known.devices.is_some() {
        return Ok(None);
    }
    let mut others = false;
    for network in networks {
        others |= !named(network)?.is_empty();
    }
    let resources = networks.iter().any(|n| n.resource.is_some());
    Ok((resources || others).then_some(Need::Devices { others }))
}

/// The device of each network, written into its configuration.
pub(super) fn assign(
    networks: &mut [Network],
    pod: &PodRef,
    found: Option<&Found<Allocation>>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Option<Device>>, Refusal> {
    let allocation = match found {
        Some(Found::Unknown(cause)) => {
            return Err(Refusal::KubeletSilent {
                pod: pod.to_string(),
                cause: cause.clone(),
            });
        }
        Some(Found::Here(allocation)) => Some(allocation),
        Some(Found::Missing) | None => None,
    };
    let mut ledger = Ledger {
        pod,
        allocation,
        taken: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    networks
        .iter_mut()
        .map(|network| {
            for id in named(network)? {
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

struct Ledger<'a> {
    pod: &'a PodRef,
    allocation: Option<&'a Allocation>,
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
        if !held && (managed || id.starts_with(SOFTWARE)) {
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

/// Devices that the network's text or the pod's annotation names, each once. Those that a resource's
/// device will replace do not count.
fn named(network: &Network) -> Result<Vec<String>, Refusal> {
    let mut ids: Vec<String> = Vec::new();
    for plugin in network.list.plugins() {
        let of_config = if network.resource.is_some() {
            None
        } else {
            plugin.device_id().map_err(|e| invalid(network, e))?
        };
        let of_runtime = runtime_device(plugin).map_err(|e| invalid(network, e))?;
        ids.extend(of_config.into_iter().chain(of_runtime));
    }
    if network.resource.is_none() {
        ids.extend(network.wanted.selection.device_id.clone());
    }
    ids.retain(|id| !id.is_empty());
    ids.sort_unstable();
    ids.dedup_by(|a, b| normal(a) == normal(b));
    Ok(ids)
}

/// A `runtimeConfig` written into a NAD reaches the plugin unless a capability replaces it.
fn runtime_device(plugin: &Plugin) -> Result<Option<String>, ConfigError> {
    let runtime: Option<Object> = plugin
        .object()
        .typed_folded("runtimeConfig")
        .map_err(ConfigError::Key)?;
    match runtime {
        Some(runtime) => runtime.typed_folded("deviceID").map_err(ConfigError::Key),
        None => Ok(None),
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
