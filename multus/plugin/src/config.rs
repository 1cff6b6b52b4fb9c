//! The plugin's network configuration: stdin of `multus`, and the base of the daemon's planning.
//!
//! Keys and defaults are those of Go multus (spec/multus.md §1.1). Unknown keys are ignored, `null`
//! is the same as absent, and no key is read that a command does not need: a DEL must not fail for
//! a log level.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::wire::{ANNOTATIONS_CAPABILITY, DEFAULT_SOCKET, SOCKET_NAME};

mod namespaces;

pub use namespaces::Namespaces;

/// The plugin type names that are this program. A delegate of such a type would be a recursion.
pub const OWN_TYPES: [&str; 3] = ["multus", "multus-shim", "multus-daemon"];

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or a key of the wrong type; the source names line and column.
    #[error("parse the multus configuration")]
    Parse(#[source] serde_json::Error),
    /// Neither way of naming the default network is used.
    #[error(
        "multus configuration \"{name}\" names no default network: set \"clusterNetwork\", or put one into \"delegates\""
    )]
    NoPrimary {
        /// Name of the configuration.
        name: String,
    },
}

/// The default network, one of two ways.
#[derive(Debug, Clone)]
pub enum Primary {
    /// `clusterNetwork`: a NAD's name, a network's name in `confDir`, a directory or a file
    /// (spec/multus.md §1.3).
    Reference(String),
    /// `delegates`: configurations or lists, the first is the default network, the others are
    /// attached to every pod.
    Inline(Vec<Box<RawValue>>),
}

/// Where plans come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planner {
    /// The daemon at this socket.
    Socket(PathBuf),
    /// `multus-daemon plan` and `multus-daemon report` as child processes; it reads `kubeconfig`
    /// from the configuration it is given.
    Child,
    /// None: the configuration names neither, and annotations are not read (upstream's thin mode
    /// without API, spec/multus.md §10 row 46).
    Absent,
}

/// The configuration, defaults applied.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "the keys are documented in spec/multus.md §1.1"
)]
pub struct NetConf {
    #[serde(default, deserialize_with = "or_default")]
    pub cni_version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub capabilities: BTreeMap<String, bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub cluster_network: String,
    /// Extra networks of every pod; honoured only together with `clusterNetwork`.
    #[serde(default, deserialize_with = "or_default")]
    pub default_networks: Vec<String>,
    /// Use [`NetConf::primary`].
    #[serde(default, deserialize_with = "or_default")]
    delegates: Vec<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_default")]
    pub kubeconfig: String,
    #[serde(
        default = "conf_dir",
        deserialize_with = "or_conf_dir",
        alias = "cniConf"
    )]
    pub conf_dir: PathBuf,
    #[serde(default = "cni_dir", deserialize_with = "or_cni_dir")]
    pub cni_dir: PathBuf,
    /// Put before CNI_PATH.
    #[serde(default = "bin_dir", deserialize_with = "or_bin_dir")]
    pub bin_dir: PathBuf,
    #[serde(default = "multus_namespace", deserialize_with = "or_multus_namespace")]
    pub multus_namespace: String,
    #[serde(
        default = "system_namespaces",
        deserialize_with = "or_system_namespaces"
    )]
    pub system_namespaces: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub namespace_isolation: bool,
    /// Use [`NetConf::namespaces_exempt_from_isolation`].
    #[serde(default, deserialize_with = "or_default")]
    pub global_namespaces: String,
    #[serde(
        default,
        deserialize_with = "or_default",
        rename = "readinessindicatorfile"
    )]
    pub readiness_indicator_file: String,
    #[serde(default, deserialize_with = "or_default")]
    pub retry_delete_on_error: bool,
    #[serde(
        default,
        deserialize_with = "or_default",
        rename = "auxiliaryCNIChainName"
    )]
    pub auxiliary_cni_chain_name: String,
    /// Everything the runtime offers, by key.
    #[serde(default, deserialize_with = "or_default")]
    pub runtime_config: BTreeMap<String, Box<RawValue>>,
    /// Result of our ADD, given back by the runtime on DEL and CHECK.
    #[serde(default)]
    pub prev_result: Option<Box<RawValue>>,
    /// Valid attachments, on GC.
    #[serde(default, rename = "cni.dev/valid-attachments")]
    pub valid_attachments: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_default")]
    pub log_file: String,
    #[serde(default, deserialize_with = "or_default")]
    pub log_level: String,
    #[serde(default)]
    pub log_to_stderr: Option<bool>,
    #[serde(default)]
    pub log_options: Option<Box<RawValue>>,
    /// Folder of the daemon's socket; absent: see [`NetConf::planner`].
    #[serde(default, deserialize_with = "or_default")]
    pub daemon_socket_dir: String,
    /// Ours: the namespaces whose own annotations give networks to their pods; none by default, because asking
    /// for a namespace is one more right of the daemon and makes these pods depend on it.
    #[serde(default, deserialize_with = "or_default")]
    pub namespace_defaults: Namespaces,
    /// Ours: the plugin types that a NAD may name; absent: all.
    #[serde(default)]
    pub allowed_plugins: Option<Vec<String>>,
    /// Ours: a wish of a pod that would be met in part only, with a warning, is refused.
    #[serde(default, deserialize_with = "or_default")]
    pub strict: bool,
    /// Ours: devices also come from the pod's resource claims (DRA).
    #[serde(default, deserialize_with = "or_default")]
    pub dra: bool,
    /// Ours: seconds one plugin of a delegate may take for ADD, CHECK, STATUS or GC; default 90.
    /// DEL gets the same.
    #[serde(default)]
    pub delegate_timeout_seconds: Option<u32>,
}

