//! The daemon's HTTP over its unix socket: `/plan`, `/report`, `/healthz`, `/readyz`, `/metrics`.
//!
//! One request per connection. Work is bounded by the connection limit; health answers are not, so
//! that a busy daemon does not look dead.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cni::error::code;
use cni::version::Version;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use multus_plugin::wire::{PLAN_PATH, PlanRequest, REPORT_PATH, Reason, Report};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::metrics::scrape::Scrape;
use crate::outbox::{Entry, Outbox};
use crate::service::{self, Service, not_ready};
use proto::http::{Answer, HEADERS, connection, not_allowed, respond, text};
use proto::prometheus::MEDIA_TYPE;
use socket::Socket;

pub mod socket;

/// Open connections, busy or waiting; further ones wait in the kernel.
const CONNECTIONS: usize = 1024;
/// Largest request taken.
const LARGEST: usize = 4 << 20;
/// What open requests get to end after a stop.
const GRACE: Duration = Duration::from_secs(2);

/// How often the socket's file is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// The server's parts.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    outbox: Option<Arc<Outbox>>,
    ready: Arc<AtomicBool>,
    work: Semaphore,
    scrape: Arc<Scrape>,
}

impl Server {
    /// A server for `service`. `outbox` is `None` without an API server: then no report is accepted.
    /// `ready` is what `/readyz` tells.
    pub fn new(
        service: Arc<Service>,
        outbox: Option<Arc<Outbox>>,
        ready: Arc<AtomicBool>,
        scrape: Arc<Scrape>,
    ) -> Arc<Self> {
        let work = Semaphore::new(service.config.connection_limit);
        Arc::new(Self {
            service,
            outbox,
            ready,
            work,
            scrape,
        })
    }

    /// Serves until `stop` becomes true, or until its socket is gone and cannot be made again, as behind a mount whose
    /// folder was removed: whoever starts the daemon then gives it another. Lets open requests end.
    pub async fn serve(self: Arc<Self>, mut socket: Socket, mut stop: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(LOOK);
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let mut open = JoinSet::new();
        loop {
            let next = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = open.join_next() => continue,
                _ = look.tick() => {
                    if is_there(&mut socket) {
                        continue;
                    }
                    break;
                }
                next = accept(&socket, &connections) => next,
            };
            let Some((stream, slot)) = next else {
                continue;
            };
            let server = Arc::clone(&self);
            open.spawn(async move {
                let _slot = slot;
                server.connection(stream).await;
            });
        }
        self.ready.store(false, Ordering::Relaxed);
        drop(socket);
        let ended = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            warn!("requests cut off at stop");
        }
        info!("stopped serving");
    }

    async fn connection(self: Arc<Self>, stream: UnixStream) {
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        if let Err(error) = connection(stream, service).await {
            debug!(error = cni::error::chain(&error), "connection");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let response = self.route(parts.uri.path(), &parts.method, body).await;
        let (handler, method) = labels(parts.uri.path(), &parts.method);
        let status = response.status().as_u16();
        self.scrape.metrics.request(handler, status, method);
        response
    }

    async fn route(&self, path: &str, method: &Method, body: Incoming) -> Answer {
        match (path, method) {
            ("/metrics", &Method::GET) => {
                let page = self.scrape.page().await;
                respond(StatusCode::OK, MEDIA_TYPE, page.into_bytes())
            }
            ("/healthz", &Method::GET | &Method::POST) => text(StatusCode::OK, "ok"),
            ("/readyz", &Method::GET | &Method::POST) if self.ready.load(Ordering::Relaxed) => {
                text(StatusCode::OK, "ok")
            }
            ("/readyz", &Method::GET | &Method::POST) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, "not ready")
            }
            (PLAN_PATH, &Method::POST) => self.plan(body).await,
            (REPORT_PATH, &Method::POST) => self.report(body).await,
            ("/delegate" | "/cni", _) => refusal(
                StatusCode::NOT_IMPLEMENTED,
                &cni::Error::new(
                    code::INTERNAL,
                    "this daemon plans and executes nothing: delegates are run by the multus plugin on the host",
                ),
            ),
            (PLAN_PATH | REPORT_PATH, _) => not_allowed("POST"),
            ("/healthz" | "/readyz", _) => not_allowed("GET, POST"),
            ("/metrics", _) => not_allowed("GET"),
            _ => text(StatusCode::NOT_FOUND, "no such endpoint"),
        }
    }

    async fn plan(&self, body: Incoming) -> Answer {
        let request: PlanRequest = match read(body).await {
            Ok(request) => request,
            Err(error) => return refusal(status_of(&error), &error),
        };
        let asked = Instant::now();
        let turn = self.work.acquire().await;
        let planned = self.service.plan(&request).await;
        drop(turn);
        let told = planned
            .as_ref()
            .map_err(|error| Reason::of_details(&error.details).unwrap_or(Reason::DaemonNotReady));
        let metrics = &self.scrape.metrics;
        metrics.planned(&request.container_id, told, asked, Instant::now());
        match planned {
            Ok(plan) => json(&plan),
            Err(error) => refusal(status_of(&error), &error),
        }
    }

    async fn report(&self, body: Incoming) -> Answer {
        let report: Report = match read(body).await {
            Ok(report) => report,
            Err(error) => return refusal(status_of(&error), &error),
        };
        let outcome = match self.service.read_report(&report) {
            Ok(outcome) => outcome,
            Err(error) => return refusal(status_of(&error), &error),
        };
        self.scrape.metrics.reported(&report, Instant::now());
        if let Some(value) = outcome.status {
            let pod = report.pod.clone();
            let accepted = match &self.outbox {
                Some(outbox) => outbox
                    .accept(Entry { pod, value })
                    .map_err(|error| cni::error::chain(&error)),
                None => Err("no API server is configured".to_owned()),
            };
            if let Err(cause) = accepted {
                let text = format!("take the network-status of pod {}: {cause}", report.pod);
                return refusal(StatusCode::SERVICE_UNAVAILABLE, &not_ready(text));
            }
        }
        json(&serde_json::json!({}))
    }
}

