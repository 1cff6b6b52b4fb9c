//! NetworkAttachmentDefinitions (`k8s.cni.cncf.io/v1`), trimmed to what planning reads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use cni::net_attach::RESOURCE_ANNOTATION;

use crate::known::{Nad, NadKey};

/// A NAD as the API server sends it. `spec` may be absent: the CRD does not demand it, and one such
/// object must not spoil the list of all others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NetworkAttachmentDefinition {
    /// Name, namespace and [`trim`]med annotations.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The only part besides the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<NadSpec>,
}

/// Spec of a NAD.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NadSpec {
    /// JSON text of a plugin configuration or list; empty: look in `confDir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

impl NetworkAttachmentDefinition {
    /// What the planner knows of it.
    pub fn facts(&self) -> (NadKey, Nad) {
        let meta = &self.metadata;
        let key = NadKey {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        };
        let annotation = |key| meta.annotations.as_ref()?.get(key).cloned();
        let nad = Nad {
            config: self
                .spec
                .as_ref()
                .and_then(|spec| spec.config.clone())
                .unwrap_or_default(),
            resource_name: annotation(RESOURCE_ANNOTATION).filter(|name| !name.is_empty()),
        };
        (key, nad)
    }
}

/// Drops everything that is not read later.
pub fn trim(nad: &mut NetworkAttachmentDefinition) {
    let mut meta = std::mem::take(&mut nad.metadata);
    let resource = meta
        .annotations
        .as_mut()
        .and_then(|all| all.remove(RESOURCE_ANNOTATION));
    nad.metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        annotations: resource
            .map(|value| BTreeMap::from([(RESOURCE_ANNOTATION.to_owned(), value)])),
        ..ObjectMeta::default()
    };
}

impl Resource for NetworkAttachmentDefinition {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "NetworkAttachmentDefinition".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "k8s.cni.cncf.io".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "network-attachment-definitions".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nad_without_a_spec_is_an_empty_configuration_and_not_an_error() {
        for json in [
            r#"{"metadata":{"name":"n","namespace":"d"}}"#,
            r#"{"metadata":{"name":"n","namespace":"d"},"spec":null}"#,
            r#"{"metadata":{"name":"n","namespace":"d"},"spec":{"config":null}}"#,
        ] {
            let nad: NetworkAttachmentDefinition = serde_json::from_str(json).unwrap();
            assert_eq!(nad.facts().1.config, "", "{json}");
        }
    }

    #[test]
    fn trimming_keeps_the_resource_name() {
        let mut nad: NetworkAttachmentDefinition = serde_json::from_str(
            r#"{"metadata":{"name":"n","namespace":"d","labels":{"a":"b"},"annotations":{
                "k8s.v1.cni.cncf.io/resourceName":"intel.com/x","last-applied":"long"}},
                "spec":{"config":"{}"}}"#,
        )
        .unwrap();
        trim(&mut nad);
        let (key, facts) = nad.facts();
        assert_eq!(key.to_string(), "d/n");
        assert_eq!(facts.resource_name.as_deref(), Some("intel.com/x"));
        assert_eq!(nad.metadata.annotations.unwrap().len(), 1);
        assert!(nad.metadata.labels.is_none());
    }
}
