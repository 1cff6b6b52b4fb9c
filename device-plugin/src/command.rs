//! Commands that look, say what they see, and end. What they print is theirs; printing is `main`'s.

mod explain;
mod list;
mod provision;
mod validate;

use std::{path::Path, time::Duration};

use anyhow::Context;
use host::{file, sysfs::Sysfs};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    args::Options,
    config::{self, Config, Defaults, Loaded},
    failure,
    fallback::{self, Fallback},
    holder::{self, Holding},
    node::{self, Network, Node},
    plan::{self, Plan},
    serve::kubelet::{CallError, Kubelet},
};

pub use explain::explain;
pub use list::list;
pub use provision::{plan, provision};
pub use validate::validate;

/// What a command says, and whether all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Lines for standard output.
    pub text: String,
    /// Whether the program's exit code is 0.
    pub good: bool,
}

/// How often a kubelet that is too busy to answer is asked.
const ATTEMPTS: u32 = 5;

/// Reads the configuration file.
fn load(options: &Options) -> anyhow::Result<Loaded> {
    let settings = &options.settings;
    let path = &settings.config;
    let document =
        file::read(path)?.with_context(|| format!("{}: no such file", path.display()))?;
    let defaults = Defaults {
        prefix: settings.prefix.clone(),
        socket_directory: Kubelet::longest_directory(&settings.kubelet_root),
    };
    config::load(&document, &defaults).with_context(|| path.display().to_string())
}

/// Looks at the node as the serving process does.
fn observe(
    options: &Options,
    config: &Config,
) -> Result<(Sysfs, Network, Node), host::error::Error> {
    let sysfs = Sysfs::new(&options.settings.sysfs_root);
    let network = Network::observe()?;
    let mut devlink = node::Kernel::new(config.asks_for_rdma(), config.asks_for_ddp());
    let node = node::scan_asking(&sysfs, &network, &mut devlink)?;
    Ok((sysfs, network, node))
}

/// Asks the kubelet which container holds what; an error is one line that says why it does not tell.
fn holdings(kubelet_root: &Path) -> Result<Vec<Holding>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("start the runtime: {error}"))?;
    let kubelet = Kubelet::new(kubelet_root);
    runtime.block_on(async {
        let mut attempt = 1;
        loop {
            match kubelet.holdings().await {
                Ok(holdings) => return Ok(holdings),
                // It answers some questions a second only, whoever asks.
                Err(CallError::Refused { status, .. })
                    if status.code() == Code::ResourceExhausted && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(failure::chain(&error)),
            }
        }
    })
}

/// What the serving process comes to when the node has been as it is for a while.
fn decide(options: &Options, config: &Config, node: &Node) -> (Plan, Fallback) {
    let mut fallback = Fallback::default();
    if config.pools.iter().all(|pool| pool.fallback.is_none()) {
        return (plan::plan(config, node), fallback);
    }
    let holdings = holdings(&options.settings.kubelet_root);
    let allocated = holdings.as_ref().ok().map(|held| holder::allocated(held));
    let start = Instant::now();
    let mut look = |now| {
        let mut plan = plan::plan(config, node);
        fallback.apply(config, node, &mut plan, allocated.as_ref(), now);
        plan
    };
    // The first of two looks, so that no grace is left at the second.
    look(start);
    let plan = look(start + fallback::GRACE);
    (plan, fallback)
}

/// A value as JSON for people and programs.
fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(value).context("write JSON")?;
    Ok(text + "\n")
}

/// One line per item.
fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|line| line + "\n").collect()
}
