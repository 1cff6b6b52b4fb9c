//! The configuration that puts multus before the primary plugin: a pure function of the daemon's configuration and the
//! primary's file (design §2, spec/multus.md §1.2).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::HostView;
use super::folder::Primary;
use super::intent::UninstallPolicy;
use crate::wire::ANNOTATIONS_CAPABILITY;

/// Name of the file. It sorts before those of primary plugins.
pub const FILE: &str = "00-multus.conflist";

/// Name of the network, as Go multus names it.
const NETWORK: &str = "multus-cni-network";

/// Keys of the daemon's file that go into the plugin's configuration as they are.
const COPIED: [&str; 19] = [
    "allowedPlugins",
    "dra",
    "namespaceDefaults",
    "strict",
    "binDir",
    "cniDir",
    "confDir",
    "defaultNetworks",
    "multusNamespace",
    "systemNamespaces",
    "namespaceIsolation",
    "globalNamespaces",
    "auxiliaryCNIChainName",
    "kubeconfig",
    "readinessindicatorfile",
    "logFile",
    "logLevel",
    "logOptions",
    "logToStderr",
];

/// What the configuration is generated from, besides the primary.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    keys: Map<String, Value>,
    /// File name of the primary in the configuration folder; empty: the first that is one.
    pub master: String,
    /// A configuration that the admin wrote; it is installed byte for byte instead of a generated one.
    pub own_file: Option<PathBuf>,
    /// For [`super::intent::Installation`].
    pub uninstall_policy: UninstallPolicy,
}

