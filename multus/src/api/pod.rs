//! Pods, trimmed to what planning and reporting read.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ListParams};
use kube::core::ObjectMeta;
use kube::{Client, Error, Resource};
use serde::{Deserialize, Serialize};

use cni::net_attach::{DEFAULT_NETWORK_ANNOTATION, NETWORKS_ANNOTATION, STATUS_ANNOTATION};

/// Says where the kubelet has a pod from; a value other than `api` means a static pod, whose UID in
/// the API is not the one that the runtime knows.
pub const CONFIG_SOURCE_ANNOTATION: &str = "kubernetes.io/config.source";

const KEPT_ANNOTATIONS: [&str; 4] = [
    NETWORKS_ANNOTATION,
    DEFAULT_NETWORK_ANNOTATION,
    STATUS_ANNOTATION,
    CONFIG_SOURCE_ANNOTATION,
];

/// A pod. Keys that are not listed here are never even allocated.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pod {
    /// Name, namespace, UID and [`trim`]med annotations.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<PodSpec>,
    /// What there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PodStatus>,
}

/// Part of a pod's spec.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The pod has no network of its own, so no plugin is ever called for it.
    #[serde(default)]
    pub host_network: Option<bool>,
    /// The node it runs on; not kept, because only pods of one node are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Claims of devices (DRA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_claims: Option<Box<[PodClaim]>>,
}

/// A claim as the pod names it: one that exists, or else one made for the pod from a template.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodClaim {
    /// Its name within the pod.
    #[serde(default)]
    pub name: String,
    /// The claim; in a status: the one that was made, absent if none had to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_claim_name: Option<String>,
}

/// The claim that was made for extended resources of containers (KEP-5004).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtendedClaim {
    /// Which request stands for which resource of which container.
    pub request_mappings: Vec<RequestMapping>,
    /// The claim.
    pub resource_claim_name: String,
}

/// One extended resource of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestMapping {
    /// The container.
    pub container_name: String,
    /// The extended resource.
    pub resource_name: String,
    /// Name of the request in the claim.
    pub request_name: String,
}

/// Part of a pod's status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PodStatus {
    /// Addresses of the default network, as the kubelet had them from the runtime.
    #[serde(default, rename = "podIPs")]
    pub pod_ips: Option<Vec<PodIp>>,
    /// Claims made from templates.
    #[serde(
        default,
        rename = "resourceClaimStatuses",
        skip_serializing_if = "Option::is_none"
    )]
    pub resource_claim_statuses: Option<Box<[PodClaim]>>,
    /// The claim of the extended resources.
    #[serde(
        default,
        rename = "extendedResourceClaimStatus",
        skip_serializing_if = "Option::is_none"
    )]
    pub extended_resource_claim_status: Option<Box<ExtendedClaim>>,
}

/// An address of a pod.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PodIp {
    /// Without prefix length.
    #[serde(default)]
    pub ip: Option<String>,
}

impl Pod {
    /// Value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata
            .annotations
            .as_ref()?
            .get(key)
            .map(String::as_str)
    }

    /// Made from a file or URL of the kubelet, not through the API.
    pub fn is_static(&self) -> bool {
        self.annotation(CONFIG_SOURCE_ANNOTATION)
            .is_some_and(|source| source != "api")
    }

    /// The addresses the kubelet reported.
    pub fn ips(&self) -> impl Iterator<Item = &str> {
        let ips = self.status.as_ref().and_then(|s| s.pod_ips.as_deref());
        ips.unwrap_or_default()
            .iter()
            .filter_map(|ip| ip.ip.as_deref())
            .filter(|ip| !ip.is_empty())
    }

    /// Uses the node's network.
    pub fn on_host_network(&self) -> bool {
        self.spec
            .as_ref()
            .is_some_and(|s| s.host_network == Some(true))
    }
}

/// The pod of that name as it is now. A list of one: the daemon has the right to list pods and no right
/// to get them (design §2 "Rights").
pub async fn find(client: &Client, namespace: &str, name: &str) -> Result<Option<Pod>, Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let one = ListParams::default().fields(&format!("metadata.name={name}"));
    Ok(api.list(&one).await?.items.into_iter().next())
}

/// Drops everything that is not read later.
pub fn trim(pod: &mut Pod) {
    let meta = std::mem::take(&mut pod.metadata);
    let annotations = meta.annotations.map(|all| {
        all.into_iter()
            .filter(|(key, _)| KEPT_ANNOTATIONS.contains(&key.as_str()))
            .collect()
    });
    if let Some(spec) = &mut pod.spec {
        spec.node_name = None;
    }
    pod.metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        resource_version: meta.resource_version,
        annotations,
        ..ObjectMeta::default()
    };
}

impl Resource for Pod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: &str) -> Pod {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn row_63_trimming_keeps_only_what_is_read() {
        let mut pod = pod(
            r#"{"metadata":{"name":"p","namespace":"d","uid":"u","labels":{"a":"b"},
                "managedFields":[{"manager":"x"}],
                "annotations":{"k8s.v1.cni.cncf.io/networks":"a","other":"x"}},
                "spec":{"containers":[{"name":"c"}],"hostNetwork":true},
                "status":{"podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}}"#,
        );
        trim(&mut pod);
        assert_eq!(pod.annotation(NETWORKS_ANNOTATION), Some("a"));
        assert_eq!(pod.annotation("other"), None);
        assert!(pod.metadata.labels.is_none() && pod.metadata.managed_fields.is_none());
        assert!(pod.on_host_network());
        assert_eq!(pod.ips().collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
    }

    #[test]
    fn a_pod_from_a_file_is_static_and_one_from_the_api_is_not() {
        let of = |source: &str| {
            pod(&format!(
                r#"{{"metadata":{{"annotations":{{"kubernetes.io/config.source":"{source}"}}}}}}"#
            ))
        };
        assert!(of("file").is_static());
        assert!(!of("api").is_static());
        assert!(!pod(r#"{"metadata":{}}"#).is_static());
    }
}
