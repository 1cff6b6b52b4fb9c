//! A set of namespaces, as a configuration names it: `true`, `false` or a list.

use serde::Deserialize;

/// Which namespaces something holds for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or a list of namespaces")]
pub enum Namespaces {
    /// All of them, or none.
    All(bool),
    /// These.
    Named(Vec<String>),
}

impl Namespaces {
    /// Whether `namespace` is one of them. The empty name is none.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All(all) => *all && !namespace.is_empty(),
            Self::Named(names) => names.iter().any(|name| name == namespace),
        }
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::All(false)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::NetConf;

    fn asks(key: &str, namespace: &str) -> bool {
        let json = format!(r#"{{"name":"n","clusterNetwork":"x"{key}}}"#);
        NetConf::parse(json.as_bytes())
            .unwrap()
            .asks_namespace(namespace)
    }

    #[test]
    fn row_67_no_namespace_is_asked_unless_the_configuration_says_so() {
        assert!(!asks("", "d"));
        assert!(!asks(r#","namespaceDefaults":null"#, "d"));
        assert!(!asks(r#","namespaceDefaults":false"#, "d"));
        assert!(!asks(r#","namespaceDefaults":[]"#, "d"));
    }

    #[test]
    fn row_67_all_namespaces_or_those_named_are_asked_and_system_namespaces_never() {
        assert!(asks(r#","namespaceDefaults":true"#, "d"));
        assert!(!asks(r#","namespaceDefaults":true"#, "kube-system"));
        assert!(asks(r#","namespaceDefaults":["a","d"]"#, "d"));
        assert!(!asks(r#","namespaceDefaults":["a"]"#, "d"));
        assert!(!asks(
            r#","namespaceDefaults":["kube-system"]"#,
            "kube-system"
        ));
    }

    #[test]
    fn a_value_that_is_neither_is_refused_with_what_it_may_be() {
        let error = NetConf::parse(br#"{"name":"n","namespaceDefaults":"d"}"#).unwrap_err();
        let text = cni::error::chain(&error);
        assert!(text.contains("a list of namespaces"), "{text}");
    }
}
