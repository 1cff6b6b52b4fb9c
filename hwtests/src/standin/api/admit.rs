//! What a server adds to and refuses in an object before it is stored.

use serde_json::{Map, Value, json};

use super::daemon_set;
use super::error::ApiError;
use super::object::{self, metadata, put, text};
use super::resource::Resource;

/// Which part of an object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status, labels and annotations.
    Status,
    /// Only the place of a pod (the `binding` subresource).
    Binding,
}

/// Checks and completes a new object; `uid` is its identity.
pub(crate) fn create(
    resource: Resource,
    namespace: &str,
    mut object: Value,
    uid: &str,
) -> Result<Value, ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request(
            "the object provided is not a JSON object",
        ));
    }
    check_type(resource, &object)?;
    let meta = metadata(&mut object);
    let given = meta
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !given.is_empty() && given != namespace {
        let why = format!(
            "the namespace of the provided object does not match the namespace sent on the request ({given}, {namespace})"
        );
        return Err(ApiError::bad_request(why));
    }
    if meta
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        let prefix = meta
            .get("generateName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !prefix.is_empty() {
            let name = format!("{prefix}{}", uid.get(..5).unwrap_or(uid));
            meta.insert("name".into(), json!(name));
        }
    }
    put(
        meta,
        "namespace",
        resource.namespaced().then(|| json!(namespace)),
    );
    meta.insert("uid".into(), json!(uid));
    meta.insert("creationTimestamp".into(), json!(object::now()));
    for key in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "selfLink",
        "managedFields",
    ] {
        meta.remove(key);
    }
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind());
    check_name(resource, &object)?;
    match resource {
        Resource::Pods => complete_pod(&mut object)?,
        Resource::DaemonSets => daemon_set::complete(&mut object)?,
        Resource::Namespaces => object["status"] = json!({"phase": "Active"}),
        _ => {}
    }
    check_content(resource, &object)?;
    Ok(object)
}

/// What is stored when `wanted` was asked for in place of `current`.
pub(crate) fn update(
    resource: Resource,
    part: Part,
    current: &Value,
    wanted: &Value,
) -> Result<Value, ApiError> {
    let name = object::name(current);
    check_type(resource, wanted)?;
    if object::name(wanted) != name || object::namespace(wanted) != object::namespace(current) {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            object::name(wanted)
        )));
    }
    let asked = text(wanted, "/metadata/resourceVersion");
    if !asked.is_empty() && asked != text(current, "/metadata/resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(ApiError::conflict(resource, name, why));
    }
    let uid = object::uid(wanted);
    if !uid.is_empty() && uid != object::uid(current) {
        // A patch with another uid: metadata is validated after patching, so this is no conflict on a real server.
        let why = format!("metadata.uid: Invalid value: \"{uid}\": field is immutable");
        return Err(ApiError::invalid(resource, name, &why));
    }
    let mut next = current.clone();
    take_metadata(&mut next, wanted, part);
    match part {
        Part::Status => next["status"] = wanted.get("status").cloned().unwrap_or_else(|| json!({})),
        Part::Binding => next["spec"]["nodeName"] = wanted["spec"]["nodeName"].clone(),
        Part::Main => take_main(resource, &mut next, wanted)?,
    }
    if resource == Resource::DaemonSets && part == Part::Main {
        daemon_set::change(current, &mut next)?;
    }
    check_content(resource, &next)?;
    Ok(next)
}

fn take_metadata(next: &mut Value, wanted: &Value, part: Part) {
    const ALWAYS: &[&str] = &["labels", "annotations", "finalizers"];
    let mut keys = ALWAYS.to_vec();
    if part == Part::Main {
        keys.push("ownerReferences");
    }
    let meta = metadata(next);
    for key in keys {
        put(
            meta,
            key,
            wanted.pointer(&format!("/metadata/{key}")).cloned(),
        );
    }
}

fn take_main(resource: Resource, next: &mut Value, wanted: &Value) -> Result<(), ApiError> {
    if resource == Resource::Pods {
        check_pod_change(next, wanted)?;
    }
    let empty = Map::new();
    let (kept, fresh) = (
        next.as_object().unwrap_or(&empty).clone(),
        wanted.as_object().unwrap_or(&empty),
    );
    let mut result = Map::new();
    for key in ["apiVersion", "kind", "metadata"] {
        put(&mut result, key, kept.get(key).cloned());
    }
    for (key, value) in fresh {
        let kept_back = key == "status" && resource.has_status();
        if !kept_back && !result.contains_key(key) {
            result.insert(key.clone(), value.clone());
        }
    }
    if resource.has_status() {
        put(&mut result, "status", kept.get("status").cloned());
    }
    *next = Value::Object(result);
    Ok(())
}

