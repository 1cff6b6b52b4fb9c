//! Metrics and probes over HTTP, off unless asked for: `/metrics`, `/healthz`, `/readyz`, `/debug/devices`.
//!
//! The server is [`proto::http`]; here is what the pages say.

mod debug;
mod metrics;
pub mod probe;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use proto::http::{self, Answer, StatusCode, respond, text};
use tokio_util::sync::CancellationToken;

pub use proto::http::Address;

use crate::serve::Shared;

/// Serves until `stop`.
pub async fn serve(address: Address, shared: Arc<Shared>, stop: CancellationToken) {
    let route = move |path: String| {
        let shared = Arc::clone(&shared);
        async move { page(&path, &shared).await }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = http::serve(&address, route) => {}
    }
}

async fn page(path: &str, shared: &Arc<Shared>) -> Answer {
    match path {
        // The thread that serves the kubelet answers this, so it lives.
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" => ready(shared),
        "/metrics" => {
            let page = metrics::render(shared).await;
            respond(StatusCode::OK, proto::prometheus::MEDIA_TYPE, page)
        }
        "/debug/devices" => {
            let devices = debug::devices(shared).await;
            respond(StatusCode::OK, "application/json", devices)
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "/metrics, /healthz, /readyz, /debug/devices",
        ),
    }
}

fn ready(shared: &Shared) -> Answer {
    let obstacles = shared.status.lock().obstacles();
    if obstacles.is_empty() {
        return text(StatusCode::OK, "ok");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, &obstacles.join("\n"))
}
