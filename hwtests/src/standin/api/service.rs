//! The server as pods reach it: `KUBERNETES_SERVICE_HOST`, an authority to trust, and a token per account.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::accounts::Accounts;
use super::error::ApiError;
use super::store::Store;

/// The server cannot be had over TLS.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    /// There is no port.
    #[error("listen for pods")]
    Listen(#[from] io::Error),
    /// No certificate can be made.
    #[error("make the server's certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate cannot be served with.
    #[error("use the server's certificate")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// A listener for pods; it ends with the last clone.
#[derive(Debug, Clone)]
pub struct Service(Arc<Serving>);

#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    authority: String,
    accounts: Accounts,
    accepting: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Service {
    pub(crate) fn new(
        address: SocketAddr,
        authority: String,
        accounts: Accounts,
        accepting: JoinHandle<()>,
    ) -> Service {
        Service(Arc::new(Serving {
            address,
            authority,
            accounts,
            accepting,
        }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The certificate to trust, as PEM.
    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// The token of a pod's account, made at the first call: what a kubelet asks for.
    pub fn token_of(&self, store: &Store, pod: &Value) -> Result<String, ApiError> {
        self.0.accounts.token(store, pod)
    }
}
