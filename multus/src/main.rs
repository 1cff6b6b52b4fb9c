//! `multus-daemon`: command line, environment and exit status.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the environment is read here and handed down"
)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use multus::api::Location;
use multus::api::event::Events;
use multus::api::rotating::Rotating;
use multus::args::{self, Cli, Command, OneShot, Options};
use multus::config::Config;
use multus::install::InstallOptions;
use multus::logging::LogSettings;
use multus::{certificate, daemon, install, kubeconfig, logging, oneshot, probe, thin};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, warn};

fn main() -> ExitCode {
    let (words, unknown) = args::without_unknown(std::env::args_os().collect());
    let cli = Cli::parse_from(words);
    match run(cli, &unknown) {
        Ok(code) => code,
        Err(error) => {
            // Started already, unless this is about the configuration itself.
            let _stderr = logging::start(
                tracing::level_filters::LevelFilter::ERROR,
                &LogSettings::default(),
            );
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, unknown: &[String]) -> anyhow::Result<ExitCode> {
    let config = daemon::read_config(&cli.options)?;
    if let Some(Command::Probe { question }) = cli.command {
        let dir = cli
            .options
            .socket_dir
            .as_ref()
            .unwrap_or(&config.socket_dir);
        probe::ask(dir, question).context("probe")?;
        return Ok(ExitCode::SUCCESS);
    }
    start_log(&cli.options, &config)?;
    if !unknown.is_empty() {
        warn!(
            options = unknown.join(" "),
            "not known here, without effect"
        );
    }
    let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        && std::env::var_os("KUBERNETES_SERVICE_PORT").is_some();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .context("start the runtime")?;
    match cli.command {
        None => {
            runtime.block_on(daemon::run(cli.options, config, in_cluster))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Probe { .. }) => Ok(ExitCode::SUCCESS),
        Some(Command::Install(options)) if options.only_plugins => {
            install::install_plugins(&options)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Install(options)) => {
            install::install(&with_server(*options), config.keys(), &config.cni_dir)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Thin(options)) => {
            let options = with_server(*options);
            runtime.block_on(thin::run(options, &cli.options, &config, in_cluster))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::ApproveCertificates) => {
            runtime.block_on(approve(&cli.options, in_cluster))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::OneShot(command)) => {
            one_shot(&runtime, command, &cli.options, config, in_cluster)
        }
    }
}

/// The API server of this pod, for the kubeconfig.
fn with_server(options: InstallOptions) -> InstallOptions {
    let variable = |name: &str| std::env::var(format!("KUBERNETES_SERVICE_{name}")).ok();
    let own = || {
        let (host, port) = (variable("HOST")?, variable("PORT")?);
        Some(kubeconfig::server(
            variable("PROTOCOL").as_deref(),
            &host,
            &port,
        ))
    };
    InstallOptions {
        api_server: options.api_server.or_else(own),
        ..options
    }
}

async fn approve(options: &Options, in_cluster: bool) -> anyhow::Result<()> {
    let location = Location::choose(options.kubeconfig.as_deref(), in_cluster)
        .context("no API server: set --kubeconfig, or run in a pod with a service account")?;
    let client = Rotating::connect(location).await?.client();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let events = Arc::new(Events::default());
    tokio::select! {
        () = certificate::approve::serve(client.clone(), &events) => {}
        () = events.send(&client, "") => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn one_shot(
    runtime: &tokio::runtime::Runtime,
    command: OneShot,
    options: &Options,
    config: Config,
    in_cluster: bool,
) -> anyhow::Result<ExitCode> {
    let mut input = Vec::new();
    std::io::stdin()
        .read_to_end(&mut input)
        .context("read stdin")?;
    let output = runtime.block_on(oneshot::run(command, &input, options, config, in_cluster));
    let mut stdout = std::io::stdout();
    stdout
        .write_all(output.text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("write stdout")?;
    Ok(if output.success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn start_log(options: &Options, config: &Config) -> anyhow::Result<()> {
    let word = options
        .log_level
        .as_deref()
        .unwrap_or_else(|| config.log.level());
    let level = logging::level(word)
        .with_context(|| format!("log level {word:?}: use error, warn, info, debug or trace"))?;
    if let Err(error) = logging::start(level, &config.log) {
        let file = config.log.log_file.as_deref().unwrap_or(Path::new(""));
        warn!(file = %file.display(), %error, "open the log file; lines go to standard error");
    }
    Ok(())
}
