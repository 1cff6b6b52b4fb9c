//! The daemon: wiring of watches, queues and server, from start to SIGTERM.
//!
//! Invariant: no signal and no failure here touches the CNI configuration (spec/ecosystem.md §6.3 I3).

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use cni::runtime::cache::Cache;
use host::file;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use multus_plugin::config::NetConf;
use nix::unistd::Uid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::api::event::Events;
use crate::api::nad::NetworkAttachmentDefinition;
use crate::api::pod::Pod;
use crate::api::rotating::Rotating;
use crate::api::{Location, daemonset, nad, pod};
use crate::args::Options;
use crate::certificate::{self, Keeper};
use crate::config::Config;
use crate::guard::{self, Guard, Watcher};
use crate::known::Nad;
use crate::kubelet::Kubelet;
use crate::metrics::scrape::Scrape;
use crate::metrics::{self, Metrics};
use crate::nads::{Change, NadFiles};
use crate::namespaces::Namespaces;
use crate::outbox::Outbox;
use crate::plain::{Changed, PlainPods};
use crate::primary;
use crate::server::Server;
use crate::server::socket::Socket;
use crate::service::Service;
use crate::sources::Sources;

/// Pause between attempts to read the API credentials.
const RETRY: Duration = Duration::from_secs(5);

/// Whether NADs are still copied to disk.
type Copying = Arc<Mutex<bool>>;

/// How long the socket waits for the first lists of NADs and pods.
const FIRST_LISTS: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT. `in_cluster`: this process runs in a pod with a service account.
pub async fn run(options: Options, config: Config, in_cluster: bool) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let signals = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        info!(tasks, "stopping");
        stop.send_replace(true);
    };
    let serving = serve(options, config, in_cluster, stopped.clone());
    let mut stopped = stopped;
    tokio::spawn(signals);
    tokio::select! {
        result = serving => result,
        // Before the socket exists there is nothing to end in order.
        () = async {
            let _ended = stopped.wait_for(|stop| *stop).await;
            tokio::time::sleep(Duration::from_secs(4)).await;
        } => Ok(()),
    }
}

