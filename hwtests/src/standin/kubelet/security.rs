//! Users, capabilities and confinement: from a pod's security contexts to CRI's. Nothing here does I/O.

use k8s_openapi::api::core::v1::{
    Container, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext,
};
use proto::cri::security_profile::ProfileType;
use proto::cri::{
    Capability, Image, Int64Value, LinuxContainerSecurityContext, LinuxSandboxSecurityContext,
    NamespaceMode, NamespaceOption, SecurityProfile,
};

/// What an unprivileged container must not see of /proc and /sys (the kubelet's `Default` proc mount).
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A pod that says it does not run as root, but would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RootRefused {
    #[error("container has runAsNonRoot and image will run as root (container: {0})")]
    ImageIsRoot(String),
    #[error("container's runAsUser breaks non-root policy (container: {0})")]
    UserIsRoot(String),
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (container: {container})"
    )]
    UserByName { container: String, user: String },
}

/// The sandbox's side.
pub(crate) fn of_sandbox(spec: &PodSpec) -> LinuxSandboxSecurityContext {
    let pod = spec.security_context.clone().unwrap_or_default();
    LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec)),
        run_as_user: number(pod.run_as_user),
        run_as_group: number(pod.run_as_group),
        readonly_rootfs: false,
        supplemental_groups: groups(&pod),
        privileged: spec.containers.iter().any(is_privileged),
        seccomp: Some(seccomp(pod.seccomp_profile.as_ref())),
        apparmor: None,
    }
}

/// A container's side; its own words go before the pod's.
pub(crate) fn of_container(spec: &PodSpec, container: &Container) -> LinuxContainerSecurityContext {
    let pod = spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let privileged = is_privileged(container);
    let paths = |list: &[&str]| {
        list.iter()
            .filter(|_| !privileged)
            .map(|path| (*path).to_owned())
            .collect()
    };
    let capabilities = own.capabilities.clone().unwrap_or_default();
    LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: capabilities.add.unwrap_or_default(),
            drop_capabilities: capabilities.drop.unwrap_or_default(),
            add_ambient_capabilities: Vec::new(),
        }),
        privileged,
        namespace_options: Some(namespaces(spec)),
        run_as_user: number(own.run_as_user.or(pod.run_as_user)),
        run_as_group: number(own.run_as_group.or(pod.run_as_group)),
        run_as_username: String::new(),
        readonly_rootfs: own.read_only_root_filesystem.unwrap_or_default(),
        supplemental_groups: groups(&pod),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        masked_paths: paths(MASKED),
        readonly_paths: paths(READONLY),
        seccomp: Some(seccomp(
            own.seccomp_profile
                .as_ref()
                .or(pod.seccomp_profile.as_ref()),
        )),
        apparmor: None,
    }
}

/// Holds a container to `runAsNonRoot`.
pub(crate) fn check_non_root(
    spec: &PodSpec,
    container: &Container,
    image: &Image,
) -> Result<(), RootRefused> {
    let pod = spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    if !own
        .run_as_non_root
        .or(pod.run_as_non_root)
        .unwrap_or_default()
    {
        return Ok(());
    }
    let name = || container.name.clone();
    match (
        own.run_as_user.or(pod.run_as_user),
        image.uid.as_ref().map(|uid| uid.value),
    ) {
        (Some(0), _) => Err(RootRefused::UserIsRoot(name())),
        (None, Some(0)) => Err(RootRefused::ImageIsRoot(name())),
        (None, None) if image.username.is_empty() => Err(RootRefused::ImageIsRoot(name())),
        (None, None) => Err(RootRefused::UserByName {
            container: name(),
            user: image.username.clone(),
        }),
        (Some(_), _) | (None, Some(_)) => Ok(()),
    }
}

fn is_privileged(container: &Container) -> bool {
    let own: Option<&SecurityContext> = container.security_context.as_ref();
    own.and_then(|own| own.privileged).unwrap_or_default()
}

