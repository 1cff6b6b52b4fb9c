//! `/metrics` over TCP, where `metricsPort` asks for it; `/debug/state` with `enablePprof`.
//!
//! Go multus listens on all addresses (spec/multus.md §9.2); here that must be written out in `metricsAddress`.

use std::net::SocketAddr;
use std::sync::Arc;

use proto::http::{self, Address, Answer, StatusCode, respond, text};
use proto::prometheus::MEDIA_TYPE;

use super::scrape::Scrape;

/// Serves for ever.
pub async fn serve(address: SocketAddr, scrape: Arc<Scrape>, debug: bool) {
    let route = move |path: String| {
        let scrape = Arc::clone(&scrape);
        async move { page(&path, &scrape, debug).await }
    };
    http::serve(&Address::Tcp(address), route).await;
}

async fn page(path: &str, scrape: &Scrape, debug: bool) -> Answer {
    match path {
        "/metrics" => respond(StatusCode::OK, MEDIA_TYPE, scrape.page().await),
        "/healthz" => text(StatusCode::OK, "ok"),
        "/debug/state" if debug => {
            let state = format!("{:#}\n", scrape.state().await);
            respond(StatusCode::OK, "application/json", state)
        }
        _ => text(StatusCode::NOT_FOUND, "/metrics, /healthz"),
    }
}
