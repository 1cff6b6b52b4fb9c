//! What a container shall be. Nothing here does I/O.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, VolumeMount};
use proto::cri::{
    CdiDevice, ContainerConfig, ContainerMetadata, Device, Image, ImageSpec, KeyValue,
    LinuxContainerConfig, Mount, MountPropagation,
};

use super::devices::Held;
use super::environment::expand;
use super::identity::Identity;
use super::limits::{self, BadQuantity};
use super::{sandbox, security};

/// What the configuration is made from.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) image: &'a Image,
    pub(crate) environment: Vec<KeyValue>,
    pub(crate) held: &'a [Held],
    /// Place on the host of each volume.
    pub(crate) volumes: &'a BTreeMap<String, PathBuf>,
    /// How many times it was made before.
    pub(crate) attempt: u32,
}

/// A container that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("resources of container {0}")]
    Limits(String, #[source] BadQuantity),
    #[error("container {container} mounts volume {volume}, which the pod does not have")]
    NoVolume { container: String, volume: String },
}

/// Name of the log file below the pod's log folder.
pub(crate) fn log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

/// The configuration for CRI.
pub(crate) fn config(inputs: Inputs<'_>) -> Result<ContainerConfig, ConfigError> {
    let Inputs {
        pod,
        container,
        image,
        environment,
        held,
        volumes,
        attempt,
    } = inputs;
    let spec = pod.spec.clone().unwrap_or_default();
    let words = |words: &Option<Vec<String>>| {
        words
            .iter()
            .flatten()
            .map(|word| expand(word, &environment))
            .collect()
    };
    let (command, args) = (words(&container.command), words(&container.args));
    let mut mounts = of_volumes(&spec, container, volumes)?;
    mounts.extend(
        held.iter()
            .flat_map(|held| &held.wants.mounts)
            .map(|mount| Mount {
                container_path: mount.container_path.clone(),
                host_path: mount.host_path.clone(),
                readonly: mount.read_only,
                ..Mount::default()
            }),
    );
    let devices = held
        .iter()
        .flat_map(|held| &held.wants.devices)
        .map(|device| Device {
            container_path: device.container_path.clone(),
            host_path: device.host_path.clone(),
            permissions: device.permissions.clone(),
        });
    let cdi = held
        .iter()
        .flat_map(|held| &held.wants.cdi_devices)
        .map(|device| CdiDevice {
            name: device.name.clone(),
        });
    let mut annotations: HashMap<String, String> = held
        .iter()
        .flat_map(|held| held.wants.annotations.clone())
        .collect();
    annotations.insert(
        "io.kubernetes.container.restartCount".to_owned(),
        attempt.to_string(),
    );
    let mut labels = sandbox::labels(&Identity::of(pod));
    labels.insert(
        "io.kubernetes.container.name".to_owned(),
        container.name.clone(),
    );
    let resources = limits::of_container(container, spec.priority)
        .map_err(|cause| ConfigError::Limits(container.name.clone(), cause))?;
    Ok(ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: container.name.clone(),
            attempt,
        }),
        image: Some(ImageSpec {
            image: image.id.clone(),
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..ImageSpec::default()
        }),
        command,
        args,
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts,
        devices: devices.collect(),
        labels,
        annotations,
        log_path: log_path(&container.name, attempt),
        stdin: container.stdin.unwrap_or_default(),
        stdin_once: container.stdin_once.unwrap_or_default(),
        tty: container.tty.unwrap_or_default(),
        linux: Some(LinuxContainerConfig {
            resources: Some(resources),
            security_context: Some(security::of_container(&spec, container)),
        }),
        cdi_devices: cdi.collect(),
        envs: environment,
    })
}

