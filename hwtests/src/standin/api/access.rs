//! Who may do what: role-based access control as a cluster has it (rbac.authorization.k8s.io/v1). Rules only ever grant.

use serde_json::Value;

use super::accounts::Account;
use super::error::ApiError;
use super::object::{self, text};
use super::resource::Resource;
use super::route::Sub;
use super::selector::Selection;
use super::store::Store;
use super::view::View;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// May do everything.
    Administrator,
    /// May do what its roles say.
    Account(Account),
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) verb: &'static str,
    pub(crate) view: View,
    pub(crate) part: Sub,
    /// `None`: all namespaces, or a kind that has none.
    pub(crate) namespace: Option<&'a str>,
    /// `None`: not one object by its name.
    pub(crate) name: Option<&'a str>,
}

impl Caller {
    /// Refuses what no rule grants, in the words of a real server.
    pub(crate) fn may(&self, store: &Store, request: &Request<'_>) -> Result<(), ApiError> {
        let Caller::Account(account) = self else {
            return Ok(());
        };
        if granted(store, account, request) {
            return Ok(());
        }
        let scope = request.namespace.map_or_else(
            || "at the cluster scope".to_owned(),
            |namespace| format!("in the namespace \"{namespace}\""),
        );
        let why = format!(
            "User \"{account}\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
            request.verb,
            request.resource(),
            request.group()
        );
        let name = request.name.unwrap_or_default();
        Err(ApiError::forbidden(request.view.resource, name, &why))
    }
}

impl Request<'_> {
    fn group(&self) -> &'static str {
        if self.view.events_group {
            "events.k8s.io"
        } else {
            self.view.resource.group()
        }
    }

    /// As rules name it: `pods/status`.
    fn resource(&self) -> String {
        let plural = self.view.resource.plural();
        match self.part {
            Sub::None => plural.to_owned(),
            Sub::Status => format!("{plural}/status"),
            Sub::Binding => format!("{plural}/binding"),
        }
    }

    fn matches(&self, rule: &Value) -> bool {
        let has = |key: &str, wanted: &str| {
            let list = rule[key].as_array();
            list.into_iter()
                .flatten()
                .any(|one| one == wanted || one == "*")
        };
        let only = rule["resourceNames"].as_array();
        let meant = only.is_none_or(|only| {
            only.is_empty()
                || self
                    .name
                    .is_some_and(|name| only.iter().any(|one| one == name))
        });
        has("verbs", self.verb)
            && has("apiGroups", self.group())
            && has("resources", &self.resource())
            && meant
    }
}

fn granted(store: &Store, account: &Account, request: &Request<'_>) -> bool {
    let everywhere = Selection::default();
    let (bindings, _) = store.list(Resource::ClusterRoleBindings, &everywhere);
    let of_cluster = bindings
        .iter()
        .any(|binding| grants(store, account, binding, request));
    of_cluster
        || request.namespace.is_some_and(|namespace| {
            let (bindings, _) = store.list(Resource::RoleBindings, &Selection::of(Some(namespace)));
            bindings
                .iter()
                .any(|binding| grants(store, account, binding, request))
        })
}

/// Whether a binding is about the account, and its role has a rule for the request.
fn grants(store: &Store, account: &Account, binding: &Value, request: &Request<'_>) -> bool {
    let subjects = binding["subjects"].as_array();
    let meant = subjects.into_iter().flatten().any(|subject| {
        text(subject, "/kind") == "ServiceAccount"
            && text(subject, "/name") == account.name
            && text(subject, "/namespace") == account.namespace
    });
    let role = text(binding, "/roleRef/name");
    let role = match text(binding, "/roleRef/kind") {
        "ClusterRole" => store.get(Resource::ClusterRoles, "", role),
        _ => store.get(Resource::Roles, object::namespace(binding), role),
    };
    meant
        && role.is_ok_and(|role| {
            let rules = role["rules"].as_array();
            rules
                .into_iter()
                .flatten()
                .any(|rule| request.matches(rule))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> Store {
        let store = Store::new();
        let create = |resource, namespace: &str, object| {
            store.create(resource, namespace, object).unwrap();
        };
        let subjects = json!([{"kind": "ServiceAccount", "name": "a", "namespace": "kube-system"}]);
        let bind = |kind: &str| json!({"metadata": {"name": "b"}, "roleRef": {"kind": kind, "name": "r"}, "subjects": subjects});
        let role = |rules: Value| json!({"metadata": {"name": "r"}, "rules": rules});
        create(
            Resource::ClusterRoles,
            "",
            role(
                json!([{"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["list", "patch"]}]),
            ),
        );
        create(Resource::ClusterRoleBindings, "", bind("ClusterRole"));
        create(
            Resource::Roles,
            "kube-system",
            role(
                json!([{"apiGroups": ["apps"], "resources": ["daemonsets"], "resourceNames": ["d"], "verbs": ["list"]}]),
            ),
        );
        create(Resource::RoleBindings, "kube-system", bind("Role"));
        store
    }

    fn ask(
        verb: &'static str,
        resource: Resource,
        part: Sub,
        at: (Option<&str>, Option<&str>),
    ) -> Result<(), String> {
        let account = Account {
            namespace: "kube-system".into(),
            name: "a".into(),
        };
        let view = View {
            resource,
            events_group: false,
            partial: false,
        };
        let request = Request {
            verb,
            view,
            part,
            namespace: at.0,
            name: at.1,
        };
        Caller::Account(account)
            .may(&store(), &request)
            .map_err(|refusal| refusal.message)
    }

    #[test]
    fn what_a_role_grants_is_granted_and_nothing_else() {
        assert_eq!(ask("list", Resource::Pods, Sub::None, (None, None)), Ok(()));
        assert_eq!(
            ask("patch", Resource::Pods, Sub::Status, (Some("x"), Some("p"))),
            Ok(())
        );
        let refusal = ask("watch", Resource::Pods, Sub::None, (None, None)).unwrap_err();
        assert_eq!(
            refusal,
            "pods is forbidden: User \"system:serviceaccount:kube-system:a\" cannot watch resource \"pods\" \
             in API group \"\" at the cluster scope"
        );
        assert!(ask("list", Resource::Nodes, Sub::None, (None, None)).is_err());
    }

    #[test]
    fn a_rule_with_names_is_for_these_objects_in_its_namespace() {
        let list = |namespace, name| {
            ask("list", Resource::DaemonSets, Sub::None, (namespace, name)).is_ok()
        };
        assert!(list(Some("kube-system"), Some("d")));
        assert!(!list(Some("kube-system"), Some("e")));
        assert!(!list(Some("kube-system"), None));
        assert!(!list(Some("default"), Some("d")));
    }
}
