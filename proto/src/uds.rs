//! gRPC on Unix sockets: bind, serve one or two services, dial.
//!
//! Invariant: a socket file is removed only by the process that made it. The file at the path may
//! by then belong to a successor; device and inode tell.
//!
//! The kubelet's plugin watcher, and all of a kubelet before 1.26, sends the socket's path as
//! `:authority`, which h2 refuses: [`serve`] replaces it on the way in. `tests/authority` keeps
//! watch over what is accepted.

use std::{
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::{UnixListener, UnixStream};
use tokio_stream::{StreamExt, wrappers::UnixListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    transport::{Channel, Endpoint, Server},
};

mod authority;
mod pair;

use authority::LocalAuthority;
pub use pair::Pair;

/// How long open calls may take to end after a server was told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Largest answer of PodResources that is accepted; tonic's own limit of 4 MiB is too small for a
/// dense node.
pub const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// What can go wrong with a socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path could not be listened on.
    #[error("listen on {path}")]
    Listen {
        /// The path.
        path: PathBuf,
        #[source]
        /// Why.
        source: io::Error,
    },
    /// The server ended with an error.
    #[error("serve on {path}")]
    Serve {
        /// The path.
        path: PathBuf,
        #[source]
        /// Why.
        source: tonic::transport::Error,
    },
    /// No connection could be made.
    #[error("connect to {path}")]
    Dial {
        /// The path.
        path: PathBuf,
        #[source]
        /// Why.
        source: tonic::transport::Error,
    },
}

/// The file of a bound socket: which one it is, not only where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Where the socket was bound.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file at the path is still this socket.
    pub fn is_present(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode)
    }
}

/// A listening socket. Its file goes away with it, if it is still its own.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: Owned,
}

/// Removes the file on drop.
#[derive(Debug)]
struct Owned(SocketFile);

impl Drop for Owned {
    #[expect(
        clippy::disallowed_methods,
        reason = "boundary: the socket's own file; nobody is left to hear of an error"
    )]
    fn drop(&mut self) {
        if self.0.is_present() {
            let _gone_already = std::fs::remove_file(&self.0.path);
        }
    }
}

impl Socket {
    /// Listens on `path`, with mode 0600, in place of whatever file is there.
    ///
    /// Must be called inside a tokio runtime. Linux allows 107 bytes of path.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Listen {
            path: path.to_owned(),
            source,
        };
        remove_stale(path).map_err(failed)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        let file = SocketFile {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        };
        Ok(Self {
            listener,
            file: Owned(file),
        })
    }

    /// The socket's file.
    pub fn file(&self) -> &SocketFile {
        &self.file.0
    }

    /// The next connection, for a server of something else than gRPC.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "boundary: a file left by a process that is gone"
)]
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Serves `service` on `socket` until `stop`; then gives open calls one second to end.
///
/// The caller ends its own response streams at `stop`; a stream that goes on is cut off.
/// Two services share a socket through [`Pair`]. The peer's credentials are in the request's
/// extensions, as tonic's `UdsConnectInfo`.
pub async fn serve<S>(socket: Socket, service: S, stop: CancellationToken) -> Result<(), Error>
where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = std::convert::Infallible,
        > + NamedService
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let Socket { listener, file } = socket;
    let path = file.0.path.clone();
    let told = stop.clone();
    // The file goes while the socket still listens: a socket that is closed gives its inode away, and the next one
    // at the path may get it.
    let shutdown = async move {
        told.cancelled().await;
        drop(file);
    };
    let server = Server::builder().serve_with_incoming_shutdown(
        service,
        UnixListenerStream::new(listener).map(|accepted| accepted.map(LocalAuthority::new)),
        shutdown,
    );
    tokio::select! {
        ended = server => ended.map_err(|source| Error::Serve { path, source }),
        () = grace(stop) => Ok(()),
    }
}

async fn grace(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Connects to the server on `path`, waiting at most `limit` for the connection.
///
/// The channel connects again by itself when a later call finds the connection closed.
pub async fn dial(path: &Path, limit: Duration) -> Result<Channel, Error> {
    let failed = |source| Error::Dial {
        path: path.to_owned(),
        source,
    };
    Endpoint::try_from(format!("unix://{}", path.display()))
        .map_err(failed)?
        .origin(http::Uri::from_static("http://localhost"))
        .connect_timeout(limit)
        .connect()
        .await
        .map_err(failed)
}