fn namespaces(spec: &PodSpec) -> NamespaceOption {
    let choose = |of_node: Option<bool>, otherwise| {
        if of_node == Some(true) {
            NamespaceMode::Node
        } else {
            otherwise
        }
    };
    let own_process_tree = if spec.share_process_namespace == Some(true) {
        NamespaceMode::Pod
    } else {
        NamespaceMode::Container
    };
    NamespaceOption {
        network: choose(spec.host_network, NamespaceMode::Pod).into(),
        pid: choose(spec.host_pid, own_process_tree).into(),
        ipc: choose(spec.host_ipc, NamespaceMode::Pod).into(),
        ..NamespaceOption::default()
    }
}

fn groups(pod: &PodSecurityContext) -> Vec<i64> {
    pod.fs_group
        .into_iter()
        .chain(pod.supplemental_groups.iter().flatten().copied())
        .collect()
}

fn number(value: Option<i64>) -> Option<Int64Value> {
    value.map(|value| Int64Value { value })
}

/// Without a profile a container is unconfined: the kubelet's default.
fn seccomp(profile: Option<&SeccompProfile>) -> SecurityProfile {
    let kind = match profile.map(|profile| profile.type_.as_str()) {
        Some("RuntimeDefault") => ProfileType::RuntimeDefault,
        Some("Localhost") => ProfileType::Localhost,
        _ => ProfileType::Unconfined,
    };
    let reference = profile
        .and_then(|profile| profile.localhost_profile.clone())
        .unwrap_or_default();
    SecurityProfile {
        profile_type: kind.into(),
        localhost_ref: reference,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(pod: &Value, container: &Value) -> PodSpec {
        let container = json!({"name": "c", "image": "i", "securityContext": container});
        serde_json::from_value(json!({"securityContext": pod, "containers": [container]})).unwrap()
    }

    fn context(pod_level: &Value, container: &Value) -> LinuxContainerSecurityContext {
        let spec = pod(pod_level, container);
        of_container(&spec, &spec.containers[0])
    }

    #[test]
    fn a_container_overrides_its_pod() {
        let context = context(
            &json!({"runAsUser": 1000, "fsGroup": 7, "supplementalGroups": [8]}),
            &json!({"runAsUser": 0}),
        );
        assert_eq!(context.run_as_user, Some(Int64Value { value: 0 }));
        assert_eq!(context.supplemental_groups, [7, 8]);
        assert!(context.masked_paths.contains(&"/proc/kcore".to_owned()));
    }

    #[test]
    fn the_only_capability_is_kept() {
        let asked = json!({"capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]}, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true});
        let context = context(&json!({}), &asked);
        let capabilities = context.capabilities.unwrap();
        assert_eq!(capabilities.drop_capabilities, ["ALL"]);
        assert_eq!(capabilities.add_capabilities, ["IPC_LOCK"]);
        assert!(context.no_new_privs && context.readonly_rootfs && !context.privileged);
    }

    #[test]
    fn a_promise_not_to_run_as_root_is_held() {
        let image = |uid: Option<i64>, username: &str| Image {
            uid: uid.map(|value| Int64Value { value }),
            username: username.to_owned(),
            ..Image::default()
        };
        let check = |user: Value, image: &Image| {
            let spec = pod(
                &json!({"runAsNonRoot": true, "runAsUser": user}),
                &json!({}),
            );
            check_non_root(&spec, &spec.containers[0], image)
        };
        assert!(check(json!(1000), &image(Some(0), "")).is_ok());
        assert!(check(Value::Null, &image(Some(5), "")).is_ok());
        assert_eq!(
            check(json!(0), &image(None, "")),
            Err(RootRefused::UserIsRoot("c".into()))
        );
        assert_eq!(
            check(Value::Null, &image(None, "")),
            Err(RootRefused::ImageIsRoot("c".into()))
        );
        assert!(matches!(
            check(Value::Null, &image(None, "www")),
            Err(RootRefused::UserByName { .. })
        ));
    }
}
