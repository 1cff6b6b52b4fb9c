//! How multus comes onto a node, stays there, and leaves: the CNI configuration that puts it first, the programs, and the
//! state that says whether it is to serve or to drain (spec/ecosystem.md §6.3, invariants I1–I7).
//!
//! Observe ([`folder`]), plan and apply ([`heal`], [`leave`]). Only an intent changes the configuration: no signal, no
//! crash and no failure of the API does.

pub mod folder;
pub mod generated;
pub mod heal;
pub mod intent;
pub mod leave;

use std::path::{Path, PathBuf};

/// Where the host's file system is seen from here: `/` for the plugin, the mount of the host's folders for a container
/// that does not have them at their own paths (Go multus' manifests mount them below `/host`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    prefix: PathBuf,
}

impl HostView {
    /// The host itself, or a container with the host's folders at their own paths.
    pub fn same() -> Self {
        Self {
            prefix: PathBuf::from("/"),
        }
    }

    /// The view in which `folder` is a folder of the host: below `/host` if it begins so.
    pub fn of(folder: &Path) -> Self {
        match folder.strip_prefix("/host") {
            Ok(rest) if !rest.as_os_str().is_empty() => Self {
                prefix: PathBuf::from("/host"),
            },
            _ => Self::same(),
        }
    }

    /// A path of the host as it is reached from here.
    pub fn here(&self, host: &Path) -> PathBuf {
        self.prefix.join(host.strip_prefix("/").unwrap_or(host))
    }

    /// A path that is reached from here, as it is on the host.
    pub fn on_host(&self, here: &Path) -> PathBuf {
        match here.strip_prefix(&self.prefix) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => here.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_below_host_are_the_hosts_and_others_are_at_their_own_paths() {
        let mounted = HostView::of(Path::new("/host/etc/cni/net.d"));
        assert_eq!(
            mounted.on_host(Path::new("/host/etc/cni/net.d/10-a.conf")),
            Path::new("/etc/cni/net.d/10-a.conf")
        );
        assert_eq!(
            mounted.here(Path::new("/opt/cni/bin")),
            Path::new("/host/opt/cni/bin")
        );
        let same = HostView::of(Path::new("/etc/cni/net.d"));
        assert_eq!(same, HostView::same());
        assert_eq!(
            same.here(Path::new("/opt/cni/bin")),
            Path::new("/opt/cni/bin")
        );
        assert_eq!(same.on_host(Path::new("/opt/x")), Path::new("/opt/x"));
    }
}
