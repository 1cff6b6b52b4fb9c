//! The three patch formats: JSON merge patch (RFC 7396), JSON patch (RFC 6902), strategic merge patch.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::resource::Resource;

/// A parsed request body.
#[derive(Debug, Clone)]
pub enum Patch {
    /// application/merge-patch+json
    Merge(Value),
    /// application/strategic-merge-patch+json
    Strategic(Value),
    /// application/json-patch+json
    Json(json_patch::Patch),
}

/// Lists that merge by a key of their elements (`patchMergeKey` of core/v1).
const MERGE_KEYS: &[(&str, &str)] = &[
    ("conditions", "type"),
    ("podIPs", "ip"),
    ("hostIPs", "ip"),
    ("addresses", "type"),
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("imagePullSecrets", "name"),
    ("taints", "key"),
    ("ownerReferences", "uid"),
];

/// Lists of plain values that are united, not replaced.
const SETS: &[&str] = &["finalizers"];

impl Patch {
    /// Reads a body by its content type.
    pub fn parse(resource: Resource, content_type: &str, body: &[u8]) -> Result<Patch, ApiError> {
        let undecodable = |cause: serde_json::Error| {
            ApiError::bad_request(format!("error decoding patch: {cause}"))
        };
        let typed = !matches!(
            resource,
            Resource::NetworkAttachments | Resource::Definitions
        );
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => object_body(body).map(Patch::Merge),
            "application/strategic-merge-patch+json" if typed => {
                object_body(body).map(Patch::Strategic)
            }
            "application/json-patch+json" => serde_json::from_slice(body)
                .map(Patch::Json)
                .map_err(undecodable),
            other => Err(ApiError::unsupported_media(other)),
        }
    }

    /// The object after the patch.
    pub fn apply(
        &self,
        resource: Resource,
        name: &str,
        current: &Value,
    ) -> Result<Value, ApiError> {
        let mut patched = current.clone();
        match self {
            Patch::Merge(patch) => json_patch::merge(&mut patched, patch),
            Patch::Strategic(patch) => strategic(&mut patched, patch),
            Patch::Json(patch) => json_patch::patch(&mut patched, patch)
                .map_err(|cause| ApiError::invalid(resource, name, &cause.to_string()))?,
        }
        Ok(patched)
    }

    /// Takes `metadata.annotations` out of the patch; a JSON patch has none to take.
    pub(crate) fn take_annotations(&mut self) -> Option<Value> {
        let (Patch::Merge(patch) | Patch::Strategic(patch)) = self else {
            return None;
        };
        patch
            .get_mut("metadata")?
            .as_object_mut()?
            .remove("annotations")
    }
}

fn object_body(body: &[u8]) -> Result<Value, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|cause| ApiError::bad_request(format!("error decoding patch: {cause}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(ApiError::bad_request("error decoding patch: not an object"))
    }
}

fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object()
        || patch
            .get("$patch")
            .is_some_and(|directive| directive == "replace")
    {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    if let Some(Value::Array(keep)) = patch.get("$retainKeys") {
        target.retain(|key, _| keep.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            remove_values(target, list, value);
        } else if key.starts_with('$') {
            // Directives handled above, or about the order of elements, which carries no meaning here.
        } else if value.is_null() {
            target.remove(key);
        } else {
            merge_key(target, key, value);
        }
    }
}

fn merge_key(target: &mut Map<String, Value>, key: &str, value: &Value) {
    let slot = target.entry(key).or_insert(Value::Null);
    let by = MERGE_KEYS
        .iter()
        .find(|(list, _)| *list == key)
        .map(|(_, by)| *by);
    match (value, by) {
        (Value::Array(items), Some(by)) => merge_list(slot, items, by),
        (Value::Array(items), None) if SETS.contains(&key) => {
            let mut union = slot.as_array().cloned().unwrap_or_default();
            union.extend(
                items
                    .iter()
                    .filter(|item| !slot.as_array().is_some_and(|old| old.contains(item)))
                    .cloned(),
            );
            *slot = Value::Array(union);
        }
        _ => strategic(slot, value),
    }
}

