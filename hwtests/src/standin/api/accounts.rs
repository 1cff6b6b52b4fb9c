//! Service accounts: their tokens, each for one pod, and what admission adds to a pod that has one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::error::ApiError;
use super::object::{self, text};
use super::resource::Resource;
use super::selector::Selection;
use super::store::Store;

/// Where a pod finds its account's token.
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The ConfigMap of the server's authority, in every namespace.
pub(crate) const AUTHORITY: &str = "kube-root-ca.crt";

/// A service account by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

/// A token that was given out: for this incarnation of an account, in this pod.
#[derive(Debug, Clone)]
struct Given {
    account: Account,
    account_uid: String,
    pod_uid: String,
    token: String,
}

/// The tokens of all service accounts; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts(Arc<Mutex<HashMap<String, Given>>>);

impl Accounts {
    /// The token of a pod's account, made at the first call; for the kubelet.
    pub(crate) fn token(&self, store: &Store, pod: &Value) -> Result<String, ApiError> {
        let account = Account {
            namespace: object::namespace(pod).to_owned(),
            name: text(pod, "/spec/serviceAccountName").to_owned(),
        };
        let found = store.get(Resource::ServiceAccounts, &account.namespace, &account.name)?;
        let pod_uid = object::uid(pod).to_owned();
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = given.get(&pod_uid) {
            return Ok(known.token.clone());
        }
        let random = object::new_uid()
            .map_err(|cause| ApiError::bad_request(format!("no token: {cause}")))?;
        let token = format!("standin.{random}");
        given.insert(
            pod_uid.clone(),
            Given {
                account,
                account_uid: object::uid(&found).to_owned(),
                pod_uid,
                token: token.clone(),
            },
        );
        Ok(token)
    }

    /// Whose token it is; `None` once its account or its pod is gone.
    pub(crate) fn holder(&self, store: &Store, token: Option<&str>) -> Option<Account> {
        let given = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.values()
                .find(|one| Some(one.token.as_str()) == token)?
                .clone()
        };
        let account = &given.account;
        let found = store.get(Resource::ServiceAccounts, &account.namespace, &account.name);
        let (pods, _) = store.list(Resource::Pods, &Selection::of(Some(&account.namespace)));
        let valid = found.is_ok_and(|found| object::uid(&found) == given.account_uid)
            && pods.iter().any(|pod| object::uid(pod) == given.pod_uid);
        valid.then_some(given.account)
    }
}

/// Adds the token's volume to a new pod, as admission does. A pod that names no account gets none: unlike in a real
/// cluster there are no default accounts.
pub(crate) fn mount_token(
    pod: &mut Value,
    find: impl Fn(&str) -> Option<Arc<Value>>,
) -> Result<(), ApiError> {
    let name = text(pod, "/spec/serviceAccountName").to_owned();
    if name.is_empty() {
        return Ok(());
    }
    let Some(account) = find(&name) else {
        let place = format!("{}/{name}", object::namespace(pod));
        let why = format!(
            "error looking up service account {place}: serviceaccount \"{name}\" not found"
        );
        return Err(ApiError::forbidden(Resource::Pods, object::name(pod), &why));
    };
    let wanted = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account["automountServiceAccountToken"].as_bool());
    if wanted == Some(false) {
        return Ok(());
    }
    let volume = format!(
        "kube-api-access-{}",
        &object::uid(pod).get(..5).unwrap_or("0")
    );
    let mut used = false;
    for list in ["initContainers", "containers"] {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mounts = container["volumeMounts"].take();
            let mut mounts = mounts.as_array().cloned().unwrap_or_default();
            if !mounts.iter().any(|mount| mount["mountPath"] == MOUNT) {
                mounts.push(json!({"name": volume, "mountPath": MOUNT, "readOnly": true}));
                used = true;
            }
            container["volumeMounts"] = json!(mounts);
        }
    }
    if used {
        let mut volumes = pod["spec"]["volumes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": AUTHORITY, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ]}}));
        pod["spec"]["volumes"] = json!(volumes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(automount: Option<bool>) -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "kube-system", "uid": "abcdef"},
            "spec": {
                "serviceAccountName": "a", "automountServiceAccountToken": automount,
                "initContainers": [{"name": "i"}], "containers": [{"name": "c", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}],
            },
        })
    }

    #[test]
    fn a_pod_of_an_account_gets_its_token_unless_it_or_the_account_says_no() {
        let account = |automount: Option<bool>| {
            move |_: &str| Some(Arc::new(json!({"automountServiceAccountToken": automount})))
        };
        let mut with = pod(None);
        mount_token(&mut with, account(None)).unwrap();
        assert_eq!(
            with["spec"]["containers"][0]["volumeMounts"][1]["mountPath"],
            MOUNT
        );
        assert_eq!(
            with["spec"]["initContainers"][0]["volumeMounts"][0]["mountPath"],
            MOUNT
        );
        assert_eq!(with["spec"]["volumes"][0]["name"], "kube-api-access-abcde");
        for (own, of_account) in [(Some(false), None), (None, Some(false))] {
            let mut without = pod(own);
            mount_token(&mut without, account(of_account)).unwrap();
            assert_eq!(without, pod(own));
        }
        let refusal = mount_token(&mut pod(None), |_| None).unwrap_err();
        assert_eq!(refusal.code, 403);
        assert!(
            refusal.message.contains("serviceaccount \"a\" not found"),
            "{refusal}"
        );
    }

    #[test]
    fn a_token_ends_with_its_pod_and_with_its_account() {
        let store = Store::new();
        let accounts = Accounts::default();
        let account = json!({"metadata": {"name": "a"}});
        let delete = |resource, name| {
            store.delete(
                resource,
                "kube-system",
                name,
                &super::super::DeleteOptions::default(),
            )
        };
        store
            .create(Resource::ServiceAccounts, "kube-system", account.clone())
            .unwrap();
        let manifest = json!({"metadata": {"name": "p"}, "spec": {"serviceAccountName": "a", "containers": [{"name": "c", "image": "i"}]}});
        let pod = store
            .create(Resource::Pods, "kube-system", manifest)
            .unwrap();
        let token = accounts.token(&store, &pod).unwrap();
        assert_eq!(accounts.token(&store, &pod).unwrap(), token);
        let holder = |token: &str| {
            accounts
                .holder(&store, Some(token))
                .map(|one| one.to_string())
        };
        assert_eq!(
            holder(&token).unwrap(),
            "system:serviceaccount:kube-system:a"
        );
        assert_eq!(holder("guessed"), None);
        assert_eq!(accounts.holder(&store, None), None);
        delete(Resource::ServiceAccounts, "a").unwrap();
        assert_eq!(holder(&token), None);
        store
            .create(Resource::ServiceAccounts, "kube-system", account)
            .unwrap();
        assert_eq!(holder(&token), None, "another account of the same name");
        delete(Resource::Pods, "p").unwrap();
        assert_eq!(holder(&token), None);
    }
}
