//! The daemon's configuration file (spec/multus.md §1.2).
//!
//! A file made for Go multus works unchanged: keys that concern generating the CNI configuration or
//! executing delegates are not read here. Policy keys overlay those of each request, as upstream's do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use cni::raw::Object;
use multus_plugin::config::NetConf;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::certificate::settings::CertificateSettings;
use crate::logging::LogSettings;

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
    /// `metricsPort` or `metricsAddress`.
    #[error(
        "daemon configuration: \"metricsPort\" {port} at \"metricsAddress\" {address:?} cannot be listened on: use a port below 65536 and an IP address"
    )]
    Metrics {
        /// As written.
        port: i64,
        /// As written.
        address: String,
    },
    /// `perNodeCertificate` is on and lacks something (spec/multus.md §1.2).
    #[error("daemon configuration: \"perNodeCertificate\": {0}")]
    Certificate(String),
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
    /// Where log lines go, and which.
    pub log: LogSettings,
    /// Where metrics are served over TCP.
    pub metrics: Option<SocketAddr>,
    /// `/debug/state` beside them.
    pub debug: bool,
    /// This node's own client certificate, if it is to have one.
    pub certificate: Option<CertificateSettings>,
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
    #[serde(flatten)]
    log: LogSettings,
    metrics_port: Option<i64>,
    metrics_address: Option<String>,
    enable_pprof: Option<bool>,
    per_node_certificate: Option<CertificateSettings>,
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
            log: raw.log,
            metrics: listen(raw.metrics_port, raw.metrics_address.as_deref())?,
            debug: raw.enable_pprof.unwrap_or_default(),
            certificate: certificate(raw.per_node_certificate)?,
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

/// Go multus listens on all addresses; without an address ours is loopback (spec/multus.md §9.2).
fn listen(port: Option<i64>, address: Option<&str>) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(port) = port.filter(|port| *port != 0) else {
        return Ok(None);
    };
    let address = address.filter(|text| !text.is_empty());
    let wrong = || ConfigError::Metrics {
        port,
        address: address.unwrap_or_default().to_owned(),
    };
    let ip: IpAddr = match address {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(text) => text.parse().map_err(|_| wrong())?,
    };
    let port = u16::try_from(port).map_err(|_| wrong())?;
    Ok(Some((ip, port).into()))
}

fn certificate(
    settings: Option<CertificateSettings>,
) -> Result<Option<CertificateSettings>, ConfigError> {
    let Some(settings) = settings.filter(|settings| settings.enabled) else {
        return Ok(None);
    };
    for (key, path) in [
        ("bootstrapKubeconfig", &settings.bootstrap_kubeconfig),
        ("certDir", &settings.cert_dir),
    ] {
        if path.as_os_str().is_empty() {
            return Err(ConfigError::Certificate(format!("set \"{key}\"")));
        }
    }
    settings.lifetime().map_err(ConfigError::Certificate)?;
    Ok(Some(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_55_metrics_are_off_then_on_loopback_then_where_the_file_says() {
        let address = |text: &str| Config::parse(Some(text.as_bytes())).map(|c| c.metrics);
        assert_eq!(address("{}").unwrap(), None);
        assert_eq!(address(r#"{"metricsPort":0}"#).unwrap(), None);
        let on = |text| address(text).unwrap().unwrap().to_string();
        assert_eq!(on(r#"{"metricsPort":9091}"#), "127.0.0.1:9091");
        assert_eq!(
            on(r#"{"metricsPort":9091,"metricsAddress":"::"}"#),
            "[::]:9091"
        );
        for wrong in [
            r#"{"metricsPort":70000}"#,
            r#"{"metricsPort":1,"metricsAddress":"localhost"}"#,
        ] {
            let error = address(wrong).unwrap_err().to_string();
            assert!(error.contains("metricsPort"), "{error}");
        }
    }

    #[test]
    fn row_56_a_certificate_without_its_paths_or_with_no_duration_is_refused() {
        let parse = |block: &str| {
            let text = format!(r#"{{"perNodeCertificate":{block}}}"#);
            Config::parse(Some(text.as_bytes())).map(|config| config.certificate)
        };
        assert_eq!(parse(r#"{"enabled":false}"#).unwrap(), None);
        let error = parse(r#"{"enabled":true,"certDir":"/c"}"#).unwrap_err();
        assert!(error.to_string().contains("bootstrapKubeconfig"), "{error}");
        let paths = r#""enabled":true,"certDir":"/c","bootstrapKubeconfig":"/k""#;
        let settings = parse(&format!("{{{paths}}}")).unwrap().unwrap();
        assert_eq!(settings.lifetime().unwrap().as_secs(), 600);
        let settings = parse(&format!(r#"{{{paths},"certDuration":"1h30m"}}"#));
        let lifetime = settings.unwrap().unwrap().lifetime().unwrap();
        assert_eq!(lifetime.as_secs(), 5400);
        let error = parse(&format!(r#"{{{paths},"certDuration":"soon"}}"#)).unwrap_err();
        assert!(error.to_string().contains("soon"), "{error}");
    }

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
        assert_eq!(config.log.level(), "verbose");
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
