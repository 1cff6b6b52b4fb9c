//! Directories under inotify. One may be missing, be removed, and come back.
//!
//! A directory that is there and cannot be watched (too many watches on the node) is tried again by the caller,
//! soon: until then nothing in it is seen.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};

/// A set of directories. Its descriptor is readable when something in one of them changed.
#[derive(Debug)]
pub struct Directories {
    inotify: Inotify,
    paths: Vec<PathBuf>,
    watches: BTreeMap<PathBuf, WatchDescriptor>,
    /// The first that cannot be watched, and why.
    refused: Option<(PathBuf, Errno)>,
}

impl Directories {
    /// Watches `paths` and, so that a missing one is seen coming, their parents.
    pub fn new(paths: &[PathBuf]) -> io::Result<Self> {
        let parents = paths
            .iter()
            .filter_map(|path| path.parent().map(Path::to_path_buf));
        let mut directories = Self {
            inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?,
            paths: parents.chain(paths.iter().cloned()).collect(),
            watches: BTreeMap::new(),
            refused: None,
        };
        directories.renew();
        Ok(directories)
    }

    /// A directory that is there and is not watched, and why.
    pub fn refused(&self) -> Option<&(PathBuf, Errno)> {
        self.refused.as_ref()
    }

    /// Takes all events. True if there was one (the kernel's notice that some are lost is one, too), or if a
    /// directory appeared or vanished.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut changed = false;
        loop {
            match self.inotify.read_events() {
                Ok(_) => changed = true,
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(self.renew() || changed)
    }

    /// Watches what is there now. True if that differs from what was watched.
    fn renew(&mut self) -> bool {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut differs = false;
        self.refused = None;
        for path in &self.paths {
            match self.inotify.add_watch(path, flags) {
                // The same directory gives the same number.
                Ok(watch) => differs |= self.watches.insert(path.clone(), watch) != Some(watch),
                Err(errno) => {
                    differs |= self.watches.remove(path).is_some();
                    let is_missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
                    if !is_missing && self.refused.is_none() {
                        self.refused = Some((path.clone(), errno));
                    }
                }
            }
        }
        differs
    }
}

impl AsFd for Directories {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use host::file::{self, Durability};

    use super::*;

    fn write(path: &Path) {
        file::write(path, b"{}", 0o600, Durability::Process).unwrap();
    }

    #[test]
    fn a_file_that_is_written_or_replaced_by_a_link_is_noticed_once() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("pcidp");
        file::create_dir(&directory, 0o700).unwrap();
        let mut watched = Directories::new(std::slice::from_ref(&directory)).unwrap();
        assert!(!watched.drain().unwrap());
        write(&directory.join("config.json"));
        assert!(watched.drain().unwrap());
        assert!(!watched.drain().unwrap());
        // A ConfigMap volume swaps the link ..data.
        std::os::unix::fs::symlink("1", directory.join("..data_tmp")).unwrap();
        file::rename(&directory.join("..data_tmp"), &directory.join("..data")).unwrap();
        assert!(watched.drain().unwrap());
    }

    #[test]
    fn a_directory_that_cannot_be_watched_is_told_and_does_not_hinder_the_others() {
        let root = tempfile::tempdir().unwrap();
        let (loops, good) = (root.path().join("loop"), root.path().join("good"));
        std::os::unix::fs::symlink("loop", &loops).unwrap();
        file::create_dir(&good, 0o700).unwrap();
        let mut watched = Directories::new(&[loops.clone(), good.clone()]).unwrap();
        assert_eq!(watched.refused(), Some(&(loops.clone(), Errno::ELOOP)));
        watched.drain().unwrap();
        write(&good.join("config.json"));
        assert!(watched.drain().unwrap());
        file::remove(&loops).unwrap();
        file::create_dir(&loops, 0o700).unwrap();
        assert!(watched.drain().unwrap());
        assert_eq!(watched.refused(), None);
    }

    #[test]
    fn a_directory_that_is_missing_is_seen_coming_going_and_coming_back() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("device-plugins");
        let mut watched = Directories::new(std::slice::from_ref(&directory)).unwrap();
        for _ in 0..2 {
            file::create_dir(&directory, 0o700).unwrap();
            assert!(watched.drain().unwrap());
            write(&directory.join("kubelet.sock"));
            assert!(watched.drain().unwrap());
            file::remove(&directory.join("kubelet.sock")).unwrap();
            assert!(watched.drain().unwrap());
            std::fs::remove_dir(&directory).unwrap();
            assert!(watched.drain().unwrap());
            assert!(!watched.drain().unwrap());
        }
    }
}
