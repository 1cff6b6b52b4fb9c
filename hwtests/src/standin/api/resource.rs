//! The kinds of object that are served, as one table.

/// A served kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// core/v1 Namespace.
    Namespaces,
    /// core/v1 Node.
    Nodes,
    /// core/v1 Pod.
    Pods,
    /// core/v1 Event, also served as events.k8s.io/v1.
    Events,
    /// k8s.cni.cncf.io/v1 NetworkAttachmentDefinition.
    NetworkAttachments,
    /// apps/v1 DaemonSet; the controllers act on it.
    DaemonSets,
    /// core/v1 ConfigMap.
    ConfigMaps,
    /// core/v1 ServiceAccount.
    ServiceAccounts,
    /// rbac.authorization.k8s.io/v1 ClusterRole.
    ClusterRoles,
    /// rbac.authorization.k8s.io/v1 ClusterRoleBinding.
    ClusterRoleBindings,
    /// rbac.authorization.k8s.io/v1 Role.
    Roles,
    /// rbac.authorization.k8s.io/v1 RoleBinding.
    RoleBindings,
    /// apiextensions.k8s.io/v1 CustomResourceDefinition: stored only, the one kind that it may define is always served.
    Definitions,
}

const RBAC: &str = "rbac.authorization.k8s.io";

struct Row {
    resource: Resource,
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    status: bool,
    fields: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        resource: Resource::Namespaces,
        group: "",
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short: &["ns"],
        namespaced: false,
        status: true,
        fields: &["status.phase"],
    },
    Row {
        resource: Resource::Nodes,
        group: "",
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short: &["no"],
        namespaced: false,
        status: true,
        fields: &["spec.unschedulable"],
    },
    Row {
        resource: Resource::Pods,
        group: "",
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short: &["po"],
        namespaced: true,
        status: true,
        fields: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "status.phase",
            "status.podIP",
        ],
    },
    Row {
        resource: Resource::Events,
        group: "",
        kind: "Event",
        plural: "events",
        singular: "event",
        short: &["ev"],
        namespaced: true,
        status: false,
        fields: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "type",
        ],
    },
    Row {
        resource: Resource::NetworkAttachments,
        group: "k8s.cni.cncf.io",
        kind: "NetworkAttachmentDefinition",
        plural: "network-attachment-definitions",
        singular: "network-attachment-definition",
        short: &["net-attach-def"],
        namespaced: true,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::DaemonSets,
        group: "apps",
        kind: "DaemonSet",
        plural: "daemonsets",
        singular: "daemonset",
        short: &["ds"],
        namespaced: true,
        status: true,
        fields: &[],
    },
    Row {
        resource: Resource::ConfigMaps,
        group: "",
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short: &["cm"],
        namespaced: true,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::ServiceAccounts,
        group: "",
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short: &["sa"],
        namespaced: true,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::ClusterRoles,
        group: RBAC,
        kind: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        short: &[],
        namespaced: false,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::ClusterRoleBindings,
        group: RBAC,
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        short: &[],
        namespaced: false,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::Roles,
        group: RBAC,
        kind: "Role",
        plural: "roles",
        singular: "role",
        short: &[],
        namespaced: true,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::RoleBindings,
        group: RBAC,
        kind: "RoleBinding",
        plural: "rolebindings",
        singular: "rolebinding",
        short: &[],
        namespaced: true,
        status: false,
        fields: &[],
    },
    Row {
        resource: Resource::Definitions,
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        short: &["crd"],
        namespaced: false,
        status: false,
        fields: &[],
    },
];

impl Resource {
    /// All kinds, in the order of discovery.
    pub fn all() -> impl Iterator<Item = Resource> {
        ROWS.iter().map(|row| row.resource)
    }

    /// The kind at a path: group ("" = core) and plural name.
    pub fn at(group: &str, plural: &str) -> Option<Resource> {
        ROWS.iter()
            .find(|row| row.group == group && row.plural == plural)
            .map(|row| row.resource)
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// API group, "" for core.
    pub fn group(self) -> &'static str {
        self.row().group
    }

    /// `apiVersion` of the objects.
    pub fn api_version(self) -> String {
        if self.group().is_empty() {
            "v1".to_owned()
        } else {
            format!("{}/v1", self.group())
        }
    }

    /// `kind` of the objects.
    pub fn kind(self) -> &'static str {
        self.row().kind
    }

    /// Name in paths.
    pub fn plural(self) -> &'static str {
        self.row().plural
    }

    pub(crate) fn singular(self) -> &'static str {
        self.row().singular
    }

    pub(crate) fn short(self) -> &'static [&'static str] {
        self.row().short
    }

    /// Whether objects live in a namespace.
    pub fn namespaced(self) -> bool {
        self.row().namespaced
    }

    /// Whether there is a `status` subresource.
    pub fn has_status(self) -> bool {
        self.row().status
    }

    /// Fields, besides name and namespace, that a field selector may name.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        self.row().fields
    }

    /// Name in error messages: `pods`, `daemonsets.apps`.
    pub(crate) fn qualified(self) -> String {
        if self.group().is_empty() {
            self.plural().to_owned()
        } else {
            format!("{}.{}", self.plural(), self.group())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_at_its_own_path() {
        for resource in Resource::all() {
            assert_eq!(
                Resource::at(resource.group(), resource.plural()),
                Some(resource)
            );
            assert_eq!(resource.row().resource, resource);
        }
        assert_eq!(Resource::at("apps", "pods"), None);
    }
}
