//! Log files whose path an object of the cluster may name, opened by root on the node: hence only below allowed folders.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::file::PRIVATE;

/// Why a log file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is nowhere that a log may be.
    #[error("logFile {} must be an absolute path below {}", path.display(), told(directories))]
    Outside {
        /// The path as it was given.
        path: PathBuf,
        /// Where log files may be.
        directories: Vec<PathBuf>,
    },
    /// The kernel does not open it.
    #[error("open logFile {}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// The path with its folder resolved, so that a link inside does not lead out of `directories`.
pub fn resolve(path: &Path, directories: &[PathBuf]) -> Result<PathBuf, Refused> {
    let outside = || Refused::Outside {
        path: path.to_owned(),
        directories: directories.to_vec(),
    };
    let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), path.is_absolute())
    else {
        return Err(outside());
    };
    // Only what the path says is judged before anything is looked up.
    if !directories.iter().any(|dir| path.starts_with(dir)) {
        return Err(outside());
    }
    let parent = parent.canonicalize().map_err(|source| Refused::Open {
        path: path.to_owned(),
        source,
    })?;
    let inside = |dir: &PathBuf| dir.canonicalize().is_ok_and(|dir| parent.starts_with(dir));
    if directories.iter().any(inside) {
        Ok(parent.join(name))
    } else {
        Err(outside())
    }
}

/// Opens a resolved path for appending; a missing file is made, mode 0600. The file itself must be no link, and a pipe that
/// nobody reads keeps nobody waiting.
pub fn append(path: &Path) -> Result<File, Refused> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PRIVATE)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(|source| Refused::Open {
            path: path.to_owned(),
            source,
        })
}

fn told(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_log_file_outside_the_allowed_folders_is_refused_whatever_links_say() {
        let lab = tempfile::tempdir().unwrap();
        let path = |name: &str| lab.path().join(name);
        fs::create_dir(path("log")).unwrap();
        fs::create_dir(path("outside")).unwrap();
        symlink(path("outside"), path("log/link")).unwrap();
        symlink(path("outside/x"), path("log/file")).unwrap();
        let allowed = [path("log")];
        let open = |name: &Path| resolve(name, &allowed).and_then(|path| append(&path));
        for name in [
            "outside/a",
            "log/../outside/b",
            "log/link/c",
            "log/file",
            "log/no/d",
        ] {
            assert!(open(&path(name)).is_err(), "{name}");
        }
        assert!(open(Path::new("relative")).is_err());
        assert!(crate::file::list(&path("outside")).unwrap().is_empty());
        let refused = open(&path("outside/a")).unwrap_err().to_string();
        assert!(
            refused.contains("must be an absolute path below"),
            "{refused}"
        );
        let made = open(&path("log/a")).unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
