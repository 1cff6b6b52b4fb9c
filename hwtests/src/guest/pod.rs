//! Pods and networks as an application developer writes them.

use serde_json::{Map, Value, json};

/// Annotation that asks for networks.
pub const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
/// Annotation in which multus answers.
pub const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";
/// Annotation of a NAD that names its device pool.
pub const RESOURCE_NAME: &str = "k8s.v1.cni.cncf.io/resourceName";

/// A pod of one container in namespace `default`, bound to the node.
#[derive(Debug, Clone)]
pub struct PodSpec {
    name: String,
    annotations: Map<String, Value>,
    resources: Map<String, Value>,
    image: String,
    security: Value,
    pod_security: Value,
    hugepages: bool,
}

impl PodSpec {
    /// A pod of the lab's busybox image that sleeps.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            annotations: Map::new(),
            resources: Map::new(),
            image: "lab.local/busybox:1".to_owned(),
            security: json!({}),
            pod_security: json!({}),
            hugepages: false,
        }
    }

    /// Asks for networks, in either form of the annotation.
    #[must_use]
    pub fn networks(mut self, networks: &str) -> Self {
        self.annotations
            .insert(NETWORKS.to_owned(), json!(networks));
        self
    }

    /// Requests devices of a pool.
    #[must_use]
    pub fn devices(mut self, resource: &str, count: usize) -> Self {
        self.resources
            .insert(resource.to_owned(), json!(count.to_string()));
        self
    }

    /// Runs the DPDK image: root in the container, `IPC_LOCK` its only capability, hugepages of the node (which the
    /// kubelet grants only to those who request them).
    #[must_use]
    pub fn dpdk(mut self) -> Self {
        for (resource, amount) in [("hugepages-2Mi", "400Mi"), ("memory", "512Mi")] {
            self.resources.insert(resource.to_owned(), json!(amount));
        }
        "lab.local/dpdk:1".clone_into(&mut self.image);
        self.security = json!({
            "runAsUser": 0,
            "capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]},
            "allowPrivilegeEscalation": false,
        });
        self.hugepages = true;
        self
    }

    /// Runs as user 1000, not root, without any capability, as the manual's pod does.
    #[must_use]
    pub fn restricted(mut self) -> Self {
        self.pod_security = json!({"runAsUser": 1000, "runAsNonRoot": true});
        self.security = json!({
            "capabilities": {"drop": ["ALL"]},
            "allowPrivilegeEscalation": false,
        });
        self
    }

    /// The manifest.
    pub fn manifest(&self, node: &str) -> Value {
        let mut container = json!({
            "name": "main",
            "image": self.image,
            "imagePullPolicy": "Never",
            "command": ["/bin/sleep", "2147483647"],
            "resources": {"requests": self.resources, "limits": self.resources},
            "securityContext": self.security,
        });
        let mut volumes = json!([]);
        if self.hugepages {
            container["volumeMounts"] =
                json!([{"name": "hugepages", "mountPath": "/dev/hugepages"}]);
            volumes = json!([{"name": "hugepages", "hostPath": {"path": "/dev/hugepages", "type": "Directory"}}]);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": "default", "annotations": self.annotations},
            "spec": {
                "nodeName": node,
                "restartPolicy": "Never",
                "dnsPolicy": "Default",
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": self.pod_security,
                "containers": [container],
                "volumes": volumes,
            },
        })
    }

    /// Name of the pod.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A `NetworkAttachmentDefinition` in namespace `default`; `config` is the text of `spec.config`.
pub fn network(name: &str, resource: Option<&str>, config: &str) -> Value {
    let mut annotations = Map::new();
    if let Some(resource) = resource {
        annotations.insert(RESOURCE_NAME.to_owned(), json!(resource));
    }
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"config": config},
    })
}
