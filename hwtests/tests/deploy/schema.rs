//! One source of what values there are: `values.schema.json`, with the defaults of `values.yaml`. The table for people
//! and the schema of the Carvel package are made from the two.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::tools::{golden, text};

/// Keys of JSON Schema that OpenAPI knows too.
const SHARED: [&str; 8] = [
    "type",
    "description",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "additionalProperties",
];

pub(super) fn schema() -> Value {
    serde_json::from_str(&text("deploy/chart/values.schema.json")).unwrap()
}

pub(super) fn defaults() -> Value {
    serde_saphyr::from_str(&text("deploy/chart/values.yaml")).unwrap()
}

/// The schema as OpenAPI v3 with defaults, for Carvel. Its manual's readers expect kube-system.
pub(super) fn openapi() -> Value {
    let mut defaults = defaults();
    defaults["namespace"] = json!("kube-system");
    let mut made = converted(&schema(), Some(&defaults));
    made["title"] = json!("Ferrovia's values");
    made["properties"].as_object_mut().unwrap().remove("global");
    made
}

fn converted(schema: &Value, default: Option<&Value>) -> Value {
    let mut made = Map::new();
    for key in SHARED {
        if let Some(value) = schema.get(key) {
            made.insert(key.to_owned(), value.clone());
        }
    }
    let properties = schema["properties"].as_object();
    if let Some(properties) = properties {
        made.remove("additionalProperties");
        let below = properties.iter().map(|(key, value)| {
            let default = default.and_then(|default| default.get(key));
            (key.clone(), converted(value, default))
        });
        made.insert("properties".to_owned(), Value::Object(below.collect()));
    } else if let Some(default) = default {
        made.insert("default".to_owned(), default.clone());
    }
    if schema["items"].is_object() {
        made.insert("items".to_owned(), converted(&schema["items"], None));
    }
    Value::Object(made)
}

/// One line of the table: path, type, default, meaning.
fn rows(schema: &Value, defaults: Option<&Value>, path: &str, table: &mut String) {
    for (key, one) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let default = defaults.and_then(|all| all.get(key));
        if one["properties"].is_object() {
            writeln!(table, "| **`{path}`** | | | {} |", described(one)).unwrap();
            rows(one, default, &path, table);
            continue;
        }
        let kind = match one["enum"].as_array() {
            Some(words) => {
                let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
                words.join(", ")
            }
            None => one["type"].as_str().unwrap_or_default().to_owned(),
        };
        let default = default
            .map(|value| format!("`{value}`"))
            .unwrap_or_default();
        writeln!(
            table,
            "| `{path}` | {kind} | {default} | {} |",
            described(one)
        )
        .unwrap();
        if one["items"]["properties"].is_object() {
            rows(&one["items"], None, &format!("{path}[]"), table);
        }
    }
}

fn described(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .replace('|', "\\|")
}

#[test]
fn the_table_of_values_is_made_from_the_schema() {
    let mut table = "\
# Values

Of the Helm chart and of the Carvel package; made from `deploy/chart/values.schema.json` by `make deploy-render`. A key that
is not here is refused with its name. The package's `namespace` is `kube-system` unless it is set.

| value | type | default | meaning |
|---|---|---|---|
"
    .to_owned();
    rows(&schema(), Some(&defaults()), "", &mut table);
    golden("deploy/docs/values.md", &table);
}

/// Keys with a default that the schema does not know, or the other way round.
fn differences(schema: &Value, defaults: &Value, path: &str, found: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let values = defaults.as_object().cloned().unwrap_or_default();
    for key in values.keys().filter(|key| !properties.contains_key(*key)) {
        found.push(format!(
            "{path}.{key} has a default and is not in the schema"
        ));
    }
    for (key, below) in properties {
        match values.get(key) {
            Some(value) => differences(below, value, &format!("{path}.{key}"), found),
            None if path.is_empty() && key == "global" => {}
            None => found.push(format!("{path}.{key} has no default")),
        }
    }
}

#[test]
fn every_value_has_a_default_a_type_and_a_meaning() {
    let mut found = Vec::new();
    differences(&schema(), &defaults(), "", &mut found);
    undescribed(&schema(), "", &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (key, one) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        if described(one).is_empty() || !one["type"].is_string() {
            found.push(format!("{path} has no type or no meaning"));
        }
        if one["properties"].is_object() && one["additionalProperties"] != false {
            found.push(format!("{path} lets misspelt keys through"));
        }
        undescribed(one, &path, found);
    }
}
