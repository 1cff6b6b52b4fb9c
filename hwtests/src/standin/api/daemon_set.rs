//! What a server adds to and refuses in a DaemonSet (apps/v1).

use serde_json::{Value, json};

use super::error::ApiError;
use super::object::{self, metadata};
use super::resource::Resource;

/// Completes a new one.
pub(crate) fn complete(set: &mut Value) -> Result<(), ApiError> {
    metadata(set).insert("generation".to_owned(), json!(1));
    check(set)?;
    let strategy = &mut set["spec"]["updateStrategy"];
    if strategy.is_null() {
        *strategy = json!({"type": "RollingUpdate"});
    }
    if strategy["type"] == "RollingUpdate" {
        let rolling = object::section(strategy, "rollingUpdate");
        rolling.entry("maxUnavailable").or_insert(json!(1));
        rolling.entry("maxSurge").or_insert(json!(0));
    }
    object::section(set, "status");
    Ok(())
}

/// Counts a change of the specification, whose selector must stay.
pub(crate) fn change(current: &Value, next: &mut Value) -> Result<(), ApiError> {
    if current["spec"]["selector"] != next["spec"]["selector"] {
        return Err(ApiError::invalid(
            Resource::DaemonSets,
            object::name(current),
            "spec.selector: Invalid value: field is immutable",
        ));
    }
    check(next)?;
    let generation = current["metadata"]["generation"].as_u64().unwrap_or(1);
    let changed = u64::from(current["spec"] != next["spec"]);
    metadata(next).insert("generation".to_owned(), json!(generation + changed));
    Ok(())
}

fn check(set: &Value) -> Result<(), ApiError> {
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    let wanted = set["spec"]["selector"]["matchLabels"].as_object();
    let fits = wanted.is_some_and(|wanted| {
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    });
    if fits {
        return Ok(());
    }
    let why =
        "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`";
    Err(ApiError::invalid(
        Resource::DaemonSets,
        object::name(set),
        why,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(label: &str) -> Value {
        json!({
            "metadata": {"name": "d"},
            "spec": {
                "selector": {"matchLabels": {"app": "d"}},
                "template": {"metadata": {"labels": {"app": label}}},
            },
        })
    }

    #[test]
    fn a_set_counts_its_specifications_and_is_held_to_its_selector() {
        let mut made = set("d");
        complete(&mut made).unwrap();
        assert_eq!(
            made["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
            1
        );
        let mut same = made.clone();
        change(&made, &mut same).unwrap();
        assert_eq!(same["metadata"]["generation"], 1);
        let mut other = made.clone();
        other["spec"]["template"]["spec"] = json!({});
        change(&made, &mut other).unwrap();
        assert_eq!(other["metadata"]["generation"], 2);
        other["spec"]["selector"] = json!({});
        assert_eq!(change(&made, &mut other).unwrap_err().code, 422);
        assert_eq!(complete(&mut set("else")).unwrap_err().code, 422);
    }
}