/// A pod's specification is fixed but for images, deadline and tolerations.
fn check_pod_change(current: &Value, wanted: &Value) -> Result<(), ApiError> {
    let comparable = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        if let Value::Object(map) = &mut spec {
            map.remove("activeDeadlineSeconds");
            map.remove("tolerations");
            map.remove("terminationGracePeriodSeconds");
        }
        for container in spec
            .get_mut("containers")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Value::Object(map) = container {
                map.remove("image");
            }
        }
        spec
    };
    if comparable(current) == comparable(wanted) {
        return Ok(());
    }
    let why = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`, \
               `spec.activeDeadlineSeconds`, `spec.tolerations`";
    Err(ApiError::invalid(
        Resource::Pods,
        object::name(current),
        why,
    ))
}

fn check_type(resource: Resource, object: &Value) -> Result<(), ApiError> {
    let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let fits = (version.is_empty() || version == resource.api_version())
        && (kind.is_empty() || kind == resource.kind());
    if fits {
        return Ok(());
    }
    let wanted = format!("{}, Kind={}", resource.api_version(), resource.kind());
    Err(ApiError::bad_request(format!(
        "the object provided is {version}, Kind={kind}, expected {wanted}"
    )))
}

fn check_name(resource: Resource, object: &Value) -> Result<(), ApiError> {
    let name = object::name(object);
    if name.is_empty() {
        let why = "metadata.name: Required value: name or generateName is required";
        return Err(ApiError::invalid(resource, name, why));
    }
    let label = |part: &str| {
        let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        part.starts_with(inner)
            && part.ends_with(inner)
            && part.chars().all(|letter| inner(letter) || letter == '-')
    };
    if name.len() <= 253 && name.split('.').all(label) {
        return Ok(());
    }
    let why =
        format!("metadata.name: Invalid value: \"{name}\": must be a lowercase RFC 1123 subdomain");
    Err(ApiError::invalid(resource, name, &why))
}

fn check_content(resource: Resource, object: &Value) -> Result<(), ApiError> {
    let refuse = |why: &str| Err(ApiError::invalid(resource, object::name(object), why));
    for key in ["annotations", "labels"] {
        let map = object
            .pointer(&format!("/metadata/{key}"))
            .and_then(Value::as_object);
        if map.is_some_and(|map| map.values().any(|value| !value.is_string())) {
            return Err(ApiError::bad_request(format!(
                "metadata.{key}: values must be strings"
            )));
        }
    }
    if resource == Resource::NetworkAttachments {
        let config = object.pointer("/spec/config");
        if config.is_some_and(|config| !config.is_string()) {
            return refuse("spec.config: Invalid value: must be of type string");
        }
    }
    Ok(())
}

fn complete_pod(pod: &mut Value) -> Result<(), ApiError> {
    let name = object::name(pod).to_owned();
    let refuse = |why: String| Err(ApiError::invalid(Resource::Pods, &name, &why));
    let spec = object::section(pod, "spec");
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("schedulerName", json!("default-scheduler")),
        ("enableServiceLinks", json!(true)),
        ("securityContext", json!({})),
    ] {
        spec.entry(key).or_insert(value);
    }
    let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
    let Some(containers) = containers.filter(|list| !list.is_empty()) else {
        return refuse("spec.containers: Required value".to_owned());
    };
    for (index, container) in containers.iter_mut().enumerate() {
        for key in ["name", "image"] {
            if text(container, &format!("/{key}")).is_empty() {
                return refuse(format!("spec.containers[{index}].{key}: Required value"));
            }
        }
        if let Err(why) = complete_resources(container) {
            return refuse(format!("spec.containers[{index}].resources.{why}"));
        }
    }
    complete_priority(spec)?;
    pod["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
    Ok(())
}

/// The classes that every cluster has (scheduling.k8s.io); no others can be made here.
fn complete_priority(spec: &mut Map<String, Value>) -> Result<(), ApiError> {
    let class = spec.get("priorityClassName").and_then(Value::as_str);
    let priority = match class.unwrap_or_default() {
        "" => 0,
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        other => {
            let why = format!("no PriorityClass with name {other} was found");
            return Err(ApiError::forbidden(Resource::Pods, "", &why));
        }
    };
    spec.insert("priority".to_owned(), json!(priority));
    Ok(())
}

/// Requests default to limits; an extended resource must be limited, and to what it requests.
fn complete_resources(container: &mut Value) -> Result<(), String> {
    let limits = container
        .pointer("/resources/limits")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if limits.is_empty() && container.pointer("/resources/requests").is_none() {
        return Ok(());
    }
    let resources = object::section(container, "resources");
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    let Value::Object(requests) = requests else {
        return Err("requests: Invalid value: not an object".to_owned());
    };
    for (key, value) in &limits {
        requests.entry(key).or_insert_with(|| value.clone());
    }
    for (key, value) in requests.iter().filter(|(key, _)| key.contains('/')) {
        match limits.get(key) {
            None => {
                return Err(format!(
                    "limits: Required value: Limit must be set for non overcommitable resources ({key})"
                ));
            }
            Some(limit) if quantity_text(limit) != quantity_text(value) => {
                return Err(format!(
                    "requests: Invalid value: {value}: must be equal to {key} limit of {limit}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn quantity_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
