//! Objects that an installation brings into a real cluster: the CRD and the rights of multus-daemon, no more than the
//! design lists.

use anyhow::Result;
use serde_json::json;

use super::Client;

/// Creates the `NetworkAttachmentDefinition` CRD and the role of multus-daemon, and waits until the CRD is served.
///
/// # Errors
/// When the server refuses an object or does not serve the CRD in time.
pub async fn install(client: &Client) -> Result<()> {
    client
        .create(&json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
            "spec": {
                "group": "k8s.cni.cncf.io",
                "scope": "Namespaced",
                "names": {
                    "plural": "network-attachment-definitions",
                    "singular": "network-attachment-definition",
                    "kind": "NetworkAttachmentDefinition",
                    "shortNames": ["nad", "net-attach-def"],
                },
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": {"config": {"type": "string"}}}},
                    }},
                }],
            },
        }))
        .await?;
    client
        .create(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "multus"},
            "rules": [
                {"apiGroups": ["k8s.cni.cncf.io"], "resources": ["network-attachment-definitions"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
                {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
            ],
        }))
        .await?;
    client
        .create(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "multus"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "multus"},
            "subjects": [{"kind": "ServiceAccount", "name": "multus", "namespace": "kube-system"}],
        }))
        .await?;
    client.wait_served("network-attachment-definitions").await
}