fn merge_list(slot: &mut Value, items: &[Value], by: &str) {
    let replaces = items
        .iter()
        .any(|item| item.get("$patch").is_some_and(|word| word == "replace"));
    let mut merged = if replaces {
        Vec::new()
    } else {
        slot.as_array().cloned().unwrap_or_default()
    };
    for item in items {
        let directive = item.get("$patch").and_then(Value::as_str);
        let place = merged
            .iter()
            .position(|old| old.get(by).is_some() && old.get(by) == item.get(by));
        match (directive, place) {
            (Some("delete"), Some(place)) => {
                merged.remove(place);
            }
            (Some("delete" | "replace"), _) => {}
            (_, Some(place)) => strategic(&mut merged[place], item),
            (_, None) => {
                let mut fresh = Value::Null;
                strategic(&mut fresh, item);
                merged.push(fresh);
            }
        }
    }
    *slot = Value::Array(merged);
}

fn remove_values(target: &mut Map<String, Value>, list: &str, values: &Value) {
    let gone = values.as_array().cloned().unwrap_or_default();
    if let Some(Value::Array(items)) = target.get_mut(list) {
        items.retain(|item| !gone.contains(item));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(content_type: &str, current: &Value, patch: &Value) -> Value {
        let body = serde_json::to_vec(patch).unwrap();
        Patch::parse(Resource::Pods, content_type, &body)
            .unwrap()
            .apply(Resource::Pods, "p", current)
            .unwrap()
    }

    fn strategic_merge(current: &Value, patch: &Value) -> Value {
        apply("application/strategic-merge-patch+json", current, patch)
    }

    #[test]
    fn a_merge_patch_sets_and_removes_annotations_and_replaces_lists() {
        let current = json!({"metadata": {"annotations": {"a": "1", "b": "2"}}, "list": [1, 2]});
        let patched = apply(
            "application/merge-patch+json; charset=utf-8",
            &current,
            &json!({"metadata": {"annotations": {"a": null, "c": "3"}}, "list": [3]}),
        );
        assert_eq!(
            patched,
            json!({"metadata": {"annotations": {"b": "2", "c": "3"}}, "list": [3]})
        );
    }

    #[test]
    fn a_strategic_patch_merges_conditions_by_type() {
        let current = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}});
        let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "New", "status": "True"}]}});
        let conditions = json!([
            {"type": "Ready", "status": "True", "reason": "x"},
            {"type": "New", "status": "True"},
        ]);
        assert_eq!(
            strategic_merge(&current, &patch),
            json!({"status": {"conditions": conditions}})
        );
    }

    #[test]
    fn a_strategic_patch_deletes_and_replaces_by_directive() {
        let current = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "finalizers": ["x", "y"]});
        let patch = json!({
            "spec": {"containers": [{"name": "a", "$patch": "delete"}]},
            "$deleteFromPrimitiveList/finalizers": ["x"],
            "finalizers": ["z"],
        });
        let expected = json!({"spec": {"containers": [{"name": "b"}]}, "finalizers": ["y", "z"]});
        assert_eq!(strategic_merge(&current, &patch), expected);
        let replace = json!({"spec": {"$patch": "replace", "nodeName": "n"}});
        assert_eq!(
            strategic_merge(&current, &replace)["spec"],
            json!({"nodeName": "n"})
        );
    }

    #[test]
    fn a_json_patch_with_a_failing_test_is_invalid() {
        let body = br#"[{"op":"test","path":"/metadata/uid","value":"other"},{"op":"add","path":"/x","value":1}]"#;
        let patch = Patch::parse(Resource::Pods, "application/json-patch+json", body).unwrap();
        let refusal = patch
            .apply(Resource::Pods, "p", &json!({"metadata": {"uid": "mine"}}))
            .unwrap_err();
        assert_eq!((refusal.code, refusal.reason), (422, "Invalid"));
    }

    #[test]
    fn formats_that_are_not_served_are_named() {
        let refusal =
            Patch::parse(Resource::Pods, "application/apply-patch+yaml", b"{}").unwrap_err();
        assert_eq!(refusal.code, 415);
        assert!(refusal.message.contains("application/apply-patch+yaml"));
        // A real server knows no merge keys of a custom resource either.
        let custom = Patch::parse(
            Resource::NetworkAttachments,
            "application/strategic-merge-patch+json",
            b"{}",
        );
        assert_eq!(custom.unwrap_err().code, 415);
        assert_eq!(
            Patch::parse(Resource::Pods, "application/merge-patch+json", b"[1]")
                .unwrap_err()
                .code,
            400
        );
    }
}
