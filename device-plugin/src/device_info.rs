//! DeviceInfo files: written at Allocate, removed when no pod holds the device any more
//! (spec/device-plugin.md §4).
//!
//! Only PodResources can tell that a pod is gone, and it shows a pod only some time after Allocate. So
//! a file goes when its device was seen held and is held no more, or when it is old and was never seen
//! held. Without PodResources nothing is removed.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cni::net_attach::device_info::{self, DeviceInfo, DeviceInfoError, Pci, VERSION};

use crate::{config::ResourceName, inventory::Allocated, node::DeviceId};

/// How long a file may wait for its pod to show up.
const PATIENCE: Duration = Duration::from_mins(10);

/// The files of one directory.
#[derive(Debug)]
pub struct DeviceInfoFiles {
    directory: PathBuf,
    /// Whether the device was seen held since the file was written.
    seen: Mutex<BTreeMap<(ResourceName, DeviceId), bool>>,
}

impl DeviceInfoFiles {
    /// Files in `directory`, which is made when it is needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            seen: Mutex::default(),
        }
    }

    /// Writes the file of a device, in place of an older one.
    pub fn write(
        &self,
        resource: &ResourceName,
        id: &DeviceId,
        rdma: &[String],
    ) -> Result<(), DeviceInfoError> {
        let info = DeviceInfo {
            kind: "pci".to_owned(),
            version: VERSION.to_owned(),
            pci: Some(Pci {
                pci_address: id.to_string(),
                rdma_device: rdma.join(","),
                ..Pci::default()
            }),
            ..DeviceInfo::default()
        };
        let (resource_text, id_text) = (resource.to_string(), id.to_string());
        // Before the file is there: `clean` must not take it for the one of the pod that went.
        let mut seen = self.seen();
        device_info::write(
            &device_info::dp_path(&self.directory, &resource_text, &id_text),
            &info,
        )?;
        seen.insert((resource.clone(), id.clone()), false);
        Ok(())
    }

    /// Whether any file of this process waits for its pod to end.
    pub fn is_waiting(&self) -> bool {
        !self.seen().is_empty()
    }

    /// Removes the files of these resources that no pod needs.
    pub fn clean(
        &self,
        resources: &[ResourceName],
        allocated: &Allocated,
    ) -> Result<(), DeviceInfoError> {
        let names = host::file::list(&self.directory).unwrap_or_default();
        for (resource, id, path) in names.iter().filter_map(|name| self.parse(resources, name)) {
            let held = allocated
                .get(&resource.to_string())
                .is_some_and(|ids| ids.contains(&id));
            let key = (resource, id);
            let mut seen = self.seen();
            let was_held = seen.get(&key).copied();
            if held {
                seen.insert(key, true);
            } else if was_held == Some(true) || is_old(&path) {
                device_info::remove(&path)?;
                seen.remove(&key);
            }
        }
        Ok(())
    }

    fn parse(
        &self,
        resources: &[ResourceName],
        name: &str,
    ) -> Option<(ResourceName, DeviceId, PathBuf)> {
        resources.iter().find_map(|resource| {
            let prefix = format!("{resource}-").replace('/', "-");
            let id = name.strip_prefix(&prefix)?.strip_suffix("-device.json")?;
            Some((
                resource.clone(),
                id.parse().ok()?,
                self.directory.join(name),
            ))
        })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ResourceName, DeviceId), bool>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > PATIENCE))
}