async fn serve(
    options: Options,
    config: Config,
    in_cluster: bool,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(rotating) = connect(&options, &config, in_cluster, stop.clone()).await else {
        return Ok(());
    };
    let client = rotating.as_ref().map(Rotating::client);
    warn_of_keys(&config);
    let state = config.cni_dir.clone();
    let node = options.node_name.clone().unwrap_or_default();
    let socket_dir = options
        .socket_dir
        .clone()
        .unwrap_or_else(|| config.socket_dir.clone());
    let guard = Arc::new(Guard {
        cni_dir: state.clone(),
        conf_dir: config.cni_config_dir.clone(),
        daemon: config.keys().clone(),
        runtime_cache: options.runtime_cache_dir.clone(),
    });
    let events = Arc::new(Events::default());
    let metrics = Arc::new(Metrics::default());
    if let Some(rotating) = &rotating {
        keep_certificate(&config, &node, rotating, &metrics);
    }
    let watcher = Watcher::new(Arc::clone(&events), Arc::clone(&metrics));
    guard::start(&guard, watcher).context("start the guard of the CNI configuration")?;
    let nad_files = NadFiles::new(state.join("nads"));
    let (pods, pod_writer) = reflector::store();
    let (nads, nad_writer) = reflector::store();
    let service = Arc::new(Service {
        config,
        devinfo_dir: options.devinfo_dir.clone(),
        sources: Sources {
            client: client.clone(),
            pods: Some(pods.clone()),
            nads: Some(nads.clone()),
            nad_files: nad_files.clone(),
            namespaces: Namespaces::new(state.join("namespaces")),
            kubelet: Kubelet::new(&options.pod_resources_socket, &options.device_checkpoint),
            sysfs: options.sysfs_root.clone(),
            node: options.node_name.clone().filter(|name| !name.is_empty()),
        },
        events: Arc::clone(&events),
    });
    let mut outbox = None;
    let was_installed = guard.is_installed();
    let copying: Copying = Arc::new(Mutex::new(true));
    if let Some(client) = client {
        drain_with(options.daemonset.as_deref(), &client, &guard, &metrics);
        let queue = Outbox::new(state.join("reports"), client.clone(), Arc::clone(&metrics));
        queue.resume().context("take up unwritten network-status")?;
        outbox = Some(Arc::clone(&queue));
        let plain = PlainPods {
            service: Arc::clone(&service),
            outbox: queue,
            pods: pods.clone(),
            cache: Cache::new(&options.runtime_cache_dir),
        };
        let (tell, changed) = mpsc::unbounded_channel();
        tokio::spawn(plain.follow(changed));
        follow_pods(&client, &node, pod_writer, tell, Arc::clone(&metrics));
        let of_nads = Arc::clone(&metrics);
        follow_nads(
            &client,
            nad_writer,
            nad_files,
            Arc::clone(&service),
            of_nads,
            Arc::clone(&copying),
        );
        let events = Arc::clone(&events);
        tokio::spawn(async move { events.send(&client, &node).await });
        // Requests of the first moment would each ask the API server for what the lists are about to bring.
        // An earlier daemon goes on serving until the socket is bound.
        let listed = async { tokio::join!(nads.wait_until_ready(), pods.wait_until_ready()) };
        let _in_time = tokio::time::timeout(FIRST_LISTS, listed).await;
    }
    let socket = Socket::bind(&socket_dir, Uid::effective()).context("listen")?;
    info!(socket = %socket.path().display(), "serving");
    let ready = Arc::new(AtomicBool::new(true));
    let (address, debug) = (service.config.metrics, service.config.debug);
    let scrape = Arc::new(Scrape {
        metrics,
        outbox: outbox.clone(),
        events,
        nads,
        cni_dir: state,
    });
    if let Some(address) = address {
        tokio::spawn(metrics::http::serve(address, Arc::clone(&scrape), debug));
    }
    Server::new(service, outbox, ready, scrape)
        .serve(socket, stop)
        .await;
    // Nothing is removed unless the node drains.
    guard.leave();
    *copying.lock().unwrap_or_else(PoisonError::into_inner) = false;
    if was_installed {
        guard.remove_copies();
    }
    Ok(())
}

fn warn_of_keys(config: &Config) {
    for key in config.without_effect() {
        warn!(
            key,
            "this key of the daemon configuration has no effect: set it in the file of multusConfigFile"
        );
    }
}

/// Drains when the DaemonSet `NAMESPACE/NAME` is deleted.
pub(crate) fn drain_with(
    daemonset: Option<&str>,
    client: &Client,
    guard: &Arc<Guard>,
    metrics: &Arc<Metrics>,
) {
    let Some((namespace, name)) = daemonset.and_then(|text| text.split_once('/')) else {
        info!("no DaemonSet is named (--daemonset): multus stays until 'multus uninstall'");
        return;
    };
    let (client, guard, metrics) = (client.clone(), Arc::clone(guard), Arc::clone(metrics));
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    tokio::spawn(async move {
        daemonset::follow_deletion(client, &namespace, &name, &metrics, || guard.drain()).await;
    });
}

