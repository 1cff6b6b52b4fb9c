//! `/metrics` over TCP, where `metricsPort` asks for it; `/debug/state` with `enablePprof`.
//!
//! Go multus listens on all addresses (spec/multus.md §9.2); here that must be written out in `metricsAddress`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use proto::prometheus::MEDIA_TYPE;

use super::scrape::Scrape;

/// A client that sends its head more slowly is dropped.
const HEADERS: Duration = Duration::from_secs(5);
/// Pause before the address is tried again: the daemon before this one may have it still.
const PAUSE: Duration = Duration::from_secs(5);
/// Connections at once; further ones wait in the kernel.
const CONNECTIONS: usize = 8;

/// Serves for ever. An address that cannot be listened on is told once and tried again.
pub async fn serve(address: SocketAddr, scrape: Arc<Scrape>, debug: bool) {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!(%address, "metrics");
                told = false;
                accept(listener, &scrape, debug).await;
            }
            Err(error) if !told => {
                warn!(%address, %error, "metrics are not served yet");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn accept(listener: TcpListener, scrape: &Arc<Scrape>, debug: bool) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let scrape = Arc::clone(scrape);
                tokio::spawn(async move {
                    answer(stream, scrape, debug).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "accepting a connection for metrics failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, scrape: Arc<Scrape>, debug: bool) {
    let service = service_fn(move |request: Request<Incoming>| {
        let scrape = Arc::clone(&scrape);
        async move { Ok::<_, Infallible>(route(&request, &scrape, debug).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away is its own affair.
    let _ended = served.await;
}

async fn route(request: &Request<Incoming>, scrape: &Scrape, debug: bool) -> Response<Full<Bytes>> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    match request.uri().path() {
        _ if !reads => response(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "GET only\n".into(),
        ),
        "/metrics" => response(StatusCode::OK, MEDIA_TYPE, scrape.page().await),
        "/healthz" => response(StatusCode::OK, "text/plain", "ok\n".into()),
        "/debug/state" if debug => {
            let text = format!("{:#}\n", scrape.state().await);
            response(StatusCode::OK, "application/json", text)
        }
        _ => response(
            StatusCode::NOT_FOUND,
            "text/plain",
            "/metrics, /healthz\n".into(),
        ),
    }
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
