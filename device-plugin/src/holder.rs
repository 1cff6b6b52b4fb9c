//! Who holds a device, as the kubelet tells.

use std::fmt;

use serde::Serialize;

use crate::{inventory::Allocated, node::DeviceId};

/// A container that holds devices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
}

/// A device that a container holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holding {
    /// The resource that was requested.
    pub resource: String,
    /// The device.
    pub id: DeviceId,
    /// Who has it.
    pub holder: Holder,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "pod {}/{} (container {})",
            self.namespace, self.pod, self.container
        )
    }
}

/// The same by resource, without who. A resource whose devices are not ours has an empty set.
pub fn allocated(holdings: &[Holding]) -> Allocated {
    let mut allocated = Allocated::new();
    for holding in holdings {
        let devices = allocated.entry(holding.resource.clone()).or_default();
        devices.insert(holding.id.clone());
    }
    allocated
}
