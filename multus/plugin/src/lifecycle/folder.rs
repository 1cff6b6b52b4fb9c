//! What the runtime's configuration folder holds: our configuration, what Go multus left, and the primary plugin's.

use std::path::{Path, PathBuf};

use cni::conf_dir;
use cni::config::NetworkList;
use host::error::Error;
use host::file;

use super::HostView;
use crate::primary::is_own;

/// The primary plugin's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// Its file, as it is found on the host.
    pub path: PathBuf,
    /// Name of its network.
    pub network: String,
    /// The whole list with the plugins of its folder, for the copy that outlives the file.
    pub bytes: Vec<u8>,
}

/// The folder, observed once.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Content of our file.
    pub ours: Option<Vec<u8>>,
    /// Files of multus under other names, which would shadow ours or be shadowed by it.
    pub left_over: Vec<String>,
    /// The primary, or why there is none.
    pub primary: Result<Primary, String>,
    /// The first configuration in the runtime's order, if it is not ours: another program put itself first.
    pub displaced_by: Option<String>,
}

/// Looks at the folder. `dir` is the path from here; `master` the primary's file name, empty for the first that is one;
/// `own` the name of our file.
pub fn observe(dir: &Path, master: &str, own: &str) -> Result<Seen, Error> {
    let names: Vec<String> = file::list(dir)?
        .into_iter()
        .filter(|name| is_configuration(name))
        .collect();
    let left_over = names
        .iter()
        .filter(|name| name.starts_with("00-multus") && *name != own)
        .cloned()
        .collect::<Vec<_>>();
    let displaced_by = names
        .iter()
        .find(|name| !left_over.contains(name))
        .filter(|name| *name != own && names.iter().any(|name| name == own))
        .cloned();
    Ok(Seen {
        ours: file::read(&dir.join(own))?,
        primary: choose(dir, &names, master, own),
        left_over,
        displaced_by,
    })
}

/// Go multus reads no `.json` here, the runtime does.
fn is_configuration(name: &str) -> bool {
    Path::new(name)
        .extension()
        .and_then(std::ffi::OsStr::to_str)
        .is_some_and(|end| ["conf", "conflist", "json"].contains(&end))
}

fn choose(dir: &Path, names: &[String], master: &str, own: &str) -> Result<Primary, String> {
    if !master.is_empty() {
        if master.contains('/') {
            return Err(format!(
                "multusMasterCNI \"{master}\" must be the name of a file in {}",
                dir.display()
            ));
        }
        return usable(dir, master);
    }
    let mut refused = Vec::new();
    for name in names {
        if name == own || name.starts_with("00-multus") {
            continue;
        }
        match usable(dir, name) {
            Ok(primary) => return Ok(primary),
            Err(why) => refused.push(why),
        }
    }
    Err(if refused.is_empty() {
        format!(
            "no primary CNI configuration in {}: install one, multus adds networks to it",
            dir.display()
        )
    } else {
        refused.join("; ")
    })
}

fn usable(dir: &Path, name: &str) -> Result<Primary, String> {
    let here = dir.join(name);
    let list: NetworkList = conf_dir::load(&here).map_err(|error| cni::error::chain(&error))?;
    if let Some(plugin) = list
        .plugins()
        .iter()
        .find(|plugin| is_own(plugin.plugin_type()))
    {
        return Err(format!(
            "{} has a plugin of type \"{}\", which is multus itself",
            here.display(),
            plugin.plugin_type()
        ));
    }
    list.check_name()
        .map_err(|error| format!("{}: {error}", here.display()))?;
    Ok(Primary {
        path: HostView::of(dir).on_host(&here),
        network: list.name().to_owned(),
        bytes: list.bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use host::file::Durability;

    use super::*;
    use crate::lifecycle::generated::FILE as OWN;

    const FLANNEL: &str = r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"flannel"}]}"#;
    const OURS: &str =
        r#"{"cniVersion":"1.0.0","name":"multus-cni-network","plugins":[{"type":"multus"}]}"#;

    fn seen(files: &[(&str, &str)], master: &str) -> Seen {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            file::write(
                &dir.path().join(name),
                text.as_bytes(),
                0o600,
                Durability::Process,
            )
            .unwrap();
        }
        observe(dir.path(), master, OWN).unwrap()
    }

    #[test]
    fn the_primary_is_the_first_configuration_that_is_none_of_ours() {
        let seen = seen(
            &[
                (OWN, OURS),
                ("05-broken.conf", "{"),
                ("06-mine.conf", r#"{"name":"x","type":"multus-shim"}"#),
                ("10-flannel.conflist", FLANNEL),
                ("20-b.conf", r#"{"name":"b","type":"bridge"}"#),
                ("README", "x"),
            ],
            "",
        );
        let primary = seen.primary.unwrap();
        assert_eq!(primary.network, "cbr0");
        assert!(primary.path.ends_with("10-flannel.conflist"));
        assert_eq!(seen.displaced_by, None);
    }

    #[test]
    fn a_named_master_is_taken_and_a_missing_one_is_an_error_that_names_it() {
        let files = [
            ("10-flannel.conflist", FLANNEL),
            ("20-b.conf", r#"{"name":"b","type":"bridge"}"#),
        ];
        assert_eq!(seen(&files, "20-b.conf").primary.unwrap().network, "b");
        let error = seen(&files, "30-c.conf").primary.unwrap_err();
        assert!(error.contains("30-c.conf"), "{error}");
        let error = seen(&files, "../x").primary.unwrap_err();
        assert!(error.contains("multusMasterCNI"), "{error}");
    }

    #[test]
    fn without_a_usable_primary_every_reason_is_told() {
        let error = seen(
            &[("05-a.conf", "{"), ("06-b.conflist", r#"{"name":"x"}"#)],
            "",
        )
        .primary
        .unwrap_err();
        assert!(
            error.contains("05-a.conf") && error.contains("06-b.conflist"),
            "{error}"
        );
        let error = seen(&[], "").primary.unwrap_err();
        assert!(error.contains("no primary CNI configuration"), "{error}");
    }

    #[test]
    fn a_configuration_before_ours_is_seen_and_go_multus_file_counts_as_left_over() {
        let seen = seen(
            &[
                ("00-aaa.conflist", FLANNEL),
                ("00-multus.conf", r#"{"name":"x","type":"multus-shim"}"#),
                (OWN, OURS),
            ],
            "",
        );
        assert_eq!(seen.displaced_by.as_deref(), Some("00-aaa.conflist"));
        assert_eq!(seen.left_over, ["00-multus.conf"]);
        assert!(seen.ours.is_some());
    }
}
