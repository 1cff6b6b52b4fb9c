//! One client for as long as the process lives, though its credentials change: a token that was rotated, a kubeconfig
//! that was written anew, a certificate that was renewed (spec/multus.md §9.1 P9).
//!
//! The credentials are read again after an answer 401 and after a request that got no answer, at most once in
//! [`PAUSE`]. The request itself is not repeated: whoever made it tries again anyway.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use hyper::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use tower::Service;
use tracing::{debug, warn};

use super::{ConnectError, Location};

/// Shortest time between two looks at the credentials.
const PAUSE: Duration = Duration::from_secs(1);

/// The client of the moment.
#[derive(Clone)]
pub struct Rotating {
    location: Location,
    state: Arc<Mutex<State>>,
}

struct State {
    client: Client,
    looked: Instant,
    /// The last look failed, which was told.
    failed: bool,
}

impl std::fmt::Debug for Rotating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotating")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl Rotating {
    /// Connects for the first time.
    ///
    /// # Errors
    /// As [`Location::connect`].
    pub async fn connect(location: Location) -> Result<Self, ConnectError> {
        let client = location.connect().await?;
        Ok(Self {
            location,
            state: Arc::new(Mutex::new(State {
                client,
                looked: Instant::now(),
                failed: false,
            })),
        })
    }

    /// A client for everyone, which always is the one of the moment.
    pub fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// Reads the credentials again, now.
    pub async fn renew(&self) {
        match self.location.connect().await {
            Ok(client) => {
                let mut state = self.lock();
                state.client = client;
                state.failed = false;
            }
            Err(error) => {
                let told = std::mem::replace(&mut self.lock().failed, true);
                if !told {
                    let error = cni::error::chain(&error);
                    warn!(error, "read the credentials again");
                }
            }
        }
    }

    async fn renew_if_due(&self) {
        {
            let mut state = self.lock();
            let now = Instant::now();
            if now.duration_since(state.looked) < PAUSE {
                return;
            }
            state.looked = now;
        }
        debug!("the credentials are read again");
        self.renew().await;
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let client = self.lock().client.clone();
        let answer = client.send(request).await;
        // A new CA looks like no answer.
        let refused = match &answer {
            Ok(response) => response.status() == StatusCode::UNAUTHORIZED,
            Err(_) => true,
        };
        if refused {
            self.renew_if_due().await;
        }
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<Request<Body>> for Rotating {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, kube::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
