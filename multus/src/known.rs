//! What the planner knows about the world, and what it can ask for.
//!
//! [`crate::plan::plan`] does no I/O: it answers either with a plan or with a list of [`Need`]s. The
//! edge ([`crate::sources`]) looks them up, adds them to [`Known`], and asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cni::config::NetworkList;
use serde::{Deserialize, Serialize};

use crate::dra::Claims;
use crate::namespaces::NamespaceFacts;

/// Name of a NAD.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NadKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for NadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What planning reads of a NAD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nad {
    /// `spec.config`: JSON text; empty: look in `confDir`.
    pub config: String,
    /// Value of [`cni::net_attach::RESOURCE_ANNOTATION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

/// Result of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// There it is.
    Here(T),
    /// There is certainly none.
    Missing,
    /// It could not be found out; the text says why.
    Unknown(String),
}

/// Something to look up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What the pod's namespace gives to its pods.
    Namespace(String),
    /// A NAD.
    Nad(NadKey),
    /// The network of that name in `confDir`.
    Named(String),
    /// The network in that file, or in the first file of that directory.
    At(String),
    /// The PCI function that a plugin would take by other words than its address.
    Function(Naming),
    /// The devices that the kubelet gave to the pod. With `others`, also which devices it gave to
    /// others or could give.
    Devices {
        /// All devices of the node are wanted, not only the pod's.
        others: bool,
    },
    /// The devices of the pod's claims. With `others`, also everything that drivers publish on the node.
    Claims {
        /// As in [`Need::Devices`].
        others: bool,
    },
}

/// An interface of the host, as a plugin's configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// By its name.
    Interface(String),
    /// By its hardware address.
    HardwareAddress(String),
    /// By a path below `/sys`.
    Path(String),
}

/// Everything that was looked up so far.
#[derive(Debug, Default)]
pub struct Known {
    /// The pod's namespace.
    pub namespace: Option<Found<NamespaceFacts>>,
    /// By name.
    pub nads: BTreeMap<NadKey, Found<Nad>>,
    /// By network name, in `confDir`.
    pub named: BTreeMap<String, Found<NetworkList>>,
    /// By path.
    pub at: BTreeMap<String, Found<NetworkList>>,
    /// PCI addresses of named interfaces; `None` where there is no such interface, or no PCI function behind it.
    pub functions: BTreeMap<Naming, Option<String>>,
    /// Devices, once asked for.
    pub devices: Option<Found<Allocation>>,
    /// Claims, once asked for.
    pub claims: Option<Found<Claims>>,
}

/// Devices of a pod and of the node, as the kubelet tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Devices of the pod by resource: sorted within a container, containers in their order
    /// (spec/multus.md §3, worked example C2).
    pub pod: BTreeMap<String, Vec<String>>,
    /// All device ids that the kubelet manages, when they were asked for.
    pub managed: Option<BTreeSet<String>>,
}

impl Allocation {
    /// Appends the devices of one container, sorted.
    pub fn add_container(&mut self, resource: &str, ids: impl IntoIterator<Item = String>) {
        let mut ids: Vec<String> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        self.pod
            .entry(resource.to_owned())
            .or_default()
            .append(&mut ids);
    }

    /// The kubelet gave this device to the pod.
    pub fn holds(&self, id: &str) -> bool {
        self.pod.values().flatten().any(|own| own == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_35_devices_are_sorted_within_a_container_and_containers_keep_their_order() {
        let mut allocation = Allocation::default();
        allocation.add_container("r", ["02.3", "02.1"].map(String::from));
        allocation.add_container("r", ["02.7", "02.0"].map(String::from));
        assert_eq!(allocation.pod["r"], ["02.1", "02.3", "02.0", "02.7"]);
        assert!(allocation.holds("02.7") && !allocation.holds("02.2"));
    }
}
