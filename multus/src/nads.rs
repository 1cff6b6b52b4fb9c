//! NADs on disk: a copy that outlives the daemon, so that attachments survive an outage of the API
//! server (spec/multus.md §9.1 P6, issue 5).
//!
//! One file per NAD, `<dir>/<namespace>/<name>.json`, so that a change writes one small file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use host::file::{self, Durability};
use tracing::warn;

use crate::known::{Nad, NadKey};

/// The copy.
#[derive(Debug, Clone)]
pub struct NadFiles {
    dir: PathBuf,
}

/// What a watch reports.
#[derive(Debug)]
pub enum Change {
    /// A new or changed NAD.
    Put(NadKey, Nad),
    /// A deleted NAD.
    Remove(NadKey),
    /// These are all there are.
    All(BTreeMap<NadKey, Nad>),
}

impl NadFiles {
    /// The copy in `dir`, which need not exist.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// A NAD of the copy. A file that cannot be read counts as none, with a warning: it is only a copy.
    pub fn read(&self, key: &NadKey) -> Option<Nad> {
        let path = self.path(key)?;
        file::read_record(&path).unwrap_or_else(|error| {
            warn!(error = cni::error::chain(&error), "stored NAD");
            None
        })
    }

    /// Brings the copy up to date. Only files whose content differs are written.
    pub fn apply(&self, change: Change) -> Result<(), host::error::Error> {
        match change {
            Change::Put(key, nad) => self.put(&key, &nad),
            Change::Remove(key) => match self.path(&key) {
                Some(path) => file::remove(&path).map(drop),
                None => Ok(()),
            },
            Change::All(nads) => self.replace(&nads),
        }
    }

    fn replace(&self, nads: &BTreeMap<NadKey, Nad>) -> Result<(), host::error::Error> {
        for namespace in file::list(&self.dir)? {
            let dir = self.dir.join(&namespace);
            for name in file::list(&dir)? {
                let key = NadKey {
                    namespace: namespace.clone(),
                    name: name.trim_end_matches(".json").to_owned(),
                };
                if !nads.contains_key(&key) {
                    file::remove(&dir.join(&name))?;
                }
            }
        }
        // One that cannot be stored must not keep the others from being stored.
        let stored = nads.iter().map(|(key, nad)| self.put(key, nad));
        stored.fold(Ok(()), Result::and)
    }

    fn put(&self, key: &NadKey, nad: &Nad) -> Result<(), host::error::Error> {
        let Some(path) = self.path(key) else {
            return Ok(());
        };
        if self.read(key).as_ref() == Some(nad) {
            return Ok(());
        }
        file::create_dir(path.parent().unwrap_or(&self.dir), file::PRIVATE_DIR)?;
        file::write_record(&path, nad, Durability::Process)
    }

    /// Names of the API have no slash and no leading dot; whatever else comes is not stored.
    fn path(&self, key: &NadKey) -> Option<PathBuf> {
        let safe = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        (safe(&key.namespace) && safe(&key.name)).then(|| {
            Path::new(&self.dir)
                .join(&key.namespace)
                .join(format!("{}.json", key.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> NadKey {
        NadKey {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn nad(config: &str) -> Nad {
        Nad {
            config: config.into(),
            resource_name: Some("intel.com/x".into()),
        }
    }

    #[test]
    fn what_was_put_is_read_by_a_later_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = NadFiles::new(dir.path().join("nads"));
        first
            .apply(Change::Put(key("d", "n.x"), nad("{}")))
            .unwrap();
        let second = NadFiles::new(dir.path().join("nads"));
        assert_eq!(second.read(&key("d", "n.x")), Some(nad("{}")));
        assert_eq!(second.read(&key("d", "other")), None);
    }

    #[test]
    fn a_full_list_removes_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let files = NadFiles::new(dir.path().to_path_buf());
        files.apply(Change::Put(key("d", "old"), nad("1"))).unwrap();
        files
            .apply(Change::Put(key("d", "kept"), nad("2")))
            .unwrap();
        let all = BTreeMap::from([(key("d", "kept"), nad("3")), (key("e", "new"), nad("4"))]);
        files.apply(Change::All(all)).unwrap();
        assert_eq!(files.read(&key("d", "old")), None);
        assert_eq!(files.read(&key("d", "kept")), Some(nad("3")));
        assert_eq!(files.read(&key("e", "new")), Some(nad("4")));
        files.apply(Change::Remove(key("e", "new"))).unwrap();
        assert_eq!(files.read(&key("e", "new")), None);
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let files = NadFiles::new(dir.path().join("nads"));
        for evil in [key("..", "x"), key("d", "../../x"), key("", "x")] {
            files.apply(Change::Put(evil.clone(), nad("{}"))).unwrap();
            assert_eq!(files.read(&evil), None);
        }
        assert!(!dir.path().join("x.json").exists());
    }

    #[test]
    fn a_torn_file_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let files = NadFiles::new(dir.path().to_path_buf());
        files.apply(Change::Put(key("d", "n"), nad("{}"))).unwrap();
        let path = dir.path().join("d/n.json");
        file::write(&path, b"{\"conf", file::PRIVATE, Durability::Process).unwrap();
        assert_eq!(files.read(&key("d", "n")), None);
    }
}