/// The API client; the inner `None` if no API server is configured, the outer one if stopped first.
async fn connect(
    options: &Options,
    config: &Config,
    in_cluster: bool,
    mut stop: watch::Receiver<bool>,
) -> Option<Option<Rotating>> {
    let location = match &config.certificate {
        Some(settings) => Some(certificate::location(settings)),
        None => Location::choose(options.kubeconfig.as_deref(), in_cluster),
    };
    let Some(location) = location else {
        error!("no API server: set --kubeconfig, or run in a pod with a service account");
        return Some(None);
    };
    loop {
        match Rotating::connect(location.clone()).await {
            Ok(client) => return Some(Some(client)),
            Err(error) => {
                error!(error = cni::error::chain(&error), "no API client yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.wait_for(|stop| *stop) => return None,
        }
    }
}

/// This node's own certificate, if the configuration asks for one.
fn keep_certificate(config: &Config, node: &str, client: &Rotating, metrics: &Arc<Metrics>) {
    let Some(settings) = &config.certificate else {
        return;
    };
    if node.is_empty() {
        error!("perNodeCertificate needs the node's name: set MULTUS_NODE_NAME");
        return;
    }
    let keeper = Keeper {
        settings: settings.clone(),
        node: node.to_owned(),
        client: client.clone(),
        metrics: Arc::clone(metrics),
    };
    tokio::spawn(keeper.keep(|| Timestamp::now().into()));
}

fn follow_pods(
    client: &Client,
    node: &str,
    store: reflector::store::Writer<Pod>,
    tell: mpsc::UnboundedSender<Changed>,
    metrics: Arc<Metrics>,
) {
    if node.is_empty() {
        warn!(
            "no node name: set MULTUS_NODE_NAME; pods are not watched, plain pods get no network-status"
        );
        return;
    }
    let selector = format!("spec.nodeName={node}");
    let api = Api::all(client.clone());
    let seen = move |event: &Event<Pod>| {
        if let Event::Apply(pod) | Event::InitApply(pod) = event
            && crate::plain::lacks_status(pod)
        {
            let meta = &pod.metadata;
            // The receiver lives as long as the process.
            let _sent = tell.send((
                meta.namespace.clone().unwrap_or_default(),
                meta.name.clone().unwrap_or_default(),
            ));
        }
    };
    tokio::spawn(async move {
        crate::api::watch::follow(api, &selector, pod::trim, store, &metrics, seen).await;
    });
}

fn follow_nads(
    client: &Client,
    store: reflector::store::Writer<NetworkAttachmentDefinition>,
    files: NadFiles,
    service: Arc<Service>,
    metrics: Arc<Metrics>,
    copying: Copying,
) {
    let (tell, mut changes) = mpsc::unbounded_channel::<Change>();
    let api = Api::all(client.clone());
    let mut all = BTreeMap::new();
    let seen = move |event: &Event<NetworkAttachmentDefinition>| {
        let change = match event {
            Event::Init => {
                all.clear();
                return;
            }
            Event::InitApply(nad) => {
                all.extend([nad.facts()]);
                return;
            }
            Event::InitDone => Change::All(std::mem::take(&mut all)),
            Event::Apply(nad) => {
                let (key, nad) = nad.facts();
                Change::Put(key, nad)
            }
            Event::Delete(nad) => Change::Remove(nad.facts().0),
        };
        let _sent = tell.send(change);
    };
    tokio::spawn(async move {
        crate::api::watch::follow(api, "", nad::trim, store, &metrics, seen).await;
    });
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            let (files, service) = (files.clone(), Arc::clone(&service));
            let copying = Arc::clone(&copying);
            let stored = tokio::task::spawn_blocking(move || {
                // Held while it works, so that nothing is written any more once it is false.
                let going_on = copying.lock().unwrap_or_else(PoisonError::into_inner);
                if !*going_on {
                    return Ok(());
                }
                keep_primary(&service, &change);
                files.apply(change)
            });
            if let Ok(Err(error)) = stored.await {
                warn!(error = cni::error::chain(&error), "copy of the NADs");
            }
        }
    });
}

/// A changed NAD that is the default network of the installed configuration is kept for the plugin.
fn keep_primary(service: &Service, change: &Change) {
    let config = &service.config;
    let installed = cni::conf_dir::first(&config.cni_config_dir)
        .ok()
        .and_then(|list| crate::plain::own_configuration(&list))
        .and_then(|bytes| {
            let own = NetConf::parse(&bytes).ok()?;
            primary::wanted(&config.overlaid(&bytes).ok()?, &own)
        });
    let Some(kept) = installed else {
        return;
    };
    let found: Option<&Nad> = match change {
        Change::Put(key, nad) => (*key == kept.key).then_some(nad),
        Change::All(all) => all.get(&kept.key),
        Change::Remove(_) => None,
    };
    if let Some(nad) = found {
        primary::keep(&kept, nad);
    }
}

/// The daemon's configuration file, which may be absent.
pub fn read_config(options: &Options) -> anyhow::Result<Config> {
    let bytes = file::read(&options.config).context("read the daemon configuration")?;
    Config::parse(bytes.as_deref())
        .with_context(|| format!("daemon configuration {}", options.config.display()))
}
