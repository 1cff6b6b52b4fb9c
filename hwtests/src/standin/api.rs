//! A stand-in Kubernetes API server: state in memory, the part of the API that pods, their networks, their events and
//! an installation of ours need. No scheduler (a pod runs where `spec.nodeName` or a binding says). Over plain HTTP
//! everybody is the administrator; over TLS the token of a service account is needed, and its roles decide.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

mod access;
mod accounts;
mod admit;
mod daemon_set;
mod discovery;
mod error;
mod fault;
pub mod object;
mod patch;
mod resource;
mod route;
mod selector;
mod serve;
mod service;
mod store;
mod subscription;
mod tls;
mod view;
mod watch;

pub(crate) use accounts::AUTHORITY;
use accounts::Accounts;
pub use admit::Part;
pub use error::ApiError;
pub use fault::ApiFault;
pub use patch::Patch;
pub use resource::Resource;
pub use selector::Selection;
pub use service::{SecureError, Service};
pub use store::{DeleteOptions, Store};
pub use subscription::{Event, Start, Subscription};

/// A serving API server; clones are the same server. It serves until [`ApiServer::stop`] or until the last clone is
/// dropped; its store lives on in the store's own clones.
#[derive(Debug, Clone)]
pub struct ApiServer(Arc<Serving>);

#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    store: Store,
    fault: fault::Fault,
    requests: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl ApiServer {
    /// Serves an empty cluster on an address; port 0 picks a free one.
    pub async fn start(listen: SocketAddr) -> io::Result<ApiServer> {
        ApiServer::serve(listen, Store::new()).await
    }

    /// Serves an existing state, as after a restart of a server whose etcd stayed.
    pub async fn serve(listen: SocketAddr, store: Store) -> io::Result<ApiServer> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let fault = fault::Fault::default();
        let requests = Arc::new(AtomicU64::new(0));
        let door = Door {
            store: store.clone(),
            fault: fault.clone(),
            requests: Arc::clone(&requests),
            guard: None,
        };
        let accepting = tokio::spawn(accept(listener, door));
        Ok(ApiServer(Arc::new(Serving {
            address,
            store,
            fault,
            requests,
            accepting,
        })))
    }

    /// Serves the same state to pods, too: over TLS, to service accounts. It ends when the service is dropped.
    pub async fn secure(&self, listen: SocketAddr) -> Result<Service, SecureError> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let tls::Identity {
            acceptor,
            authority,
        } = tls::identity(address.ip())?;
        let accounts = Accounts::default();
        let door = Door {
            store: self.0.store.clone(),
            fault: self.0.fault.clone(),
            requests: Arc::clone(&self.0.requests),
            guard: Some((acceptor, accounts.clone())),
        };
        let accepting = tokio::spawn(accept(listener, door));
        Ok(Service::new(address, authority, accounts, accepting))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// The state behind it, for use in this process.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Plants a fault.
    pub fn set_fault(&self, fault: ApiFault) {
        self.0.fault.set(Some(fault));
    }

    /// Takes a planted fault back.
    pub fn clear_fault(&self) {
        self.0.fault.set(None);
    }

    /// A kubeconfig for it (JSON, which is YAML).
    pub fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "standin",
            "clusters": [{"name": "standin", "cluster": {"server": self.url()}}],
            "users": [{"name": "standin", "user": {}}],
            "contexts": [{"name": "standin", "context": {"cluster": "standin", "user": "standin"}}],
        })
        .to_string()
    }

    /// Stops serving: the listener and every connection are closed.
    pub fn stop(&self) {
        self.0.accepting.abort();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What every connection of a listener needs.
#[derive(Clone)]
struct Door {
    store: Store,
    fault: fault::Fault,
    requests: Arc<AtomicU64>,
    /// TLS, and who may come in with which token; without, everybody is the administrator.
    guard: Option<(TlsAcceptor, Accounts)>,
}

impl Door {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let accounts = self.guard.map(|(_, accounts)| accounts);
        let service = service_fn(move |request| {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let (store, fault, accounts) =
                (self.store.clone(), self.fault.clone(), accounts.clone());
            async move {
                Ok::<_, std::convert::Infallible>(
                    serve::answer(store, fault, accounts, request).await,
                )
            }
        });
        if let Err(error) = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await
        {
            tracing::debug!(%error, "api connection ended");
        }
    }
}

async fn accept(listener: TcpListener, door: Door) {
    // Owned by this task, so that aborting it closes every connection, too.
    let mut connections = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept of an api connection failed");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let door = door.clone();
        connections.spawn(async move {
            match &door.guard {
                None => door.serve(stream).await,
                Some((acceptor, _)) => match acceptor.accept(stream).await {
                    Ok(stream) => door.serve(stream).await,
                    Err(error) => tracing::debug!(%error, "no TLS with a client"),
                },
            }
        });
    }
}
