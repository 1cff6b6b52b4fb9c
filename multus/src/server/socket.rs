//! The daemon's socket: mode 0600 in a folder 0700, for root only.
//!
//! It is bound under another name and renamed into place, so that a new daemon takes over from an
//! old one without a moment in which there is none (spec/ecosystem.md §6.3 I7). A file is removed
//! only by the process whose inode it is; upstream deletes the whole folder instead.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use host::file;
use multus_plugin::wire::SOCKET_NAME;
use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The folder.
    #[error("make the socket folder {dir}", dir = dir.display())]
    Dir {
        /// The folder.
        dir: PathBuf,
        /// Cause.
        #[source]
        source: host::error::Error,
    },
    /// The socket itself.
    #[error("{step} socket {path}", path = path.display())]
    Socket {
        /// What was tried.
        step: &'static str,
        /// The socket.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// A listening socket. Its file goes away with it, unless a successor took its place.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
    peer: Uid,
}

impl Socket {
    /// Listens in `dir`. Only processes of root and of user `peer` are served; the daemon itself runs as
    /// root.
    pub fn bind(dir: &Path, peer: Uid) -> Result<Self, SocketError> {
        file::create_dir(dir, file::PRIVATE_DIR).map_err(|source| SocketError::Dir {
            dir: dir.to_path_buf(),
            source,
        })?;
        let path = dir.join(SOCKET_NAME);
        let fresh = dir.join(format!("{SOCKET_NAME}.{}", std::process::id()));
        let failed = |step| {
            let path = path.clone();
            move |source| SocketError::Socket { step, path, source }
        };
        // A left-over of a process that had our number.
        let _absent = file::remove(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(failed("bind"))?;
        let mode = std::fs::Permissions::from_mode(file::PRIVATE);
        std::fs::set_permissions(&fresh, mode).map_err(failed("protect"))?;
        let meta = std::fs::symlink_metadata(&fresh).map_err(failed("look at"))?;
        file::rename(&fresh, &path).map_err(|source| SocketError::Dir {
            dir: dir.to_path_buf(),
            source,
        })?;
        Ok(Self {
            listener,
            path,
            inode: (meta.dev(), meta.ino()),
            peer,
        })
    }

    /// The next connection of a process that may ask. Others are closed without an answer.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if may_ask(self.peer, uid) {
                return Ok(stream);
            }
            warn!(uid, "connection of another user refused");
        }
    }

    /// Whether another program has removed the file: Go multus does when it ends, and empties the folder when it begins.
    /// A successor's file is none of that.
    pub fn is_lost(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Listens anew at the same path.
    ///
    /// # Errors
    /// As [`Socket::bind`]; also when the folder itself was removed behind a container's mount.
    pub fn renew(&mut self) -> Result<(), SocketError> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        *self = Self::bind(dir, self.peer)?;
        Ok(())
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn may_ask(own: Uid, peer: u32) -> bool {
    peer == 0 || peer == own.as_raw()
}

impl Drop for Socket {
    fn drop(&mut self) {
        let own = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode);
        if own && let Err(error) = file::remove(&self.path) {
            warn!(error = cni::error::chain(&error), "remove the socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn socket_and_folder_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("run");
        let socket = Socket::bind(&dir, Uid::effective()).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(socket.path()), 0o600);
    }

    #[tokio::test]
    async fn files_of_others_in_the_folder_stay() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        file::write(&other, b"x", 0o600, file::Durability::Process).unwrap();
        drop(Socket::bind(dir.path(), Uid::effective()).unwrap());
        assert!(other.exists());
        assert_eq!(file::list(dir.path()).unwrap(), ["other"]);
    }

    #[tokio::test]
    async fn a_successor_takes_over_and_its_file_outlives_the_predecessor() {
        let dir = tempfile::tempdir().unwrap();
        let old = Socket::bind(dir.path(), Uid::effective()).unwrap();
        let new = Socket::bind(dir.path(), Uid::effective()).unwrap();
        drop(old);
        assert!(new.path().exists());
        let path = new.path().to_path_buf();
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), new.accept());
        connected.unwrap();
        accepted.unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_another_program_removed_is_there_again_and_a_successors_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut socket = Socket::bind(dir.path(), Uid::effective()).unwrap();
        assert!(!socket.is_lost());
        let successor = Socket::bind(dir.path(), Uid::effective()).unwrap();
        assert!(!socket.is_lost());
        drop(successor);
        assert!(socket.is_lost());
        socket.renew().unwrap();
        assert!(!socket.is_lost());
        let path = socket.path().to_path_buf();
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
        connected.unwrap();
        accepted.unwrap();
    }

    #[test]
    fn only_root_and_the_daemons_own_user_may_ask() {
        let own = Uid::from_raw(1000);
        assert!(may_ask(own, 0) && may_ask(own, 1000));
        assert!(!may_ask(own, 1001));
        assert!(!may_ask(Uid::from_raw(0), 1000));
    }
}