impl Settings {
    /// Takes what concerns the plugin from the daemon's configuration file; unknown keys and values of a wrong type
    /// are passed over, since the plugin's own reader says better what is wrong with them.
    pub fn of(daemon: &Map<String, Value>) -> Self {
        let text = |key: &str| {
            daemon
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut keys: Map<String, Value> = daemon
            .iter()
            .filter(|(key, value)| COPIED.contains(&key.as_str()) && !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // The daemon has words of its own. Below "debug" it tells of itself; the plugin's refusals are told anyway.
        match text("logLevel").as_str() {
            "warn" | "info" => drop(keys.remove("logLevel")),
            "trace" => drop(keys.insert("logLevel".to_owned(), json!("debug"))),
            _ => {}
        }
        for key in [
            "capabilities",
            "clusterNetwork",
            "daemonSocketDir",
            "overrideNetworkName",
        ] {
            if let Some(value) = daemon.get(key) {
                keys.insert(key.to_owned(), value.clone());
            }
        }
        let own_file = text("multusConfigFile");
        Self {
            keys,
            master: text("multusMasterCNI"),
            own_file: (!own_file.is_empty() && own_file != "auto").then(|| own_file.into()),
            uninstall_policy: match text("uninstallPolicy").as_str() {
                "primaryOnly" => UninstallPolicy::PrimaryOnly,
                _ => UninstallPolicy::Block,
            },
        }
    }

    /// The folder of the daemon's socket as the plugin finds it on the host, if it is not the usual one.
    pub fn serve_socket_from(&mut self, folder: &Path) {
        let host = HostView::of(folder).on_host(folder);
        if !self.keys.contains_key("daemonSocketDir") && host != Path::new("/run/multus") {
            self.keys.insert("daemonSocketDir".to_owned(), json!(host));
        }
    }

    /// The file's content: a list whose only plugin is multus, with the primary's file as its default network.
    pub fn generate(&self, primary: &Primary) -> Vec<u8> {
        let keys = &self.keys;
        let override_name = keys.get("overrideNetworkName") == Some(&Value::Bool(true));
        let name = if override_name {
            primary.network.as_str()
        } else {
            NETWORK
        };
        let mut capabilities = match keys.get("capabilities") {
            Some(Value::Object(map)) => map.clone(),
            _ => Map::new(),
        };
        capabilities.insert(ANNOTATIONS_CAPABILITY.to_owned(), Value::Bool(true));
        let mut plugin: Map<String, Value> = keys.clone();
        plugin.remove("overrideNetworkName");
        plugin.insert("type".to_owned(), json!("multus"));
        plugin.insert("capabilities".to_owned(), json!(capabilities));
        let other = keys.get("clusterNetwork").and_then(Value::as_str);
        let default = other
            .filter(|name| !name.is_empty())
            .map_or_else(|| json!(primary.path), |name| json!(name));
        plugin.insert("clusterNetwork".to_owned(), default);
        // libcni 1.1 of containerd 1.6 and 1.7 fails on a plain 1.1.0; newer ones choose from the list.
        json!({
            "cniVersion": "1.0.0",
            "cniVersions": ["1.0.0", "1.1.0"],
            "name": name,
            "plugins": [plugin],
        })
        .to_string()
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use cni::config::NetworkList;

    use super::*;
    use crate::config::{NetConf, Planner, Primary as Default};

    fn generate(daemon: &Value) -> (Value, NetConf) {
        let mut settings = Settings::of(daemon.as_object().unwrap());
        settings.serve_socket_from(Path::new(
            daemon["socketDir"].as_str().unwrap_or("/run/multus"),
        ));
        let bytes = settings.generate(&Primary {
            path: "/etc/cni/net.d/10-flannel.conflist".into(),
            network: "cbr0".into(),
            bytes: Vec::new(),
        });
        NetworkList::parse(&bytes).unwrap();
        let list: Value = serde_json::from_slice(&bytes).unwrap();
        let mut plugin = list["plugins"][0].clone();
        plugin["name"] = list["name"].clone();
        let conf = NetConf::parse(plugin.to_string().as_bytes()).unwrap();
        (list, conf)
    }

    #[test]
    fn row_51_the_generated_configuration_names_the_primary_and_asks_for_annotations() {
        let (list, conf) = generate(&json!({}));
        assert_eq!(list["cniVersion"], "1.0.0");
        assert_eq!(list["cniVersions"], json!(["1.0.0", "1.1.0"]));
        assert_eq!(list["name"], "multus-cni-network");
        assert_eq!(list["plugins"].as_array().unwrap().len(), 1);
        let primary = conf.primary().unwrap();
        assert!(
            matches!(&primary, Default::Reference(path) if path == "/etc/cni/net.d/10-flannel.conflist"),
            "{primary:?}"
        );
        assert_eq!(
            conf.planner(),
            Planner::Socket("/run/multus/multus.sock".into())
        );
    }

    #[test]
    fn row_51_the_manifest_of_go_multus_gives_host_paths() {
        let (list, conf) = generate(&json!({
            "chrootDir": "/hostroot", "cniVersion": "0.3.1", "logLevel": "verbose", "logToStderr": true,
            "cniConfigDir": "/host/etc/cni/net.d", "multusAutoconfigDir": "/host/etc/cni/net.d",
            "multusConfigFile": "auto", "socketDir": "/host/var/run/other/", "namespaceIsolation": true,
            "capabilities": {"portMappings": true}
        }));
        assert_eq!(
            conf.planner(),
            Planner::Socket("/var/run/other/multus.sock".into())
        );
        assert!(conf.namespace_isolation);
        assert_eq!(
            list["plugins"][0]["capabilities"],
            json!({"portMappings": true, ANNOTATIONS_CAPABILITY: true})
        );
        assert_eq!(list["plugins"][0].get("chrootDir"), None);
    }

    #[test]
    fn a_level_in_the_daemons_words_is_none_that_the_plugin_complains_about() {
        let level = |word: &str| {
            let (list, _) = generate(&json!({"logLevel": word}));
            list["plugins"][0].get("logLevel").cloned()
        };
        assert_eq!([level("info"), level("warn")], [None, None]);
        assert_eq!(level("trace"), Some(json!("debug")));
        assert_eq!(level("verbose"), Some(json!("verbose")));
        assert_eq!(
            level("loud"),
            Some(json!("loud")),
            "the plugin says what is wrong with it"
        );
    }

    #[test]
    fn row_50_what_the_plugin_acts_on_alone_goes_from_the_daemons_file_into_the_generated_one() {
        let (_, conf) = generate(&json!({
            "clusterNetwork": "own-net", "defaultNetworks": ["extra"], "binDir": "/b", "cniDir": "/c",
            "namespaceDefaults": ["d"], "allowedPlugins": ["macvlan"], "strict": true, "dra": true
        }));
        let primary = conf.primary().unwrap();
        assert!(
            matches!(&primary, Default::Reference(name) if name == "own-net"),
            "{primary:?}"
        );
        assert_eq!(conf.default_networks_of("d"), ["extra"]);
        assert_eq!(
            (conf.bin_dir.as_path(), conf.cni_dir.as_path()),
            (Path::new("/b"), Path::new("/c"))
        );
        assert!(conf.asks_namespace("d") && conf.strict && conf.dra);
        assert_eq!(conf.allowed_plugins, Some(vec!["macvlan".to_owned()]));
    }

    #[test]
    fn row_51_the_networks_name_can_be_the_primarys() {
        let (list, _) = generate(&json!({"overrideNetworkName": true}));
        assert_eq!(list["name"], "cbr0");
        assert_eq!(list["plugins"][0].get("overrideNetworkName"), None);
    }
}
