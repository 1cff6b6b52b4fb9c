//! Which devices exist, which are healthy, and which pod holds them. Nothing here does I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use proto::deviceplugin::{ContainerAllocateResponse, Device, HEALTHY};

/// The devices of all plugins and their holders.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    resources: BTreeMap<String, Resource>,
    holders: BTreeMap<String, Holder>,
    connections: u64,
}

#[derive(Debug, Default)]
struct Resource {
    devices: BTreeMap<String, Device>,
    /// The connection that reports them; reports of earlier ones are void.
    connection: u64,
}

/// A pod that holds devices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// In the order of the pod's specification.
    pub(crate) containers: Vec<(String, Vec<Held>)>,
}

/// Devices of one resource in one container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) resource: String,
    pub(crate) ids: Vec<String>,
    /// What the plugin wants for them.
    pub(crate) wants: ContainerAllocateResponse,
}

/// Why devices cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Shortage {
    #[error("no healthy devices present; cannot allocate unhealthy devices {0}")]
    NoneHealthy(String),
    #[error(
        "requested number of devices unavailable for {resource}. Requested: {wanted}, Available: {available}"
    )]
    TooFew {
        resource: String,
        wanted: usize,
        available: usize,
    },
}

/// Devices of a resource: all, and those that may be given to pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// `status.capacity`
    pub capacity: usize,
    /// `status.allocatable`
    pub allocatable: usize,
}

impl Devices {
    /// A plugin connected: what it reports from now on counts, its devices are unusable until it does.
    pub(crate) fn connect(&mut self, resource: &str) -> u64 {
        self.connections += 1;
        let entry = self.resources.entry(resource.to_owned()).or_default();
        entry.connection = self.connections;
        self.connections
    }

    /// The plugin's list. False when a later connection took over.
    pub(crate) fn report(&mut self, resource: &str, connection: u64, devices: Vec<Device>) -> bool {
        let Some(entry) = self
            .resources
            .get_mut(resource)
            .filter(|entry| entry.connection == connection)
        else {
            return false;
        };
        entry.devices = devices
            .into_iter()
            .map(|device| (device.id.clone(), device))
            .collect();
        true
    }

    /// The plugin is gone: its devices stay known, none can be given out.
    pub(crate) fn disconnect(&mut self, resource: &str, connection: u64) -> bool {
        let Some(entry) = self
            .resources
            .get_mut(resource)
            .filter(|entry| entry.connection == connection)
        else {
            return false;
        };
        for device in entry.devices.values_mut() {
            proto::deviceplugin::UNHEALTHY.clone_into(&mut device.health);
        }
        true
    }

    /// Whether a plugin ever offered this resource.
    pub(crate) fn knows(&self, resource: &str) -> bool {
        self.resources.contains_key(resource)
    }

    /// At least `wanted` healthy devices that nobody holds, in no order.
    pub(crate) fn available(&self, resource: &str, wanted: usize) -> Result<Vec<String>, Shortage> {
        let empty = BTreeMap::new();
        let devices = self
            .resources
            .get(resource)
            .map_or(&empty, |entry| &entry.devices);
        let healthy: Vec<&String> = devices
            .iter()
            .filter(|(_, device)| is_healthy(device))
            .map(|(id, _)| id)
            .collect();
        if healthy.is_empty() {
            return Err(Shortage::NoneHealthy(resource.to_owned()));
        }
        let held: BTreeSet<&String> = self.held(resource).collect();
        let free: Vec<String> = healthy
            .into_iter()
            .filter(|id| !held.contains(id))
            .cloned()
            .collect();
        if free.len() < wanted {
            return Err(Shortage::TooFew {
                resource: resource.to_owned(),
                wanted,
                available: free.len(),
            });
        }
        Ok(shuffled(free))
    }

    fn held(&self, resource: &str) -> impl Iterator<Item = &String> {
        let all = self
            .holders
            .values()
            .flat_map(|holder| &holder.containers)
            .flat_map(|(_, held)| held);
        all.filter(move |held| held.resource == resource)
            .flat_map(|held| &held.ids)
    }

    /// Names a pod as a holder, of nothing yet.
    pub(crate) fn admit(&mut self, uid: &str, holder: Holder) {
        self.holders.insert(uid.to_owned(), holder);
    }

    /// Gives devices to a container of an admitted pod.
    pub(crate) fn give(&mut self, uid: &str, container: &str, held: Held) {
        let containers = self
            .holders
            .get_mut(uid)
            .map(|holder| &mut holder.containers);
        let place = containers.and_then(|list| list.iter_mut().find(|(name, _)| name == container));
        if let Some((_, list)) = place {
            list.push(held);
        }
    }

