//! Objects are what the Kubernetes types of one version say, no field more: what a type does not know is lost on the
//! way through it. Everything the manifests use is older than the oldest Kubernetes that is served, but for what is
//! rendered for newer ones only.

use k8s_openapi::{
    api::{
        admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
        apps::v1::{DaemonSet, Deployment},
        core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::tools::{documents, file, name};

/// Kinds of others, which no Kubernetes schema describes.
const FOREIGN: [&str; 6] = [
    "NetworkAttachmentDefinition",
    "SecurityContextConstraints",
    "ServiceMonitor",
    "PrometheusRule",
    "Package",
    "PackageRepository",
];

/// What is wrong with an object, if anything is.
pub(super) fn problem(object: &Value) -> Option<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    match kind {
        "DaemonSet" => through::<DaemonSet>(object),
        "Deployment" => through::<Deployment>(object),
        "ConfigMap" => through::<ConfigMap>(object),
        "Namespace" => through::<Namespace>(object),
        "Pod" => through::<Pod>(object),
        "Service" => through::<Service>(object),
        "ServiceAccount" => through::<ServiceAccount>(object),
        "ClusterRole" => through::<ClusterRole>(object),
        "ClusterRoleBinding" => through::<ClusterRoleBinding>(object),
        "Role" => through::<Role>(object),
        "RoleBinding" => through::<RoleBinding>(object),
        "ValidatingAdmissionPolicy" => through::<ValidatingAdmissionPolicy>(object),
        "ValidatingAdmissionPolicyBinding" => through::<ValidatingAdmissionPolicyBinding>(object),
        "CustomResourceDefinition" => through::<CustomResourceDefinition>(object),
        _ if FOREIGN.contains(&kind) => None,
        _ => Some("its kind is not among those that this test knows".to_owned()),
    }
    .map(|why| format!("{}: {why}", name(object)))
}

fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Option<String> {
    match serde_json::from_value::<T>(object.clone()) {
        Err(error) => Some(error.to_string()),
        Ok(typed) => lost(object, &serde_json::to_value(typed).unwrap(), ""),
    }
}

/// Path of the first key that is in `given` and not in `kept`.
fn lost(given: &Value, kept: &Value, path: &str) -> Option<String> {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match kept.get(key) {
                Some(kept) => lost(value, kept, &path),
                // An empty value is the same as none.
                None if value.is_null() || *value == serde_json::json!([]) => None,
                None => Some(format!("{path} is no field of it")),
            }
        }),
        (Value::Array(given), Value::Array(kept)) => given
            .iter()
            .zip(kept)
            .enumerate()
            .find_map(|(at, (given, kept))| lost(given, kept, &format!("{path}[{at}]"))),
        _ if given == kept => None,
        // A quantity may be written as a number.
        (Value::Number(given), Value::String(kept)) if given.to_string() == *kept => None,
        _ => Some(format!("{path} is {given} and is read as {kept}")),
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let object = documents(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, imagee: x}]}}",
    );
    let problem = problem(&object[0]).unwrap();
    assert_eq!(
        problem,
        "Pod//a: .spec.containers[0].imagee is no field of it"
    );
}

/// YAML files of `deploy/` that are no templates.
fn committed() -> Vec<std::path::PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![file("deploy")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("templates") {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ext| ext == "yaml" || ext == "yml")
            {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_committed_manifest_is_valid_as_the_kubernetes_types_say() {
    let mut checked = 0;
    for path in committed() {
        let text = std::fs::read_to_string(&path).unwrap();
        for object in documents(&text) {
            // Kustomizations and values are no objects of the API.
            let version = object["apiVersion"].as_str().unwrap_or_default();
            if object["kind"].is_null()
                || version.starts_with("kustomize.")
                || version.starts_with("imgpkg.")
            {
                continue;
            }
            if object["kind"] == "PackageMetadata" {
                continue;
            }
            checked += 1;
            if let Some(problem) = problem(&object) {
                panic!("{}: {problem}", path.display());
            }
        }
    }
    assert!(checked >= 10, "only {checked} objects were found");
}
