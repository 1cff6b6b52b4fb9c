//! The daemon's configuration file (spec/multus.md §1.2).
//!
//! A file made for Go multus works unchanged: keys that concern generating the CNI configuration or
//! executing delegates are not read here. Policy keys overlay those of each request, as upstream's do.

use std::path::PathBuf;

use cni::raw::Object;
use multus_plugin::config::NetConf;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Keys of the file that replace those of the plugin's configuration when it is planned with: what the planner
/// alone decides by (spec/multus.md §10 row 50).
const OVERLAID: [&str; 8] = [
    "allowedPlugins",
    "dra",
    "strict",
    "namespaceIsolation",
    "globalNamespaces",
    "multusNamespace",
    "systemNamespaces",
    "confDir",
];

/// Keys that the plugin acts upon without asking, so that laying them over what it asks would give plain pods other
/// networks than those that ask. They take the other way: from the file into the generated configuration.
const GENERATED: [&str; 6] = [
    "clusterNetwork",
    "defaultNetworks",
    "namespaceDefaults",
    "auxiliaryCNIChainName",
    "binDir",
    "readinessindicatorfile",
];

/// Requests worked on at the same time unless `connectionLimit` says otherwise.
const CONNECTIONS: usize = 64;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a JSON object, or a key has the wrong type; the source names line and column.
    #[error("parse the daemon configuration")]
    Parse(#[source] serde_json::Error),
    /// `connectionLimit` must be at least 1.
    #[error("daemon configuration: \"connectionLimit\" is {0}, set at least 1 or remove the key")]
    Limit(i64),
}

/// The file, defaults applied.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the socket.
    pub socket_dir: PathBuf,
    /// Requests worked on at the same time.
    pub connection_limit: usize,
    /// Level word of Go multus or of tracing; empty: info.
    pub log_level: String,
    /// State folder, shared with the plugin.
    pub cni_dir: PathBuf,
    /// The runtime's configuration folder, where `00-multus.conflist` is.
    pub cni_config_dir: PathBuf,
    overlay: Map<String, Value>,
    keys: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawConfig {
    socket_dir: Option<PathBuf>,
    connection_limit: Option<i64>,
    log_level: Option<String>,
    cni_dir: Option<PathBuf>,
    cni_config_dir: Option<PathBuf>,
}

impl Config {
    /// Reads the file's content; `None` where there is no file.
    pub fn parse(bytes: Option<&[u8]>) -> Result<Self, ConfigError> {
        let all: Map<String, Value> = match bytes {
            Some(bytes) => serde_json::from_slice(bytes).map_err(ConfigError::Parse)?,
            None => Map::new(),
        };
        let raw: RawConfig =
            serde_json::from_value(Value::Object(all.clone())).map_err(ConfigError::Parse)?;
        let connection_limit = match raw.connection_limit {
            None => CONNECTIONS,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| *limit > 0)
                .ok_or(ConfigError::Limit(limit))?,
        };
        let or = |path: Option<PathBuf>, default: &str| match path {
            Some(path) if !path.as_os_str().is_empty() => path,
            _ => PathBuf::from(default),
        };
        Ok(Self {
            socket_dir: or(raw.socket_dir, "/run/multus"),
            connection_limit,
            log_level: raw.log_level.unwrap_or_default(),
            cni_dir: or(raw.cni_dir, "/var/lib/cni/multus"),
            cni_config_dir: or(raw.cni_config_dir, "/etc/cni/net.d"),
            overlay: all
                .clone()
                .into_iter()
                .filter(|(key, value)| OVERLAID.contains(&key.as_str()) && !value.is_null())
                .collect(),
            keys: all,
        })
    }

    /// The whole file.
    pub fn keys(&self) -> &Map<String, Value> {
        &self.keys
    }

    /// Keys of the file that nobody acts upon: those for the generated configuration, where the admin's own is
    /// installed instead of it (`multusConfigFile`).
    pub fn without_effect(&self) -> Vec<&str> {
        let own = self.keys.get("multusConfigFile").and_then(Value::as_str);
        if own.is_none_or(|file| file.is_empty() || file == "auto") {
            return Vec::new();
        }
        let set = |key: &&str| self.keys.get(*key).is_some_and(|value| !value.is_null());
        GENERATED.into_iter().filter(set).collect()
    }

    /// The plugin's configuration with this file's policy keys laid over it.
    pub fn overlaid(&self, bytes: &[u8]) -> Result<NetConf, multus_plugin::config::ConfigError> {
        let Ok(mut object) = Object::parse(bytes) else {
            // The plugin's own reader says better what is wrong.
            return NetConf::parse(bytes);
        };
        for (key, value) in &self.overlay {
            object.set(key, cni::raw::raw(value));
        }
        NetConf::parse(&object.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_defaults_hold() {
        let config = Config::parse(None).unwrap();
        assert_eq!(config.socket_dir, PathBuf::from("/run/multus"));
        assert_eq!(config.cni_dir, PathBuf::from("/var/lib/cni/multus"));
        assert_eq!(config.connection_limit, 64);
    }

    #[test]
    fn a_file_of_go_multus_is_accepted() {
        let config = Config::parse(Some(
            br#"{"chrootDir":"/hostroot","cniVersion":"0.3.1","logLevel":"verbose","logToStderr":true,
                "cniConfigDir":"/host/etc/cni/net.d","multusAutoconfigDir":"/host/etc/cni/net.d",
                "multusConfigFile":"auto","socketDir":"/host/run/multus/"}"#,
        ))
        .unwrap();
        assert_eq!(config.socket_dir, PathBuf::from("/host/run/multus/"));
        assert_eq!(config.log_level, "verbose");
    }

    #[test]
    fn a_connection_limit_below_one_is_refused() {
        let error = Config::parse(Some(br#"{"connectionLimit":0}"#)).unwrap_err();
        assert!(error.to_string().contains("connectionLimit"), "{error}");
    }

    #[test]
    fn row_50_keys_that_only_a_generated_configuration_would_have_are_named_where_none_is_generated()
     {
        let of = |file: &str| {
            let text = format!(
                r#"{{"multusConfigFile":"{file}","clusterNetwork":"x","binDir":null,"strict":true}}"#
            );
            let config = Config::parse(Some(text.as_bytes())).unwrap();
            config.without_effect().join(" ")
        };
        assert_eq!(of("auto"), "");
        assert_eq!(of("/etc/own.conf"), "clusterNetwork");
    }

    #[test]
    fn row_50_policy_keys_overlay_the_request_and_the_default_network_does_not() {
        let config = Config::parse(Some(
            br#"{"namespaceIsolation":true,"globalNamespaces":"a","clusterNetwork":"other",
                "strict":true,"allowedPlugins":["x"],"dra":true,"namespaceDefaults":true}"#,
        ))
        .unwrap();
        let conf = config
            .overlaid(br#"{"name":"n","type":"multus","clusterNetwork":"mine","namespaceIsolation":false}"#)
            .unwrap();
        assert!(conf.namespace_isolation);
        assert_eq!(conf.namespaces_exempt_from_isolation(), ["a"]);
        assert_eq!(conf.cluster_network, "mine");
        assert!(conf.strict && conf.dra && !conf.asks_namespace("d"));
        assert_eq!(conf.allowed_plugins, Some(vec!["x".to_owned()]));
    }
}
