//! What this kubelet does not do, refused before anything is started: a pod that runs without what it asked for
//! would prove nothing.

use k8s_openapi::api::core::v1::{
    Container, EnvVar, KeyToPath, PodSpec, Probe, Volume, VolumeProjection,
};
use serde_json::Value;

/// Something in a pod that only a real kubelet does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is not offered by the stand-in kubelet: {advice}")]
pub(crate) struct Unsupported {
    field: String,
    advice: &'static str,
}

const REMOVE: &str = "remove it, or run the scenario with KUBEBUILDER_ASSETS";

/// Refuses a pod that needs more.
pub(crate) fn check(spec: &PodSpec) -> Result<(), Unsupported> {
    let given = [
        (
            "spec.ephemeralContainers",
            spec.ephemeral_containers.is_some(),
        ),
        ("spec.resourceClaims", spec.resource_claims.is_some()),
        ("spec.runtimeClassName", spec.runtime_class_name.is_some()),
        ("spec.hostUsers", spec.host_users == Some(false)),
    ];
    refuse_given(&given)?;
    spec.volumes.iter().flatten().try_for_each(volume)?;
    let init = spec.init_containers.iter().flatten();
    init.clone().try_for_each(sidecar)?;
    init.chain(&spec.containers).try_for_each(container)
}

/// An init container that never ends is another thing: it starts before the others and stays.
fn sidecar(container: &Container) -> Result<(), Unsupported> {
    let field = format!("spec.initContainers[{}].restartPolicy", container.name);
    refuse_given(&[(field, container.restart_policy.is_some())])
}

fn volume(volume: &Volume) -> Result<(), Unsupported> {
    if let Some(map) = &volume.config_map {
        return items(&volume.name, map.items.iter().flatten());
    }
    if let Some(projected) = &volume.projected {
        return projected
            .sources
            .iter()
            .flatten()
            .try_for_each(|one| source(&volume.name, one));
    }
    if volume.host_path.is_some() || volume.empty_dir.is_some() {
        return Ok(());
    }
    let kind = match serde_json::to_value(volume) {
        Ok(Value::Object(map)) => map.keys().find(|key| *key != "name").cloned(),
        _ => None,
    };
    let kind = kind.unwrap_or_else(|| "nothing".to_owned());
    let field = format!("spec.volumes[{}] of kind {kind}", volume.name);
    Err(Unsupported {
        field,
        advice: "use hostPath, emptyDir, configMap or projected",
    })
}

/// Files with a mode of their own are not made.
fn items<'a>(
    name: &str,
    items: impl IntoIterator<Item = &'a KeyToPath>,
) -> Result<(), Unsupported> {
    let own = items.into_iter().any(|item| item.mode.is_some());
    refuse_given(&[(format!("spec.volumes[{name}].items.mode"), own)])
}

fn source(name: &str, source: &VolumeProjection) -> Result<(), Unsupported> {
    let at = |field: &str| format!("spec.volumes[{name}].projected.{field}");
    let account = source.service_account_token.as_ref();
    let fields = source
        .downward_api
        .iter()
        .flat_map(|api| &api.items)
        .flatten();
    refuse_given(&[
        (at("secret"), source.secret.is_some()),
        (
            at("clusterTrustBundle"),
            source.cluster_trust_bundle.is_some(),
        ),
        (
            at("serviceAccountToken.audience"),
            account.is_some_and(|token| token.audience.is_some()),
        ),
        (
            at("downwardAPI.resourceFieldRef"),
            fields.clone().any(|file| file.resource_field_ref.is_some()),
        ),
        (
            at("downwardAPI.mode"),
            fields.clone().any(|file| file.mode.is_some()),
        ),
    ])?;
    let map = source.config_map.as_ref();
    items(name, map.iter().flat_map(|map| &map.items).flatten())
}

/// A probe of another kind than a command, or with a grace period of its own.
fn is_foreign_probe(probe: &Probe) -> bool {
    probe.exec.is_none() || probe.termination_grace_period_seconds.is_some()
}

fn container(container: &Container) -> Result<(), Unsupported> {
    let at = |field: &str| format!("spec.containers[{}].{field}", container.name);
    let mounts = || container.volume_mounts.iter().flatten();
    let given = [
        (
            "livenessProbe",
            container
                .liveness_probe
                .as_ref()
                .is_some_and(is_foreign_probe),
        ),
        (
            "readinessProbe",
            container
                .readiness_probe
                .as_ref()
                .is_some_and(is_foreign_probe),
        ),
        (
            "startupProbe",
            container
                .startup_probe
                .as_ref()
                .is_some_and(is_foreign_probe),
        ),
        ("lifecycle", container.lifecycle.is_some()),
        (
            "envFrom",
            container
                .env_from
                .as_ref()
                .is_some_and(|list| !list.is_empty()),
        ),
        ("volumeDevices", container.volume_devices.is_some()),
        (
            "volumeMounts.subPath",
            mounts().any(|mount| mount.sub_path.is_some() || mount.sub_path_expr.is_some()),
        ),
        (
            "env.valueFrom",
            container.env.iter().flatten().any(is_foreign),
        ),
    ];
    let given = given.map(|(field, given)| (at(field), given));
    refuse_given(&given)
}

/// Values from anywhere but the pod itself.
fn is_foreign(variable: &EnvVar) -> bool {
    variable
        .value_from
        .as_ref()
        .is_some_and(|from| from.field_ref.is_none())
}

fn refuse_given<T: ToString>(fields: &[(T, bool)]) -> Result<(), Unsupported> {
    match fields.iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Unsupported {
            field: field.to_string(),
            advice: REMOVE,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(extra: &Value) -> String {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        json_patch::merge(&mut spec, extra);
        check(&serde_json::from_value(spec).unwrap())
            .map_or_else(|refusal| refusal.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let secret = json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]});
        let text = "spec.volumes[v] of kind secret is not offered by the stand-in kubelet: \
                    use hostPath, emptyDir, configMap or projected";
        assert_eq!(refusal(&secret), text);
        let probe =
            json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"port": 80}}}]});
        assert!(refusal(&probe).starts_with("spec.containers[c].livenessProbe is not offered"));
        let sidecar = json!({"initContainers": [{"name": "i", "restartPolicy": "Always"}]});
        assert!(refusal(&sidecar).starts_with("spec.initContainers[i].restartPolicy is not"));
        let config = json!({"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "k"}}}]}]});
        assert!(refusal(&config).contains("env.valueFrom"));
    }

    #[test]
    fn what_can_be_done_passes() {
        let volumes = json!({"volumes": [{"name": "h", "hostPath": {"path": "/dev"}}, {"name": "e", "emptyDir": {}}]});
        assert_eq!(refusal(&volumes), "fine");
        let init = json!({"initContainers": [{"name": "i", "image": "i"}]});
        assert_eq!(refusal(&init), "fine");
        let probe = json!({"containers": [{"name": "c", "livenessProbe": {"exec": {"command": ["true"]}}}]});
        assert_eq!(refusal(&probe), "fine");
    }
}