impl NetConf {
    /// Reads a configuration. Whether it names a default network is asked by [`Self::primary`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(bytes).map_err(ConfigError::Parse)
    }

    /// The default network. `clusterNetwork` wins; `delegates` is then not even looked at.
    pub fn primary(&self) -> Result<Primary, ConfigError> {
        if !self.cluster_network.is_empty() {
            Ok(Primary::Reference(self.cluster_network.clone()))
        } else if !self.delegates.is_empty() {
            Ok(Primary::Inline(self.delegates.clone()))
        } else {
            Err(ConfigError::NoPrimary {
                name: self.name.clone(),
            })
        }
    }

    /// Where plans come from: the socket if `daemonSocketDir` is set; a child if `kubeconfig` is; the
    /// default socket if this is the shim or the runtime is asked for annotations; else nothing.
    pub fn planner(&self) -> Planner {
        if !self.daemon_socket_dir.is_empty() {
            Planner::Socket(PathBuf::from(&self.daemon_socket_dir).join(SOCKET_NAME))
        } else if !self.kubeconfig.is_empty() {
            Planner::Child
        } else if self.kind == "multus-shim"
            || self.capabilities.get(ANNOTATIONS_CAPABILITY) == Some(&true)
        {
            Planner::Socket(PathBuf::from(DEFAULT_SOCKET))
        } else {
            Planner::Absent
        }
    }

    /// `defaultNetworks` for pods of `namespace`: none without `clusterNetwork`, none in a system
    /// namespace.
    pub fn default_networks_of(&self, namespace: &str) -> &[String] {
        if self.cluster_network.is_empty() || self.system_namespaces.iter().any(|n| n == namespace)
        {
            &[]
        } else {
            &self.default_networks
        }
    }

    /// Whether the annotations of this namespace count for its pods: never in a system namespace.
    pub fn asks_namespace(&self, namespace: &str) -> bool {
        self.namespace_defaults.contains(namespace)
            && !self.system_namespaces.iter().any(|n| n == namespace)
    }

    /// Namespaces whose NADs every pod may use under `namespaceIsolation`. Setting
    /// `globalNamespaces` replaces the implicit `default`.
    pub fn namespaces_exempt_from_isolation(&self) -> Vec<&str> {
        if self.global_namespaces.is_empty() {
            vec!["default"]
        } else {
            self.global_namespaces.split(',').map(str::trim).collect()
        }
    }

    /// File in which the daemon keeps the configuration of a default network that `clusterNetwork`
    /// names by a NAD, so that plain pods need neither daemon nor API. Its content is the NAD's
    /// configuration or list with its name injected. `None` when `clusterNetwork` is a path or unset.
    pub fn kept_primary(&self) -> Option<PathBuf> {
        let name = &self.cluster_network;
        let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        plain.then(|| {
            self.cni_dir
                .join("primary")
                .join(&self.multus_namespace)
                .join(format!("{name}.json"))
        })
    }

    /// Longest time one delegate process may take.
    pub fn delegate_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(
            self.delegate_timeout_seconds.unwrap_or(90).max(1),
        ))
    }
}

/// `null` counts as absent, as in Go.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A default, and a reader for which an empty value means that default, as in Go.
macro_rules! with_default {
    ($default:ident, $reader:ident, $type:ty, $value:expr, $is_empty:expr) => {
        fn $default() -> $type {
            $value
        }
        fn $reader<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            let value: Option<$type> = Option::deserialize(deserializer)?;
            Ok(value.filter(|v| !$is_empty(v)).unwrap_or_else($default))
        }
    };
}

with_default!(
    conf_dir,
    or_conf_dir,
    PathBuf,
    "/etc/cni/multus/net.d".into(),
    |p: &PathBuf| p.as_os_str().is_empty()
);
with_default!(
    cni_dir,
    or_cni_dir,
    PathBuf,
    "/var/lib/cni/multus".into(),
    |p: &PathBuf| p.as_os_str().is_empty()
);
with_default!(
    bin_dir,
    or_bin_dir,
    PathBuf,
    "/opt/cni/bin".into(),
    |p: &PathBuf| p.as_os_str().is_empty()
);
with_default!(
    multus_namespace,
    or_multus_namespace,
    String,
    "kube-system".into(),
    String::is_empty
);
with_default!(
    system_namespaces,
    or_system_namespaces,
    Vec<String>,
    vec!["kube-system".into()],
    Vec::is_empty
);

#[cfg(test)]
mod tests;
