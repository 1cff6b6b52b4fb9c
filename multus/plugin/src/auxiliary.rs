//! The auxiliary chain: plugins of the node's admin that run for every pod after all its networks (spec/multus.md §6.6).
//!
//! Its files are beside the default network's, so the plugin finds them without daemon and API, and a plain pod stays
//! plain. Upstream logs a chain that cannot be loaded and goes on; here the pod is refused, as with every other network
//! that it is to have.

use std::path::Path;

use cni::Version;
use cni::conf_dir;
use cni::config::NetworkList;
use cni::error::code;
use cni::raw::Object;
use serde_json::value::RawValue;

use crate::config::NetConf;
use crate::failure::Failure;
use crate::passthru;
use crate::wire::{Attachment, Reason};

/// The chain as an attachment after `others`; `None` if the configuration names none, or there is no plugin in it.
pub fn attachment(conf: &NetConf, others: &[Attachment]) -> Result<Option<Attachment>, Failure> {
    let name = &conf.auxiliary_cni_chain_name;
    if name.is_empty() {
        return Ok(None);
    }
    let invalid = |why: String| {
        let msg = format!("auxiliaryCNIChainName \"{name}\": {why}");
        Failure::new(code::INVALID_CONFIG, Reason::NetworkInvalid, msg)
    };
    cni::name::check_network(name).map_err(|error| invalid(error.to_string()))?;
    let path = Path::new(&conf.cluster_network);
    let (true, Some(parent)) = (conf.cluster_network.contains('/'), path.parent()) else {
        let why = "its plugins are looked for beside the file of the default network: set clusterNetwork to a path";
        return Err(invalid(why.to_owned()));
    };
    let folder = if path.is_dir() { path } else { parent }.join(name);
    let plugins = conf_dir::plugins(&folder).map_err(|error| invalid(cni::error::chain(&error)))?;
    if plugins.is_empty() {
        return Ok(None);
    }
    let mut first = Object::new();
    first.set_str("type", passthru::NAME);
    let mut object = Object::new();
    object.set_str("cniVersion", version(conf).as_str());
    object.set_str("name", name);
    object.set("plugins", cni::raw::raw(&[first]));
    let mut list = NetworkList::parse(&object.to_bytes())
        .map_err(|error| invalid(cni::error::chain(&error)))?;
    for plugin in plugins {
        list.push_plugin(plugin);
    }
    Ok(Some(Attachment {
        name: name.clone(),
        default: false,
        ifname: free_name(others),
        config: text(&list),
        capabilities: std::collections::BTreeMap::new(),
        cni_args: Vec::new(),
        device: None,
        device_info: None,
        gateways: Vec::new(),
        keep_default_route: crate::wire::Families::default(),
    }))
}

/// That of our own configuration, as far as `passthru` and the plugins of older distributions speak it.
fn version(conf: &NetConf) -> Version {
    Version::of_config(&conf.cni_version)
        .unwrap_or(Version::V1_0_0)
        .clamp(Version::V0_3_0, Version::V1_0_0)
}

/// `net<position>`, or the next one that no network has asked for.
fn free_name(others: &[Attachment]) -> String {
    let mut position = others.len();
    loop {
        let name = format!("net{position}");
        if others.iter().all(|other| other.ifname != name) {
            return name;
        }
        position += 1;
    }
}

fn text(list: &NetworkList) -> Box<RawValue> {
    list.object().to_raw()
}

#[cfg(test)]
mod tests {
    use host::file::{Durability, PRIVATE, create_dir, write};

    use super::*;

    struct Lab(tempfile::TempDir);

    impl Lab {
        fn with(files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            create_dir(&dir.path().join("vendor"), 0o700).unwrap();
            for (name, text) in files {
                let path = dir.path().join("vendor").join(name);
                write(&path, text.as_bytes(), PRIVATE, Durability::Process).unwrap();
            }
            Self(dir)
        }

        fn chain(&self, chain: &str, others: &[&str]) -> Result<Option<Attachment>, Failure> {
            let cluster = self.0.path().join("10-cbr0.conflist");
            let json = format!(
                r#"{{"cniVersion":"1.1.0","clusterNetwork":{cluster:?},"auxiliaryCNIChainName":"{chain}"}}"#
            );
            let other = |ifname: &&str| {
                let json = format!(r#"{{"name":"n","ifname":"{ifname}","config":{{}}}}"#);
                serde_json::from_str(&json).unwrap()
            };
            let others: Vec<Attachment> = others.iter().map(other).collect();
            attachment(&NetConf::parse(json.as_bytes()).unwrap(), &others)
        }
    }

    #[test]
    fn row_60_the_chain_is_passthru_and_the_plugins_of_its_folder_in_the_order_of_their_names() {
        let lab = Lab::with(&[
            ("20-b.conf", r#"{"type":"second"}"#),
            ("10-a.conf", r#"{ "type":"tuning","sysctl":{"a":"1"} }"#),
            ("readme.txt", "no plugin"),
        ]);
        let chain = lab.chain("vendor", &["eth0"]).unwrap().unwrap();
        assert_eq!(
            (chain.name.as_str(), chain.ifname.as_str()),
            ("vendor", "net1")
        );
        assert!(!chain.default);
        assert_eq!(
            chain.config.get(),
            r#"{"cniVersion":"1.0.0","name":"vendor","plugins":[{"type":"passthru"},{"type":"tuning","sysctl":{"a":"1"}},{"type":"second"}]}"#
        );
    }

    #[test]
    fn row_60_the_chains_interface_is_the_next_that_no_network_has_asked_for() {
        let lab = Lab::with(&[("a.conf", r#"{"type":"x"}"#)]);
        let named = |others: &[&str]| lab.chain("vendor", others).unwrap().unwrap().ifname;
        assert_eq!(named(&["eth0", "dpdk0", "net3", "net4"]), "net5");
        assert_eq!(named(&["eth0", "net1"]), "net2");
    }

    #[test]
    fn row_60_no_name_no_folder_and_no_plugin_mean_no_chain() {
        let lab = Lab::with(&[]);
        for chain in ["", "vendor", "absent"] {
            assert!(lab.chain(chain, &["eth0"]).unwrap().is_none(), "{chain}");
        }
    }

    #[test]
    fn row_60_a_chain_that_cannot_be_loaded_is_refused_and_not_left_out() {
        let lab = Lab::with(&[("a.conf", "{")]);
        for chain in ["vendor", "../vendor", "a/b"] {
            let failure = lab.chain(chain, &["eth0"]).unwrap_err();
            assert_eq!(failure.reason, Reason::NetworkInvalid);
            assert!(
                failure.msg.contains("auxiliaryCNIChainName"),
                "{}",
                failure.msg
            );
        }
        let by_name = br#"{"clusterNetwork":"cbr0","auxiliaryCNIChainName":"vendor"}"#;
        let failure = attachment(&NetConf::parse(by_name).unwrap(), &[]).unwrap_err();
        assert!(
            failure.msg.contains("set clusterNetwork to a path"),
            "{}",
            failure.msg
        );
    }
}
