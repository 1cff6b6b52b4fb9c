//! What is installed on this node and whether it is to serve or to drain: one durable file, changed under one lock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Error;
use host::file::{self, Durability, PRIVATE_DIR};
use host::lock::Lock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What multus is to do on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Be the first CNI configuration and attach what pods ask for.
    Serve,
    /// Take no new networks on; leave when the last recorded sandbox is gone.
    Drain,
}

/// What a pod that asks for networks gets while multus drains. Plain pods are served always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UninstallPolicy {
    /// A refusal with the reason: such a pod must not run without its networks.
    #[default]
    Block,
    /// The default network alone, for nodes on which pods must come up whatever they lack.
    PrimaryOnly,
}

/// The installation. All paths are the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// What to do.
    pub intent: Intent,
    /// What annotated pods get while draining.
    #[serde(default)]
    pub uninstall_policy: UninstallPolicy,
    /// The runtime's configuration folder.
    pub conf_dir: PathBuf,
    /// Name of our configuration in it.
    pub conf_file: String,
    /// What has to go together with multus: our programs in the runtime's CNI folder, and on a node without daemon the
    /// kubeconfig.
    pub programs: Vec<PathBuf>,
    /// Options of the installation, as keys of the daemon's configuration file, which win over them.
    #[serde(default)]
    pub settings: Map<String, Value>,
}

/// The file and its lock, below `cniDir`.
#[derive(Debug, Clone)]
pub struct Store {
    cni_dir: PathBuf,
}

impl Store {
    /// Nothing is made before the first write.
    pub fn new(cni_dir: &Path) -> Self {
        Self {
            cni_dir: cni_dir.to_owned(),
        }
    }

    /// The state folder.
    pub fn cni_dir(&self) -> &Path {
        &self.cni_dir
    }

    /// What is installed; `None` where nothing is. A damaged file is an error: nothing may be concluded from it.
    pub fn read(&self) -> Result<Option<Installation>, Error> {
        file::read_record(&self.path())
    }

    /// Replaces what is installed. The caller holds the lock.
    pub fn write(&self, installation: &Installation) -> Result<(), Error> {
        file::create_dir(&self.folder(), PRIVATE_DIR)?;
        file::write_record(&self.path(), installation, Durability::PowerCut)
    }

    /// Removes the state folder with all in it, and what is installed last: whoever finds that goes on where another
    /// was cut short. The caller holds the lock.
    pub fn remove_all(&self) -> Result<(), Error> {
        for name in file::list(&self.cni_dir)? {
            let path = self.cni_dir.join(name);
            if path == self.folder() {
                continue;
            }
            if path.is_dir() {
                file::remove_tree(&path)?;
            } else {
                file::remove(&path)?;
            }
        }
        file::remove(&self.folder().join("lock"))?;
        file::remove(&self.path())?;
        file::remove_tree(&self.cni_dir).map(drop)
    }

    /// Keeps others from changing intent, configuration and programs.
    pub fn lock(&self, within: Duration) -> Result<Lock, Error> {
        Lock::exclusive(&self.folder().join("lock"), within)
    }

    /// A folder, because a file here is a sandbox of Go multus.
    fn folder(&self) -> PathBuf {
        self.cni_dir.join("installation")
    }

    fn path(&self) -> PathBuf {
        self.folder().join("state.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::generated::Settings;

    #[test]
    fn pods_with_networks_are_refused_while_draining_unless_the_admin_says_otherwise() {
        let policy =
            |keys: &str| Settings::of(&serde_json::from_str(keys).unwrap()).uninstall_policy;
        assert_eq!(policy("{}"), UninstallPolicy::Block);
        assert_eq!(
            policy(r#"{"uninstallPolicy":"block"}"#),
            UninstallPolicy::Block
        );
        let other = policy(r#"{"uninstallPolicy":"primaryOnly"}"#);
        assert_eq!(other, UninstallPolicy::PrimaryOnly);
        let older = r#"{"intent":"drain","confDir":"/c","confFile":"f","programs":[]}"#;
        let older: Installation = serde_json::from_str(older).unwrap();
        assert_eq!(older.uninstall_policy, UninstallPolicy::Block);
    }

    #[test]
    fn what_is_installed_is_removed_last_and_a_removal_that_was_cut_short_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&dir.path().join("multus"));
        let installed = r#"{"intent":"drain","confDir":"/c","confFile":"f","programs":[]}"#;
        store
            .write(&serde_json::from_str(installed).unwrap())
            .unwrap();
        for below in ["primary", "lock"] {
            file::create_dir(&store.cni_dir().join(below), PRIVATE_DIR).unwrap();
        }
        store.remove_all().unwrap();
        assert!(!store.cni_dir().exists());
        store.remove_all().unwrap();
    }
}