/// Labels of a request: paths and methods that are not ours have none of their own.
fn labels(path: &str, method: &Method) -> (&'static str, &'static str) {
    let handlers = [
        PLAN_PATH,
        REPORT_PATH,
        "/healthz",
        "/readyz",
        "/metrics",
        "/cni",
        "/delegate",
    ];
    let handler = handlers.into_iter().find(|handler| *handler == path);
    let method = match *method {
        Method::GET => "get",
        Method::POST => "post",
        _ => "other",
    };
    (handler.unwrap_or("other"), method)
}

/// Makes the socket again if another program has removed it; `false` if that is no use.
fn is_there(socket: &mut Socket) -> bool {
    if !socket.is_lost() {
        return true;
    }
    match socket.renew() {
        Ok(()) => {
            warn!("another program had removed the socket: it is there again");
            true
        }
        Err(error) => {
            let error = cni::error::chain(&error);
            warn!(
                error,
                "another program has removed the socket: this daemon ends, to be started again"
            );
            false
        }
    }
}

async fn accept(
    socket: &Socket,
    connections: &Arc<Semaphore>,
) -> Option<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(connections).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok(stream) => Some((stream, slot)),
        Err(error) => {
            warn!(error = cni::error::chain(&error), "accept");
            // Out of descriptors, mostly: without a pause this would spin.
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, cni::Error> {
    let all = Limited::new(body, LARGEST).collect();
    let bytes = tokio::time::timeout(HEADERS, all)
        .await
        .map_err(|_| cni::Error::new(code::IO, "read the request: it does not end"))?
        .map_err(|error| cni::Error::new(code::IO, format!("read the request: {error}")))?
        .to_bytes();
    service::read(&bytes, "request")
}

fn json<T: serde::Serialize>(value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => respond(StatusCode::OK, "application/json", bytes),
        Err(error) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            &cni::Error::new(code::INTERNAL, format!("print the answer: {error}")),
        ),
    }
}

/// HTTP's word for what the plugin may try again, and for what it may not.
fn status_of(error: &cni::Error) -> StatusCode {
    if error.code == code::TRY_AGAIN_LATER {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::BAD_REQUEST
    }
}

fn refusal(status: StatusCode, error: &cni::Error) -> Answer {
    let text = error.to_json(Version::CURRENT);
    respond(status, "application/json", text.into_bytes())
}
