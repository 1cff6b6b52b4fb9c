//! HTTP/1 as both daemons serve metrics and probes: pages that are only read, one request per connection, no body taken.
//! [`client`] is the other side, for a probe in a container that has neither shell nor curl.

pub mod address;
pub mod client;

use std::{convert::Infallible, error::Error, future::Future, io, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tracing::{info, warn};

pub use address::Address;
pub use hyper::StatusCode;

use crate::uds::{self, Socket};

/// A client that sends its head more slowly is dropped.
pub const HEADERS: Duration = Duration::from_secs(5);
/// Largest head that is taken, in bytes.
const HEAD: usize = 64 << 10;
/// Pause before an address is tried again: the program before this one may have it still.
const PAUSE: Duration = Duration::from_secs(5);
/// Connections at once; further ones wait in the kernel.
const CONNECTIONS: usize = 16;

/// What is answered.
pub type Answer = Response<Full<Bytes>>;

/// An answer with a body of this media type.
pub fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A line for people.
pub fn text(status: StatusCode, line: &str) -> Answer {
    respond(status, "text/plain", format!("{line}\n"))
}

/// The method is none of these.
pub fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, &format!("use {methods}"));
    let headers = answer.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

/// Serves pages for ever: `route` is asked for the page of a path. An address that cannot be listened on is told once
/// and tried again.
pub async fn serve<R, F>(address: &Address, route: R)
where
    R: Fn(String) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send,
{
    let mut told = false;
    loop {
        match Listener::bind(address).await {
            Ok(listener) => {
                info!(%address, "metrics and probes");
                told = false;
                listener.serve(&route).await;
            }
            Err(error) if !told => {
                warn!(%address, %error, "metrics and probes are not served yet");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(Socket),
}

impl Listener {
    async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => match Socket::bind(path) {
                Ok(socket) => Ok(Self::Unix(socket)),
                Err(uds::Error::Listen { source, .. }) => Err(source),
                Err(other) => Err(io::Error::other(other)),
            },
        }
    }

    /// Answers connections.
    async fn serve<R, F>(self, route: &R)
    where
        R: Fn(String) -> F + Clone + Send + 'static,
        F: Future<Output = Answer> + Send,
    {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let route = route.clone();
            let accepted = match &self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    tokio::spawn(async move {
                        pages(stream, route).await;
                        drop(permit);
                    });
                }),
                Self::Unix(socket) => socket.accept().await.map(|stream| {
                    tokio::spawn(async move {
                        pages(stream, route).await;
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
}

async fn pages<R, F>(stream: impl AsyncRead + AsyncWrite + Unpin, route: R)
where
    R: Fn(String) -> F,
    F: Future<Output = Answer>,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let page = reads.then(|| route(request.uri().path().to_owned()));
        async move {
            Ok::<_, Infallible>(match page {
                Some(page) => page.await,
                None => not_allowed("GET"),
            })
        }
    });
    // A client that goes away is its own affair.
    let _ended = connection(stream, service).await;
}

/// Serves one connection, which ends with its first answer.
///
/// # Errors
/// When the client sends no HTTP, or too slowly, or goes away.
pub async fn connection<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: S,
) -> Result<(), hyper::Error>
where
    S: HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
