//! The device manager's checkpoint file, for kubelets without PodResources (spec/multus.md §3).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use multus_plugin::wire::PodRef;
use serde::Deserialize;

use crate::known::Allocation;

/// The part of the file that is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Checkpoint {
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    pod_device_entries: Option<Vec<Entry>>,
    #[serde(default)]
    registered_devices: Option<BTreeMap<String, Option<Vec<String>>>>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "PodUID", default)]
    pod_uid: String,
    #[serde(rename = "ContainerName", default)]
    container_name: String,
    #[serde(rename = "ResourceName", default)]
    resource_name: String,
    /// By NUMA node.
    #[serde(rename = "DeviceIDs", default)]
    device_ids: Option<BTreeMap<String, Vec<String>>>,
}

/// Reads the file. The error names it.
pub(super) fn read(path: &Path) -> Result<Checkpoint, String> {
    let bytes = host::file::read(path).map_err(|error| cni::error::chain(&error))?;
    parse(&bytes.unwrap_or_default()).map_err(|error| format!("parse {}: {error}", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Checkpoint, serde_json::Error> {
    serde_json::from_slice(bytes)
}

impl Checkpoint {
    /// Devices of the pod, by UID: the file has no pod names. Containers come in the order of the
    /// file, which is not that of the pod; kubelets this old do not tell better.
    pub(super) fn allocation(&self, pod: &PodRef) -> Allocation {
        let entries = self.data.pod_device_entries.as_deref().unwrap_or_default();
        let mut allocation = Allocation::default();
        let mut managed = BTreeSet::new();
        for entry in entries {
            let ids = entry.device_ids.iter().flatten().flat_map(|(_, ids)| ids);
            managed.extend(ids.cloned());
        }
        let own: Vec<&Entry> = entries
            .iter()
            .filter(|e| Some(e.pod_uid.as_str()) == pod.uid.as_deref())
            .collect();
        let mut containers: Vec<&str> = Vec::new();
        for entry in &own {
            if !containers.contains(&entry.container_name.as_str()) {
                containers.push(&entry.container_name);
            }
        }
        for container in containers {
            for entry in own.iter().filter(|e| e.container_name == container) {
                let ids = entry.device_ids.iter().flatten().flat_map(|(_, ids)| ids);
                allocation.add_container(&entry.resource_name, ids.cloned());
            }
        }
        let registered = self.data.registered_devices.iter().flatten();
        managed.extend(registered.flat_map(|(_, ids)| ids.iter().flatten().cloned()));
        allocation.managed = Some(managed);
        allocation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"Data":{"PodDeviceEntries":[
        {"PodUID":"u1","ContainerName":"a","ResourceName":"r","DeviceIDs":{"0":["02.3"],"1":["02.1"]},"AllocResp":"x"},
        {"PodUID":"u2","ContainerName":"a","ResourceName":"r","DeviceIDs":{"-1":["03.0"]},"AllocResp":null},
        {"PodUID":"u1","ContainerName":"b","ResourceName":"r","DeviceIDs":{"0":["02.0"]}},
        {"PodUID":"u3","ContainerName":"b","ResourceName":"r","DeviceIDs":null}],
        "RegisteredDevices":{"r":["02.0","02.1","02.3","03.0","03.1"],"s":null}},"Checksum":1}"#;

    fn pod(uid: &str) -> PodRef {
        PodRef {
            namespace: "d".into(),
            name: "p".into(),
            uid: Some(uid.into()),
        }
    }

    #[test]
    fn the_checkpoint_is_matched_on_the_pods_uid() {
        let checkpoint = parse(FILE.as_bytes()).unwrap();
        let allocation = checkpoint.allocation(&pod("u1"));
        assert_eq!(allocation.pod["r"], ["02.1", "02.3", "02.0"]);
        assert!(allocation.managed.unwrap().contains("03.1"));
        assert!(checkpoint.allocation(&pod("u3")).pod["r"].is_empty());
        assert!(checkpoint.allocation(&pod("other")).pod.is_empty());
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubelet_internal_checkpoint");
        host::file::write(
            &path,
            b"{\"Data\":7}",
            0o600,
            host::file::Durability::Process,
        )
        .unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.contains("kubelet_internal_checkpoint"), "{error}");
    }
}
