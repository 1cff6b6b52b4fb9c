//! A stand-in Kubernetes API server: plain HTTP, state in memory, the part of the API that pods, their networks
//! and their events need. No scheduler (a pod runs where `spec.nodeName` or a binding says), no access control.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

mod admit;
mod discovery;
mod error;
mod fault;
pub mod object;
mod patch;
mod resource;
mod route;
mod selector;
mod serve;
mod store;
mod subscription;
mod view;
mod watch;

pub use admit::Part;
pub use error::ApiError;
pub use fault::ApiFault;
pub use patch::Patch;
pub use resource::Resource;
pub use selector::Selection;
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
        let serving = accept(
            listener,
            store.clone(),
            fault.clone(),
            Arc::clone(&requests),
        );
        let accepting = tokio::spawn(serving);
        Ok(ApiServer(Arc::new(Serving {
            address,
            store,
            fault,
            requests,
            accepting,
        })))
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

async fn accept(
    listener: TcpListener,
    store: Store,
    fault: fault::Fault,
    requests: Arc<AtomicU64>,
) {
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
        let (store, fault, requests) = (store.clone(), fault.clone(), Arc::clone(&requests));
        connections.spawn(async move {
            let service = service_fn(move |request| {
                requests.fetch_add(1, Ordering::Relaxed);
                let (store, fault) = (store.clone(), fault.clone());
                async move {
                    Ok::<_, std::convert::Infallible>(serve::answer(store, fault, request).await)
                }
            });
            if let Err(error) = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                tracing::debug!(%error, "api connection ended");
            }
        });
    }
}
