//! Metrics and probes over HTTP, off unless asked for: `/metrics`, `/healthz`, `/readyz`, `/debug/devices`.
//!
//! GET only, no body is read. An address without a host is loopback.

pub mod address;
mod debug;
mod metrics;
pub mod probe;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use address::Address;

use crate::{failure, serve::Shared};
use proto::uds::Socket;

/// A client that sends its head more slowly is dropped.
const HEADERS: Duration = Duration::from_secs(5);
/// Pause before the address is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// Connections at once; further ones wait in the kernel.
const CONNECTIONS: usize = 16;

/// Serves until `stop`. An address that cannot be listened on is told and tried again.
pub async fn serve(address: Address, shared: Arc<Shared>, stop: CancellationToken) {
    let work = async {
        loop {
            match listen(&address).await {
                Ok(listener) => {
                    info!(%address, "metrics and probes");
                    accept(listener, &shared).await;
                }
                Err(error) => warn!(%address, error, "metrics and probes are not served"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(Socket),
}

async fn listen(address: &Address) -> Result<Listener, String> {
    match address {
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address).await;
            listener
                .map(Listener::Tcp)
                .map_err(|error| error.to_string())
        }
        Address::Unix(path) => {
            let socket = Socket::bind(path);
            socket
                .map(Listener::Unix)
                .map_err(|error| failure::chain(&error))
        }
    }
}

/// Answers connections until the listener fails.
async fn accept(listener: Listener, shared: &Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let shared = Arc::clone(shared);
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(async move {
                    answer(stream, shared).await;
                    drop(permit);
                });
            }),
            Listener::Unix(socket) => socket.accept().await.map(|stream| {
                tokio::spawn(async move {
                    answer(stream, shared).await;
                    drop(permit);
                });
            }),
        };
        if let Err(error) = accepted {
            warn!(%error, "accepting a connection for metrics failed");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(route(&request, &shared).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away is its own affair.
    let _ended = served.await;
}

async fn route(request: &Request<Incoming>, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = response(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "GET only\n".to_owned(),
        );
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    match request.uri().path() {
        // The thread that serves the kubelet answers this, so it lives.
        "/healthz" => response(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/readyz" => ready(shared),
        "/metrics" => {
            let text = metrics::render(shared).await;
            response(StatusCode::OK, proto::prometheus::MEDIA_TYPE, text)
        }
        "/debug/devices" => {
            let text = debug::devices(shared).await;
            response(StatusCode::OK, "application/json", text)
        }
        _ => response(
            StatusCode::NOT_FOUND,
            "text/plain",
            "/metrics, /healthz, /readyz, /debug/devices\n".to_owned(),
        ),
    }
}

fn ready(shared: &Shared) -> Response<Full<Bytes>> {
    let obstacles = shared.status.lock().obstacles();
    if obstacles.is_empty() {
        return response(StatusCode::OK, "text/plain", "ok\n".to_owned());
    }
    let text = format!("{}\n", obstacles.join("\n"));
    response(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text)
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
