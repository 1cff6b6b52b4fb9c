//! The environment of a container, and what refers to it. Nothing here does I/O.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use proto::cri::KeyValue;

/// What a pod's fields can be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) pod_ips: &'a [String],
    pub(crate) node_ip: IpAddr,
    /// Where pods reach the API server.
    pub(crate) service: Option<SocketAddr>,
}

/// A reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable}: field {field} is not known")]
pub(crate) struct UnknownField {
    variable: String,
    field: String,
}

/// Variables of the API server and of the plugins first, then those of the specification.
pub(crate) fn of_container(
    container: &Container,
    of_plugins: BTreeMap<String, String>,
    facts: Facts<'_>,
) -> Result<Vec<KeyValue>, UnknownField> {
    let mut variables: Vec<KeyValue> = of_service(facts.service)
        .chain(of_plugins)
        .map(|(key, value)| KeyValue { key, value })
        .collect();
    for variable in container.env.iter().flatten() {
        let value = value_of(variable, facts)?;
        let value = expand(&value, &variables);
        variables.push(KeyValue {
            key: variable.name.clone(),
            value,
        });
    }
    Ok(variables)
}

/// In every container, whatever `enableServiceLinks` says.
fn of_service(service: Option<SocketAddr>) -> impl Iterator<Item = (String, String)> {
    service.into_iter().flat_map(|address| {
        let port = address.port().to_string();
        [
            ("KUBERNETES_SERVICE_HOST", address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", port.clone()),
            ("KUBERNETES_SERVICE_PORT_HTTPS", port),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    })
}

fn value_of(variable: &EnvVar, facts: Facts<'_>) -> Result<String, UnknownField> {
    let field = variable
        .value_from
        .as_ref()
        .and_then(|from| from.field_ref.as_ref());
    let Some(field) = field.map(|field| field.field_path.as_str()) else {
        return Ok(variable.value.clone().unwrap_or_default());
    };
    let unknown = || UnknownField {
        variable: variable.name.clone(),
        field: field.to_owned(),
    };
    field_of(field, facts).ok_or_else(unknown)
}

pub(crate) fn field_of(field: &str, facts: Facts<'_>) -> Option<String> {
    let meta = &facts.pod.metadata;
    let spec = facts.pod.spec.as_ref();
    let entry = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref()
            .and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default()
    };
    let value = match field {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "spec.nodeName" => spec
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => facts.node_ip.to_string(),
        "status.podIP" => facts.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => facts.pod_ips.join(","),
        _ => {
            let (map, key) = field.strip_suffix("']")?.split_once("['")?;
            match map {
                "metadata.annotations" => entry(&meta.annotations, key),
                "metadata.labels" => entry(&meta.labels, key),
                _ => return None,
            }
        }
    };
    Some(value)
}

/// Replaces `$(NAME)` by the value of a known variable; `$$(NAME)` is `$(NAME)`.
pub(crate) fn expand(text: &str, variables: &[KeyValue]) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('$') {
        result.push_str(&rest[..place]);
        let after = &rest[place + 1..];
        if let Some(escaped) = after.strip_prefix('$') {
            result.push('$');
            rest = escaped;
        } else if let Some((name, tail)) = after
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            // The last one counts, as in the environment itself.
            match variables.iter().rev().find(|variable| variable.key == name) {
                Some(variable) => result.push_str(&variable.value),
                None => result.extend(["$(", name, ")"]),
            }
            rest = tail;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(env: &serde_json::Value) -> Result<Vec<(String, String)>, UnknownField> {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "n", "annotations": {"a/b": "x"}},
            "spec": {"nodeName": "node", "containers": [{"name": "c", "env": env}]},
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let plugins = BTreeMap::from([("PCIDEVICE_A".to_owned(), "0000:3b:02.0".to_owned())]);
        let facts = Facts {
            pod: &pod,
            pod_ips: &["10.0.0.2".to_owned()],
            node_ip: [127, 0, 0, 1].into(),
            service: None,
        };
        let variables = of_container(&pod.spec.as_ref().unwrap().containers[0], plugins, facts)?;
        Ok(variables
            .into_iter()
            .map(|variable| (variable.key, variable.value))
            .collect())
    }

    #[test]
    fn plugins_come_first_and_can_be_referred_to() {
        let variables =
            environment(&json!([{"name": "A", "value": "dev=$(PCIDEVICE_A) $(GONE) $$(A)"}]))
                .unwrap();
        assert_eq!(variables[0].0, "PCIDEVICE_A");
        assert_eq!(variables[1].1, "dev=0000:3b:02.0 $(GONE) $(A)");
    }

    #[test]
    fn every_container_knows_where_the_api_server_is() {
        let service = SocketAddr::from(([10, 96, 0, 1], 443));
        let variables: Vec<(String, String)> = of_service(Some(service)).collect();
        let wanted = ("KUBERNETES_SERVICE_HOST".to_owned(), "10.96.0.1".to_owned());
        assert_eq!(variables[0], wanted);
        assert_eq!(variables[1].1, "443");
        assert_eq!(of_service(None).count(), 0);
    }

    #[test]
    fn fields_of_the_pod() {
        let field =
            |path: &str| json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}]);
        let value = |path: &str| environment(&field(path)).map(|variables| variables[1].1.clone());
        assert_eq!(value("metadata.name").unwrap(), "p");
        assert_eq!(value("metadata.annotations['a/b']").unwrap(), "x");
        assert_eq!(value("status.podIP").unwrap(), "10.0.0.2");
        let refusal = value("spec.hostname").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "environment variable A: field spec.hostname is not known"
        );
    }
}
