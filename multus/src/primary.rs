//! The default network that `clusterNetwork` names by a NAD, kept as a file for the plugin, so that
//! plain pods need neither daemon nor API server (design §2 "Plain pods").

use std::path::PathBuf;

use cni::net_attach::nad;
use host::file::{self, Durability};
use multus_plugin::allowed;
use multus_plugin::config::NetConf;
use tracing::{info, warn};

use crate::known::{Nad, NadKey};

/// The NAD behind `clusterNetwork`, and the file that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The NAD.
    pub key: NadKey,
    /// The file.
    pub path: PathBuf,
    /// Plugin types that a NAD may name; `None`: all.
    pub allowed: Option<Vec<String>>,
}

/// What a configuration wants kept; `None` unless `clusterNetwork` may name a NAD. `own` is the plugin's
/// configuration without the daemon's policy over it: the plugin looks for the file by that.
pub fn wanted(conf: &NetConf, own: &NetConf) -> Option<Kept> {
    Some(Kept {
        path: own.kept_primary()?,
        key: NadKey {
            namespace: conf.multus_namespace.clone(),
            name: conf.cluster_network.clone(),
        },
        allowed: conf.allowed_plugins.clone(),
    })
}

/// Writes the file if it is missing or different. A NAD that is not usable leaves the last good file;
/// one with a resource has none, because each pod needs a device of its own.
pub fn keep(kept: &Kept, nad: &Nad) {
    let Some(bytes) = content(kept, nad) else {
        return;
    };
    if let Err(error) = write(kept, &bytes) {
        warn!(nad = %kept.key, error = cni::error::chain(&error), "keep the default network");
    }
}

fn content(kept: &Kept, nad: &Nad) -> Option<Vec<u8>> {
    if nad.resource_name.is_some() || nad.config.trim().is_empty() {
        return None;
    }
    let list = nad::config(&kept.key.name, Some(&nad.config), std::path::Path::new(""))
        .map_err(|error| cni::error::chain(&error))
        .and_then(|list| {
            let allowed = allowed::check(&list, kept.allowed.as_deref());
            allowed.map(|()| list).map_err(|error| error.to_string())
        });
    match list {
        Ok(list) => Some(list.bytes().to_vec()),
        Err(error) => {
            warn!(nad = %kept.key, error, "the default network cannot be used");
            None
        }
    }
}

fn write(kept: &Kept, bytes: &[u8]) -> Result<(), host::error::Error> {
    if file::read(&kept.path)?.as_deref() == Some(bytes) {
        return Ok(());
    }
    if let Some(dir) = kept.path.parent() {
        file::create_dir(dir, file::PRIVATE_DIR)?;
    }
    // Plain pods depend on it after a power cut, when the API server may not be reachable yet.
    file::write(&kept.path, bytes, file::PRIVATE, Durability::PowerCut)?;
    info!(nad = %kept.key, path = %kept.path.display(), "default network kept for the plugin");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(dir: &std::path::Path) -> Kept {
        let conf = format!(
            r#"{{"name":"n","type":"multus","clusterNetwork":"cbr0","cniDir":{:?}}}"#,
            dir.display()
        );
        let conf = NetConf::parse(conf.as_bytes()).unwrap();
        wanted(&conf, &conf).unwrap()
    }

    fn nad(config: &str) -> Nad {
        Nad {
            config: config.into(),
            resource_name: None,
        }
    }

    #[test]
    fn the_nads_configuration_is_kept_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let kept = kept(dir.path());
        assert_eq!(kept.key.to_string(), "kube-system/cbr0");
        keep(&kept, &nad(r#"{"cniVersion":"1.0.0","type":"bridge"}"#));
        let text = file::read_text(&kept.path).unwrap().unwrap();
        assert!(
            text.contains(r#""name":"cbr0""#) && text.contains("bridge"),
            "{text}"
        );
    }

    #[test]
    fn an_invalid_nad_leaves_the_last_good_file() {
        let dir = tempfile::tempdir().unwrap();
        let kept = kept(dir.path());
        keep(&kept, &nad(r#"{"type":"bridge"}"#));
        let good = file::read(&kept.path).unwrap();
        for bad in ["{", "null", r#"{"name":"x"}"#, ""] {
            keep(&kept, &nad(bad));
            assert_eq!(file::read(&kept.path).unwrap(), good, "{bad}");
        }
    }

    #[test]
    fn row_68_a_nad_of_a_type_that_is_not_allowed_leaves_the_last_good_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = kept(dir.path());
        kept.allowed = Some(vec!["bridge".into()]);
        keep(&kept, &nad(r#"{"type":"bridge"}"#));
        let good = file::read(&kept.path).unwrap();
        assert!(good.is_some());
        keep(&kept, &nad(r#"{"type":"evil"}"#));
        assert_eq!(file::read(&kept.path).unwrap(), good);
    }

    #[test]
    fn a_network_that_needs_a_device_per_pod_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let kept = kept(dir.path());
        let nad = Nad {
            config: r#"{"type":"sriov"}"#.into(),
            resource_name: Some("intel.com/x".into()),
        };
        keep(&kept, &nad);
        assert_eq!(file::read(&kept.path).unwrap(), None);
    }
}
