//! A stand-in kubelet: device plugins, PodResources, and the pods of one node on a real container runtime.
//! It claims nothing it does not do: a pod that needs more (other volumes, other probes than commands) is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

mod admission;
mod agent;
mod allocations;
mod backoff;
mod config;
mod container;
mod content;
mod devices;
mod endpoint;
mod environment;
mod event;
mod identity;
mod limits;
mod node;
mod plugin_watch;
mod pod_resources;
mod pods;
mod probe;
mod rate;
mod registry;
mod removal;
mod runtime;
mod sandbox;
mod security;
mod session;
mod starting;
mod status;
mod table;
mod unsupported;
mod volume;
mod worker;

pub use allocations::Allocations;
pub use config::KubeletConfig;
pub use devices::Count;
pub use rate::{Calls, Rate};

use agent::Agent;
use session::Session;

/// A running kubelet. Dropping it ends it; its pods stay on the runtime.
#[derive(Debug)]
pub struct Kubelet {
    agent: Arc<Agent>,
    session: Mutex<Option<Session>>,
    _tasks: JoinSet<()>,
}

impl Kubelet {
    /// Connects to the runtime, serves the sockets, registers the node, and runs its pods.
    pub async fn start(config: KubeletConfig) -> Result<Kubelet> {
        let runtime = runtime::Runtime::dial(&config.runtime)
            .await
            .context("reach the container runtime")?;
        let table = table::Table::new();
        let agent = Arc::new(Agent {
            registry: registry::Registry::new(table.clone()),
            recorder: event::Recorder::new(config.store.clone(), &config.node),
            admitting: Mutex::new(()),
            table,
            runtime,
            config,
        });
        node::register(&agent)
            .await
            .context("ask the container runtime for its version")?;
        let session = Session::start(&agent)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(node::run(Arc::clone(&agent)));
        tasks.spawn(pods::run(Arc::clone(&agent)));
        Ok(Kubelet {
            agent,
            session: Mutex::new(Some(session)),
            _tasks: tasks,
        })
    }

    /// Restarts: all plugins are forgotten (their devices are unhealthy until they register again), the sockets are
    /// wiped and made again. Pods go on and keep their devices, as with the checkpoint of the real one.
    pub async fn restart(&self) -> Result<()> {
        let mut session = self.session.lock().await;
        if let Some(earlier) = session.take() {
            earlier.end().await;
        }
        self.agent.registry.clear();
        *session = Some(Session::start(&self.agent)?);
        Ok(())
    }

    /// What the node offers, by resource.
    pub fn devices(&self) -> BTreeMap<String, Count> {
        self.agent.table.read(devices::Devices::counts)
    }
}