fn of_volumes(
    spec: &PodSpec,
    container: &Container,
    volumes: &BTreeMap<String, PathBuf>,
) -> Result<Vec<Mount>, ConfigError> {
    let mount = |mount: &VolumeMount| {
        let missing = || ConfigError::NoVolume {
            container: container.name.clone(),
            volume: mount.name.clone(),
        };
        let place = volumes.get(&mount.name).ok_or_else(missing)?;
        let propagation = match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
            Some("Bidirectional") => MountPropagation::PropagationBidirectional,
            _ => MountPropagation::PropagationPrivate,
        };
        Ok(Mount {
            container_path: mount.mount_path.clone(),
            host_path: place.display().to_string(),
            // What the API says is not the pod's to change.
            readonly: mount.read_only.unwrap_or_default() || is_of_api(spec, &mount.name),
            selinux_relabel: false,
            propagation: propagation.into(),
        })
    };
    container
        .volume_mounts
        .iter()
        .flatten()
        .map(mount)
        .collect()
}

fn is_of_api(spec: &PodSpec, name: &str) -> bool {
    let mut volumes = spec.volumes.iter().flatten();
    volumes.any(|volume| {
        volume.name == name && (volume.config_map.is_some() || volume.projected.is_some())
    })
}

#[cfg(test)]
mod tests {
    use proto::deviceplugin::{self, ContainerAllocateResponse, DeviceSpec};
    use serde_json::json;

    use super::*;

    fn made(container: &serde_json::Value, held: &[Held]) -> Result<ContainerConfig, ConfigError> {
        let pod =
            json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": [container]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let image = Image {
            id: "sha256:1".into(),
            ..Image::default()
        };
        let environment = vec![KeyValue {
            key: "PCIDEVICE_A".into(),
            value: "0000:3b:02.0".into(),
        }];
        let volumes = BTreeMap::from([("huge".to_owned(), PathBuf::from("/dev/hugepages"))]);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        config(Inputs {
            pod: &pod,
            container,
            image: &image,
            environment,
            held,
            volumes: &volumes,
            attempt: 1,
        })
    }

    #[test]
    fn what_a_plugin_wants_reaches_the_runtime() {
        let wants = ContainerAllocateResponse {
            devices: vec![DeviceSpec {
                container_path: "/dev/vfio/7".into(),
                host_path: "/dev/vfio/7".into(),
                permissions: "rw".into(),
            }],
            mounts: vec![deviceplugin::Mount {
                container_path: "/c".into(),
                host_path: "/h".into(),
                read_only: true,
            }],
            annotations: HashMap::from([("cdi.k8s.io/x".to_owned(), "a/b=c".to_owned())]),
            cdi_devices: vec![deviceplugin::CdiDevice {
                name: "a/b=c".into(),
            }],
            ..ContainerAllocateResponse::default()
        };
        let held = [Held {
            resource: "a/b".into(),
            ids: vec!["1".into()],
            wants,
        }];
        let config = made(
            &json!({"name": "c", "args": ["-a", "$(PCIDEVICE_A)"]}),
            &held,
        )
        .unwrap();
        assert_eq!(config.devices[0].permissions, "rw");
        assert!(config.mounts[0].readonly);
        assert_eq!(config.annotations["cdi.k8s.io/x"], "a/b=c");
        assert_eq!(config.cdi_devices[0].name, "a/b=c");
        assert_eq!(config.args, ["-a", "0000:3b:02.0"]);
        assert_eq!(config.log_path, "c/1.log");
        assert_eq!(config.labels["io.kubernetes.container.name"], "c");
    }

    #[test]
    fn volumes_are_mounted_where_the_container_wants_them() {
        let mount = json!({"name": "c", "volumeMounts": [{"name": "huge", "mountPath": "/mnt", "readOnly": true}]});
        let config = made(&mount, &[]).unwrap();
        assert_eq!(
            (
                config.mounts[0].host_path.as_str(),
                config.mounts[0].readonly
            ),
            ("/dev/hugepages", true)
        );
        let unknown = json!({"name": "c", "volumeMounts": [{"name": "x", "mountPath": "/mnt"}]});
        let refusal = made(&unknown, &[]).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "container c mounts volume x, which the pod does not have"
        );
    }
}
