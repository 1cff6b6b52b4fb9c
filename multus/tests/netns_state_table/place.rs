//! The folders of one node, and what its delegates have done.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A delegate: succeeds, or fails if the node says so; what it did is a line in the node's log. It starts nothing, so
/// that a row of the table costs little.
const DELEGATE: &str = r#"#!/bin/sh
kind=${0##*/}
if [ $kind = one ] && [ -e "$NODE/one-fails" ]; then
  case $CNI_COMMAND in ADD|DEL) echo '{"code":7,"msg":"one is stuck"}'; exit 1;; esac
fi
case $CNI_COMMAND in
ADD) echo "+ $CNI_CONTAINERID $kind $CNI_IFNAME" >> "$NODE/log"
  echo "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"$CNI_IFNAME\",\"sandbox\":\"$CNI_NETNS\"}],\"ips\":[{\"address\":\"10.1.0.5/24\",\"interface\":0}]}";;
DEL) echo "- $CNI_CONTAINERID $kind $CNI_IFNAME" >> "$NODE/log";;
esac
"#;

pub(crate) const PRIMARY: &str = "net.d/10-primary.conflist";
pub(crate) const OURS: &str = "net.d/00-multus.conflist";
pub(crate) const ANOTHER: &str = "net.d/00-aaa.conflist";
pub(crate) const PRIMARY_TEXT: &str =
    r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"primary"}]}"#;

/// Everything below a folder: contents by path. Links are not part of it.
pub(crate) type Snapshot = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A node's folders: `net.d`, `bin`, `state`, `runtime`, `run`, and `programs` that all nodes share.
#[derive(Debug)]
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// An empty node, in memory where the machine has such a folder.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let place = Self { dir: dir.unwrap() };
        for kind in ["primary", "one", "two"] {
            place.put(&format!("programs/{kind}"), DELEGATE);
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(place.path("programs").join(kind), mode).unwrap();
        }
        place.put("programs/plugin", "the plugin");
        place.clear();
        place
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        if below.is_empty() {
            self.dir.path().join("node")
        } else if below.starts_with("programs") {
            self.dir.path().join(below)
        } else {
            self.dir.path().join("node").join(below)
        }
    }

    pub(crate) fn put(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, below: &str) {
        let _absent = fs::remove_file(self.path(below));
    }

    pub(crate) fn has(&self, below: &str) -> bool {
        self.path(below).exists()
    }

    /// A node before multus, with the primary's configuration.
    pub(crate) fn clear(&self) {
        let _absent = fs::remove_dir_all(self.path(""));
        for folder in ["net.d", "bin", "runtime/results"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        self.put(PRIMARY, PRIMARY_TEXT);
    }

    /// Who answers at the node's socket.
    pub(crate) fn connect(&self, socket_folder: &Path) {
        let link = self.path("run");
        let _absent = fs::remove_file(&link);
        symlink(socket_folder, link).unwrap();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::new();
        collect(&self.path(""), Path::new(""), &mut all);
        all
    }

    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        let _absent = fs::remove_dir_all(self.path(""));
        fs::create_dir(self.path("")).unwrap();
        self.overlay(snapshot);
    }

    /// As [`Place::restore`], and whoever answers at the socket stays.
    pub(crate) fn go_back_to(&self, snapshot: &Snapshot) {
        let socket = fs::read_link(self.path("run")).unwrap();
        self.restore(snapshot);
        self.connect(&socket);
    }

    /// Adds what a snapshot has.
    pub(crate) fn overlay(&self, snapshot: &Snapshot) {
        for (below, content) in snapshot {
            let path = self.path("").join(below);
            match content {
                None => fs::create_dir_all(path).unwrap(),
                Some(bytes) => {
                    fs::write(&path, bytes).unwrap();
                    if below.starts_with("bin") {
                        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
                    }
                }
            }
        }
    }

    /// What is attached to a container, as `delegate interface`, sorted.
    pub(crate) fn attached(&self, container: &str) -> Vec<String> {
        let mut up: Vec<String> = Vec::new();
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        for line in log.lines() {
            let (what, rest) = line.split_once(' ').unwrap();
            let Some(network) = rest
                .strip_prefix(container)
                .and_then(|rest| rest.strip_prefix(' '))
            else {
                continue;
            };
            up.retain(|other| other != network);
            if what == "+" {
                up.push(network.to_owned());
            }
        }
        up.sort();
        up
    }

    /// Everything in the folders that multus writes into, temporary files too, except what belongs to others.
    pub(crate) fn ours(&self) -> Vec<String> {
        let all = self.snapshot();
        let names = all.iter().filter(|(path, content)| {
            let other = [PRIMARY, ANOTHER]
                .iter()
                .any(|other| path == &Path::new(other));
            let folder = ["net.d", "bin", "state"]
                .iter()
                .any(|folder| path.starts_with(folder));
            content.is_some() && folder && !other
        });
        names.map(|(path, _)| path.display().to_string()).collect()
    }

    /// Names on a shelf of the journal.
    pub(crate) fn shelf(&self, name: &str) -> Vec<String> {
        host::file::list(&self.path("state").join(name)).unwrap()
    }
}

fn collect(dir: &Path, below: &Path, all: &mut Snapshot) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, below) = (entry.path(), below.join(entry.file_name()));
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            all.insert(below.clone(), None);
            collect(&path, &below, all);
        } else {
            all.insert(below, Some(fs::read(path).unwrap()));
        }
    }
}
