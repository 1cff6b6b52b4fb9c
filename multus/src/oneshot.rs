//! `multus-daemon plan` and `multus-daemon report`: the planner without a daemon (thin mode).
//!
//! A document on stdin, one on stdout. A failure is a CNI error on stdout and exit status 1.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cni::error::code;
use cni::version::Version;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use multus_plugin::config::NetConf;
use multus_plugin::wire::{PlanRequest, Report};

use crate::api::event::Events;
use crate::api::status;
use crate::api::{self, Location};
use crate::args::{OneShot, Options};
use crate::config::Config;
use crate::kubeconfig::Claims;
use crate::kubelet::Kubelet;
use crate::nads::NadFiles;
use crate::namespaces::Namespaces;
use crate::service::{self, Service, not_ready};
use crate::sources::Sources;

/// How long events may take; the plugin waits for the end of this process.
const EVENTS: Duration = Duration::from_millis(300);
/// How long writing the status may take, attempts included.
const STATUS: Duration = Duration::from_millis(700);
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// What is printed, and whether it is a success.
#[derive(Debug)]
pub struct Output {
    /// For stdout.
    pub text: String,
    /// Exit status 0.
    pub success: bool,
}

/// Carries out `command` on `input`.
pub async fn run(
    command: OneShot,
    input: &[u8],
    options: &Options,
    config: Config,
    in_cluster: bool,
) -> Output {
    let answer = match command {
        OneShot::Plan => plan(input, options, config, in_cluster).await,
        OneShot::Report => report(input, options, config, in_cluster).await,
    };
    match answer {
        Ok(text) => Output {
            text,
            success: true,
        },
        Err(error) => Output {
            text: error.to_json(Version::CURRENT),
            success: false,
        },
    }
}

async fn plan(
    input: &[u8],
    options: &Options,
    config: Config,
    in_cluster: bool,
) -> Result<String, cni::Error> {
    let request: PlanRequest = service::read(input, "plan request")?;
    let named = NetConf::parse(request.config.get().as_bytes())
        .map(|conf| PathBuf::from(conf.kubeconfig))
        .ok();
    let client = connect(options, named.as_deref(), in_cluster).await?;
    let service = service(options, config, client.clone());
    let mut planned = service.plan(&request).await;
    if let Err(error) = &mut planned {
        explain(error, options.kubeconfig.as_deref().or(named.as_deref()));
    }
    flush(&service, client.as_ref(), options).await;
    print(&planned?)
}

async fn report(
    input: &[u8],
    options: &Options,
    config: Config,
    in_cluster: bool,
) -> Result<String, cni::Error> {
    let report: Report = service::read(input, "report")?;
    let installed = || installed_kubeconfig(&config);
    let named = report.kubeconfig.clone().or_else(installed);
    let client = connect(options, named.as_deref(), in_cluster).await?;
    let service = service(options, config, client.clone());
    let outcome = service.read_report(&report)?;
    let written = match (&outcome.status, &client) {
        (Some(value), Some(client)) => write(client, &report, value).await,
        // Upstream, too, writes a status only where there is an API server (spec/multus.md §2.4).
        _ => Ok(()),
    };
    flush(&service, client.as_ref(), options).await;
    written.map_err(|mut error| {
        explain(
            &mut error,
            options.kubeconfig.as_deref().or(named.as_deref()),
        );
        error
    })?;
    print(&serde_json::json!({}))
}

async fn write(client: &Client, report: &Report, value: &str) -> Result<(), cni::Error> {
    let what = format!("write network-status of pod {}", report.pod);
    let mut last = format!("no answer in {} ms", STATUS.as_millis());
    let attempts = async {
        loop {
            match status::write(client, &report.pod, value).await {
                Ok(_) => return,
                Err(error) => last = cni::error::chain(&error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let done = tokio::time::timeout(STATUS, attempts).await;
    done.map_err(|_| not_ready(format!("{what}: {last}")))
}

fn service(options: &Options, config: Config, client: Option<Client>) -> Service {
    Service {
        devinfo_dir: options.devinfo_dir.clone(),
        sources: Sources {
            client,
            pods: None,
            nads: None,
            nad_files: NadFiles::new(config.cni_dir.join("nads")),
            namespaces: Namespaces::new(config.cni_dir.join("namespaces")),
            kubelet: Kubelet::new(&options.pod_resources_socket, &options.device_checkpoint),
            sysfs: options.sysfs_root.clone(),
            node: options.node_name.clone().filter(|name| !name.is_empty()),
        },
        config,
        events: Arc::new(Events::default()),
    }
}

async fn connect(
    options: &Options,
    named: Option<&Path>,
    in_cluster: bool,
) -> Result<Option<Client>, cni::Error> {
    let kubeconfig = options.kubeconfig.as_deref().or(named);
    match Location::choose(kubeconfig, in_cluster) {
        None => Ok(None),
        Some(location) => match location.connect().await {
            Ok(client) => Ok(Some(client)),
            Err(error) => Err(not_ready(cni::error::chain(&error))),
        },
    }
}

/// The API server says "Unauthorized"; whose token that was it does not say.
fn explain(error: &mut cni::Error, kubeconfig: Option<&Path>) {
    let refused = error.msg.contains("Unauthorized") || error.msg.contains("401");
    let Some(path) = kubeconfig.filter(|_| refused) else {
        return;
    };
    let claims = api::token(path).map(|token| Claims::of(&token));
    if let Some(why) = claims.and_then(|claims| claims.ended(path, Timestamp::now(), refused)) {
        error.msg = format!("{}: {why}", error.msg);
    }
}

/// Before the process ends: upstream loses half of them (spec/corrections.md M11).
async fn flush(service: &Service, client: Option<&Client>, options: &Options) {
    if let Some(client) = client {
        let node = options.node_name.as_deref().unwrap_or_default();
        let _in_time = tokio::time::timeout(EVENTS, service.events.flush(client, node)).await;
    }
}

/// `kubeconfig` of the plugin's configuration in the runtime's folder.
fn installed_kubeconfig(config: &Config) -> Option<PathBuf> {
    let list = cni::conf_dir::first(&config.cni_config_dir).ok()?;
    let bytes = crate::plain::own_configuration(&list)?;
    let conf = NetConf::parse(&bytes).ok()?;
    (!conf.kubeconfig.is_empty()).then(|| conf.kubeconfig.into())
}

fn print<T: serde::Serialize>(value: &T) -> Result<String, cni::Error> {
    serde_json::to_string(value)
        .map_err(|error| cni::Error::new(code::INTERNAL, format!("print the answer: {error}")))
}