    /// Takes everything back from a pod.
    pub(crate) fn release(&mut self, uid: &str) {
        self.holders.remove(uid);
    }

    /// What a container holds.
    pub(crate) fn of_container(&self, uid: &str, container: &str) -> Vec<Held> {
        let containers = self.holders.get(uid).map(|holder| &holder.containers);
        let found = containers.and_then(|list| list.iter().find(|(name, _)| name == container));
        found.map(|(_, held)| held.clone()).unwrap_or_default()
    }

    pub(crate) fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.holders.values()
    }

    pub(crate) fn device(&self, resource: &str, id: &str) -> Option<&Device> {
        self.resources.get(resource)?.devices.get(id)
    }

    /// Healthy devices of all resources.
    pub(crate) fn healthy(&self) -> impl Iterator<Item = (&String, &Device)> {
        let all = self
            .resources
            .iter()
            .flat_map(|(name, entry)| entry.devices.values().map(move |device| (name, device)));
        all.filter(|(_, device)| is_healthy(device))
    }

    /// What the node offers.
    pub(crate) fn counts(&self) -> BTreeMap<String, Count> {
        let count = |entry: &Resource| Count {
            capacity: entry.devices.len(),
            allocatable: entry
                .devices
                .values()
                .filter(|device| is_healthy(device))
                .count(),
        };
        self.resources
            .iter()
            .map(|(name, entry)| (name.clone(), count(entry)))
            .collect()
    }
}

fn is_healthy(device: &Device) -> bool {
    device.health == HEALTHY
}

/// The kubelet keeps devices in maps whose order differs from run to run; so nobody may rely on one here either.
pub(crate) fn shuffled<T: std::hash::Hash>(mut items: Vec<T>) -> Vec<T> {
    let state = RandomState::new();
    items.sort_by_cached_key(|item| state.hash_one(item));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, health: &str) -> Device {
        Device {
            id: id.into(),
            health: health.into(),
            topology: None,
        }
    }

    fn three() -> (Devices, u64) {
        let mut devices = Devices::default();
        let connection = devices.connect("a/b");
        let list = vec![
            device("1", HEALTHY),
            device("2", HEALTHY),
            device("3", "Unhealthy"),
        ];
        assert!(devices.report("a/b", connection, list));
        (devices, connection)
    }

    fn hold(devices: &mut Devices, uid: &str, id: &str) {
        let containers = vec![("c".to_owned(), Vec::new())];
        devices.admit(
            uid,
            Holder {
                containers,
                ..Holder::default()
            },
        );
        devices.give(
            uid,
            "c",
            Held {
                resource: "a/b".into(),
                ids: vec![id.into()],
                ..Held::default()
            },
        );
    }

    #[test]
    fn only_healthy_free_devices_are_available() {
        let (mut devices, _) = three();
        assert_eq!(
            devices.counts()["a/b"],
            Count {
                capacity: 3,
                allocatable: 2
            }
        );
        hold(&mut devices, "u", "1");
        assert_eq!(devices.available("a/b", 1).unwrap(), ["2"]);
        let refusal = devices.available("a/b", 2).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "requested number of devices unavailable for a/b. Requested: 2, Available: 1"
        );
        devices.release("u");
        assert_eq!(devices.available("a/b", 2).unwrap().len(), 2);
    }

    #[test]
    fn the_devices_of_a_lost_plugin_are_unhealthy_until_it_reports_again() {
        let (mut devices, old) = three();
        hold(&mut devices, "u", "1");
        assert!(devices.disconnect("a/b", old));
        assert_eq!(
            devices.available("a/b", 1).unwrap_err(),
            Shortage::NoneHealthy("a/b".into())
        );
        assert_eq!(
            devices.counts()["a/b"],
            Count {
                capacity: 3,
                allocatable: 0
            }
        );
        let new = devices.connect("a/b");
        assert!(devices.report("a/b", new, vec![device("1", HEALTHY), device("2", HEALTHY)]));
        assert!(!devices.report("a/b", old, Vec::new()));
        assert!(!devices.disconnect("a/b", old));
        assert_eq!(devices.available("a/b", 1).unwrap(), ["2"]);
    }

    #[test]
    fn an_unknown_resource_has_no_devices() {
        let devices = Devices::default();
        assert!(!devices.knows("x/y"));
        assert!(devices.available("x/y", 1).is_err());
    }
}
