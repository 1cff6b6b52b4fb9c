//! `multus-daemon thin`: a node without a serving daemon. It installs as `install` does, then stays: keeps the kubeconfig
//! as fresh as the pod's token, and the CNI configuration true (spec/multus.md §6.5; there it is the entry point's loop).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::api::Location;
use crate::api::event::Events;
use crate::api::rotating::Rotating;
use crate::args::Options;
use crate::config::Config;
use crate::daemon::drain_with;
use crate::guard::{self, Guard, Watcher};
use crate::install::{InstallOptions, install, keep_kubeconfig};
use crate::metrics::Metrics;

/// The kubelet renews a token long before it ends.
const REFRESH: Duration = Duration::from_secs(5);

/// Works until SIGTERM or SIGINT, which change nothing on the node.
///
/// # Errors
/// As [`install`]; afterwards everything is told and tried again.
pub async fn run(
    install_options: InstallOptions,
    options: &Options,
    config: &Config,
    in_cluster: bool,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    install(&install_options, config.keys(), &config.cni_dir)?;
    let guard = Arc::new(Guard {
        cni_dir: config.cni_dir.clone(),
        conf_dir: install_options.cni_conf_dir.clone(),
        daemon: config.keys().clone(),
        runtime_cache: options.runtime_cache_dir.clone(),
    });
    let events = Arc::new(Events::default());
    let metrics = Arc::new(Metrics::default());
    let watcher = Watcher::new(Arc::clone(&events), Arc::clone(&metrics));
    guard::start(&guard, watcher).context("start the guard of the CNI configuration")?;
    if let Some(location) = Location::choose(options.kubeconfig.as_deref(), in_cluster) {
        match Rotating::connect(location).await {
            Ok(rotating) => {
                let client = rotating.client();
                drain_with(options.daemonset.as_deref(), &client, &guard, &metrics);
                let node = options.node_name.clone().unwrap_or_default();
                tokio::spawn(async move { events.send(&client, &node).await });
            }
            Err(error) => error!(error = cni::error::chain(&error), "no API client"),
        }
    }
    let mut told = false;
    let refreshing = async {
        loop {
            tokio::time::sleep(REFRESH).await;
            match keep_kubeconfig(&install_options) {
                Ok(()) => told = false,
                Err(error) if !told => {
                    error!(
                        error = cni::error::chain(&error),
                        "kubeconfig for the plugin"
                    );
                    told = true;
                }
                Err(_) => {}
            }
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = refreshing => {}
    }
    info!("stopping; configuration and kubeconfig stay, the token in it ends with this pod");
    guard.leave();
    Ok(())
}
