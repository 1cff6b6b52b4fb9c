//! What a pod's sandbox shall be. Nothing here does I/O.

use std::collections::HashMap;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use proto::cri::{DnsConfig, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata};

use super::identity::Identity;
use super::runtime::POD_UID;
use super::security;

/// The labels that name a pod on its sandbox and its containers.
pub(crate) fn labels(pod: &Identity) -> HashMap<String, String> {
    HashMap::from([
        ("io.kubernetes.pod.name".to_owned(), pod.name.clone()),
        (
            "io.kubernetes.pod.namespace".to_owned(),
            pod.namespace.clone(),
        ),
        (POD_UID.to_owned(), pod.uid.clone()),
    ])
}

/// The configuration of the sandbox made at the `attempt`th time, from 0.
pub(crate) fn config(pod: &Pod, attempt: u32, logs: &Path) -> PodSandboxConfig {
    let identity = Identity::of(pod);
    let spec = pod.spec.clone().unwrap_or_default();
    let mut marks: HashMap<String, String> = pod
        .metadata
        .labels
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    marks.extend(labels(&identity));
    let mut annotations: HashMap<String, String> = pod
        .metadata
        .annotations
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    // The runtime knows a static pod by the kubelet's UID for it; the API server's copy of the pod has another.
    let uid = annotations.get("kubernetes.io/config.mirror").cloned();
    if uid.is_none() {
        annotations.insert("kubernetes.io/config.source".to_owned(), "api".to_owned());
    }
    let shares_network = spec.host_network == Some(true);
    let hostname = spec
        .hostname
        .clone()
        .unwrap_or_else(|| identity.name.clone());
    let sysctls = spec
        .security_context
        .as_ref()
        .and_then(|context| context.sysctls.clone())
        .unwrap_or_default();
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: identity.name.clone(),
            uid: uid.unwrap_or_else(|| identity.uid.clone()),
            namespace: identity.namespace.clone(),
            attempt,
        }),
        // A sandbox in the node's network has the node's name; 63 is what the kernel's users can rely on.
        hostname: if shares_network {
            String::new()
        } else {
            hostname.chars().take(63).collect()
        },
        log_directory: logs.display().to_string(),
        dns_config: Some(DnsConfig::default()),
        port_mappings: Vec::new(),
        labels: marks,
        annotations,
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: String::new(),
            security_context: Some(security::of_sandbox(&spec)),
            sysctls: sysctls
                .into_iter()
                .map(|sysctl| (sysctl.name, sysctl.value))
                .collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: &serde_json::Value) -> Pod {
        let pod = json!({
            "metadata": {
                "name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x"},
                "annotations": {"k8s.v1.cni.cncf.io/networks": "net"},
            },
            "spec": spec,
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_sandbox_is_named_after_its_pod_and_has_its_annotations() {
        let config = config(&pod(&json!({"containers": []})), 3, Path::new("/logs"));
        assert_eq!(config.metadata.unwrap().attempt, 3);
        assert_eq!(config.hostname, "p");
        assert_eq!(config.labels["io.kubernetes.pod.uid"], "u");
        assert_eq!(config.labels["app"], "x");
        assert_eq!(config.annotations["k8s.v1.cni.cncf.io/networks"], "net");
    }

    #[test]
    fn a_static_pod_has_the_kubelets_uid_at_the_runtime() {
        let mut pod = pod(&json!({"containers": []}));
        let annotations = pod.metadata.annotations.get_or_insert_default();
        for (key, value) in [("mirror", "0123abcd"), ("source", "file")] {
            annotations.insert(format!("kubernetes.io/config.{key}"), value.to_owned());
        }
        let config = config(&pod, 0, Path::new("/logs"));
        assert_eq!(config.metadata.unwrap().uid, "0123abcd");
        assert_eq!(config.labels["io.kubernetes.pod.uid"], "u");
        assert_eq!(config.annotations["kubernetes.io/config.source"], "file");
    }

    #[test]
    fn a_pod_in_the_network_of_the_node_has_no_name_of_its_own() {
        let config = config(
            &pod(&json!({"containers": [], "hostNetwork": true})),
            0,
            Path::new("/logs"),
        );
        assert_eq!(config.hostname, "");
        let namespaces = config
            .linux
            .unwrap()
            .security_context
            .unwrap()
            .namespace_options
            .unwrap();
        assert_eq!(namespaces.network(), proto::cri::NamespaceMode::Node);
    }
}
