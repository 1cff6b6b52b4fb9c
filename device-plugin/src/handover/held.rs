//! Files that live as long as a pod holds a device.
//!
//! Only PodResources can tell that a pod is gone, and it shows a pod only some time after Allocate. So
//! a file goes when its device was seen held and is held no more, or when it is old and was never seen
//! held. Without PodResources nothing is removed.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use host::{error::Error, file};
use tracing::{debug, info};

use crate::{config::ResourceName, failure, inventory::Allocated, node::DeviceId};

/// How long a file may wait for its pod to show up.
const PATIENCE: Duration = Duration::from_mins(10);

/// A device of a resource.
type Key = (ResourceName, DeviceId);

/// A stale file that could not be removed.
pub type Unkept = Error;

/// The files of one directory: `<prefix><resource>-<id><suffix>`, with `-` for every `/`.
#[derive(Debug)]
pub struct HeldFiles {
    directory: PathBuf,
    prefix: &'static str,
    suffix: &'static str,
    /// All files of this form are ours, also those of resources that are not configured any more.
    exclusive: bool,
    /// Whether the device was seen held since the file was written.
    seen: Mutex<BTreeMap<Key, bool>>,
}

impl HeldFiles {
    /// Files in `directory`, which need not exist.
    pub(super) fn new(
        directory: impl Into<PathBuf>,
        (prefix, suffix): (&'static str, &'static str),
        exclusive: bool,
    ) -> Self {
        Self {
            directory: directory.into(),
            prefix,
            suffix,
            exclusive,
            seen: Mutex::default(),
        }
    }

    /// The file of a device.
    pub fn path(&self, resource: &ResourceName, id: &DeviceId) -> PathBuf {
        let name = format!("{}{resource}-{id}{}", self.prefix, self.suffix);
        self.directory.join(name.replace('/', "-"))
    }

    /// Whether a device has its file.
    pub fn exists(&self, resource: &ResourceName, id: &DeviceId) -> bool {
        self.path(resource, id).exists()
    }

    /// Has a device's file written, which from now on waits for its pod.
    pub(super) fn write<E>(
        &self,
        resource: &ResourceName,
        id: &DeviceId,
        put: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        self.admit();
        // Before the file is there: `clean` must not take it for the one of the pod that went.
        let mut seen = self.seen();
        put(&self.path(resource, id))?;
        seen.insert((resource.clone(), id.clone()), false);
        Ok(())
    }

    /// Whether any file of this process waits for its pod to end.
    pub fn is_waiting(&self) -> bool {
        !self.seen().is_empty()
    }

    /// Removes the files of these resources that no pod needs. Gives the devices that pods hold and of which
    /// this process did not know it.
    pub fn clean(
        &self,
        resources: &[ResourceName],
        allocated: &Allocated,
    ) -> Result<Vec<Key>, Unkept> {
        let is_held = |(resource, id): &Key| {
            let held = allocated.get(&resource.to_string());
            held.is_some_and(|ids| ids.contains(id))
        };
        for name in file::list(&self.directory).unwrap_or_default() {
            match self.key(resources, &name) {
                Some(key) => {
                    let mut seen = self.seen();
                    let was_held = seen.get(&key).copied();
                    let path = self.directory.join(&name);
                    if !is_held(&key) && (was_held == Some(true) || is_old(&path)) {
                        file::remove(&path)?;
                        seen.remove(&key);
                    }
                }
                None => self.clean_orphan(&name, allocated)?,
            }
        }
        let mut seen = self.seen();
        // Without a file there is nothing left to wait for.
        seen.retain(|key, was_held| !*was_held || is_held(key));
        let mut news = Vec::new();
        for resource in resources {
            for id in allocated.get(&resource.to_string()).into_iter().flatten() {
                let key = (resource.clone(), id.clone());
                if seen.insert(key.clone(), true).is_none() {
                    news.push(key);
                }
            }
        }
        Ok(news)
    }

    /// The Go plugin makes the directory with mode 0: a process without capabilities, as in our container, could neither
    /// read nor write there.
    pub fn admit(&self) {
        match file::admit_owner(&self.directory) {
            Ok(true) => info!(
                directory = %self.directory.display(),
                "another program had made it without permissions: its owner may enter now"
            ),
            Ok(false) => {}
            // What is done there next fails and says why.
            Err(error) => debug!(error = %failure::chain(&error), "look at the directory of files"),
        }
    }

    /// A file of a resource that is not configured any more goes when nobody at all holds the device.
    fn clean_orphan(&self, name: &str, allocated: &Allocated) -> Result<(), Unkept> {
        let middle = name.strip_prefix(self.prefix);
        let middle = middle.and_then(|rest| rest.strip_suffix(self.suffix));
        let id: Option<DeviceId> =
            middle.and_then(|middle| middle.rsplit_once('-')?.1.parse().ok());
        let path = self.directory.join(name);
        if let Some(id) = id
            && self.exclusive
            && !allocated.values().any(|ids| ids.contains(&id))
            && is_old(&path)
        {
            file::remove(&path)?;
        }
        Ok(())
    }

    fn key(&self, resources: &[ResourceName], name: &str) -> Option<Key> {
        resources.iter().find_map(|resource| {
            let prefix = format!("{}{resource}-", self.prefix).replace('/', "-");
            let id = name.strip_prefix(&prefix)?.strip_suffix(self.suffix)?;
            Some((resource.clone(), id.parse().ok()?))
        })
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<Key, bool>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > PATIENCE))
}
