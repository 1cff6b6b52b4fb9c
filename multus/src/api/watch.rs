//! Watches: a trimmed copy of a kind of object, kept up to date for as long as the daemon runs.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Instant;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tracing::{debug, info, warn};

use crate::metrics::Metrics;

/// Objects per page of the first list: bounds the memory that a list takes for a moment.
const PAGE: u32 = 25;

/// Follows all objects of `api` that `selector` (a field selector, empty: all) lets through: each
/// is trimmed, stored, and then shown to `seen`. Returns only if the stream ends, which it does
/// not; errors are logged once per outage and retried with back-off.
pub async fn follow<K>(
    api: Api<K>,
    selector: &str,
    trim: fn(&mut K),
    mut store: Writer<K>,
    metrics: &Metrics,
    mut seen: impl FnMut(&Event<K>),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let kind = K::kind(&());
    let mut config = watcher::Config::default().page_size(PAGE);
    if !selector.is_empty() {
        config = config.fields(selector);
    }
    let mut stream = pin!(
        kube::runtime::watcher(api, config)
            .modify(trim)
            .default_backoff()
    );
    metrics.watch(&kind, false, Instant::now());
    let mut broken = false;
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                if broken {
                    info!(%kind, "the watch works again");
                    broken = false;
                }
                if !matches!(event, Event::Init | Event::InitApply(_)) {
                    metrics.watch(&kind, true, Instant::now());
                }
                store.apply_watcher_event(&event);
                seen(&event);
            }
            Err(error) => {
                metrics.watch(&kind, false, Instant::now());
                let error = cni::error::chain(&error);
                if broken {
                    debug!(%kind, error, "watch");
                } else {
                    warn!(%kind, error, "watch interrupted, what is known stays in use");
                    broken = true;
                }
            }
        }
    }
}
