//! What lies on the node's disk for those who start a container with a device: DeviceInfo for CNI plugins
//! and users, CDI for the container runtime.
//!
//! Written before Allocate is answered, kept until no pod holds the device, and written again for a device
//! that a pod holds and whose files are gone, as after a reboot: the kubelet does not ask for a second
//! allocation then.

pub mod cdi;
pub mod device_info;
mod held;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cni::net_attach::device_info::DeviceInfoError;
use tracing::{debug, info};

pub use held::Unkept;

use crate::{
    access::{self, Access, Roots},
    config::ResourceName,
    failure,
    inventory::{Allocated, Listing},
    node::DeviceId,
    plan::Device,
};
use cdi::Cdi;
use device_info::DeviceInfoFiles;

/// Both kinds of files.
#[derive(Debug)]
pub struct Handover {
    /// DeviceInfo.
    pub device_info: DeviceInfoFiles,
    /// CDI.
    pub cdi: Cdi,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum NotGiven {
    /// DeviceInfo.
    #[error("device info of {id}")]
    DeviceInfo {
        /// The device.
        id: DeviceId,
        /// The file and the kernel's words.
        #[source]
        source: DeviceInfoError,
    },
    /// CDI.
    #[error("CDI specification of {id}")]
    Cdi {
        /// The device.
        id: DeviceId,
        /// The file and the kernel's words.
        #[source]
        source: host::error::Error,
    },
}

impl Handover {
    /// Writes the files of a device that a container is about to get, in place of older ones.
    pub fn give(
        &self,
        resource: &ResourceName,
        device: &Device,
        access: &Access,
    ) -> Result<(), Box<NotGiven>> {
        let id = &device.function.id;
        if let Some(info) = device_info::describe(device, access) {
            let written = self.device_info.write(resource, id, &info);
            written.map_err(|source| NotGiven::DeviceInfo {
                id: id.clone(),
                source,
            })?;
        }
        if self.cdi.is_for(device) {
            let written = self.cdi.write(resource, device, &access.nodes);
            written.map_err(|source| NotGiven::Cdi {
                id: id.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Whether any file of this process waits for its pod to end.
    pub fn is_waiting(&self) -> bool {
        self.device_info.files.is_waiting() || self.cdi.files.is_waiting()
    }

    /// Removes the files of these resources that no pod needs. Gives the devices that pods hold and of which
    /// this process did not know it: their files may be missing.
    pub fn clean(
        &self,
        resources: &[ResourceName],
        allocated: &Allocated,
    ) -> Result<Vec<(ResourceName, DeviceId)>, Unkept> {
        self.cdi.files.clean(resources, allocated)?;
        self.device_info.files.clean(resources, allocated)
    }

    /// Writes the files of held devices that lack them.
    pub fn restore(
        &self,
        roots: &Roots,
        listings: &BTreeMap<ResourceName, Listing>,
        held: &[(ResourceName, DeviceId)],
    ) {
        for (resource, id) in held {
            let listed = listings.get(resource).and_then(|listing| listing.get(id));
            let device = listed
                .filter(|listed| listed.unwell.is_none())
                .and_then(|listed| listed.device.as_ref());
            let Some(device) = device.filter(|device| self.lacks(resource, device)) else {
                continue;
            };
            let again = access::access(roots, device)
                .map_err(|error| failure::chain(&error))
                .and_then(|access| {
                    let given = self.give(resource, device, &access);
                    given.map_err(|error| failure::chain(&*error))
                });
            match again {
                Ok(()) => info!(%resource, device = %id, "files of a held device written again"),
                Err(error) => debug!(%resource, error, "files of a held device stay missing"),
            }
        }
    }

    fn lacks(&self, resource: &ResourceName, device: &Device) -> bool {
        let id = &device.function.id;
        !self.device_info.files.exists(resource, id)
            || (self.cdi.is_for(device) && !self.cdi.files.exists(resource, id))
    }
}
