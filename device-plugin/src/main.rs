//! `sriovdp`, the SR-IOV device plugin: arguments, logs, signals; the rest is in the library.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use host::{file, sysfs::Sysfs};
use sriovdp::{
    args::{self, Command, Options, USAGE},
    config::{self, Defaults, Loaded},
    daemon,
    node::{self, Network},
    plan::plan,
    serve::kubelet::Kubelet,
    watch::{self, Topics},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, level_filters::LevelFilter, warn};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match args::parse(&words) {
        Ok(Command::Help) => say(USAGE),
        Ok(Command::Version) => say(&format!("sriovdp {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Validate(options)) => validate(&options),
        Ok(Command::Explain(options)) => explain(&options),
        Ok(Command::Run(options)) => run(&options),
        Err(error) => {
            // Go's exit code for a wrong command line.
            let _unheard = write!(io::stderr(), "{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "sriovdp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

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

/// One line per pool, rejection and warning; fails if a pool is rejected.
fn validate(options: &Options) -> anyhow::Result<ExitCode> {
    let loaded = load(options)?;
    let mut lines: Vec<String> = loaded
        .config
        .pools
        .iter()
        .map(|pool| format!("{}: ok", pool.name))
        .collect();
    lines.extend(
        loaded
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.extend(loaded.rejected.iter().map(ToString::to_string));
    say(&text(&lines))?;
    Ok(if loaded.rejected.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One line per function.
fn explain(options: &Options) -> anyhow::Result<ExitCode> {
    let loaded = load(options)?;
    let config = &loaded.config;
    let node = node::scan_asking(
        &Sysfs::new(&options.settings.sysfs_root),
        &Network::observe()?,
        &mut node::Kernel::new(config.asks_for_rdma(), config.asks_for_ddp()),
    )?;
    let plan = plan(&loaded.config, &node);
    let verdicts = plan.verdicts.iter().zip(&node.functions);
    let mut lines: Vec<String> = verdicts
        .map(|(verdict, function)| format!("{verdict}{}", names::suffix(function)))
        .collect();
    lines.extend(
        node.skipped
            .iter()
            .map(|skipped| format!("left out: {skipped}")),
    );
    lines.extend(loaded.rejected.iter().map(ToString::to_string));
    say(&text(&lines))
}

fn text(lines: &[String]) -> String {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    start_log(options.verbosity);
    info!(version = env!("CARGO_PKG_VERSION"), "sriovdp");
    for note in &options.without_effect {
        warn!("{note}");
    }
    // One thread serves; the others scan, and end when idle.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .build()
        .context("start the runtime")?;
    let settings = options.settings.clone();
    runtime.block_on(async move {
        let topics = Topics::default();
        let stop = CancellationToken::new();
        follow_signals(&topics, &stop).context("receive signals")?;
        let config: Vec<_> = settings.config.parent().map(Into::into).into_iter().collect();
        let kubelet = Kubelet::new(&settings.kubelet_root).directories();
        let serving = tokio::spawn(daemon::run(
            settings,
            topics.clone(),
            Arc::new(Network::observe),
            stop.clone(),
        ));
        if let Err(error) = watch::start(topics, &config, &kubelet, stop) {
            error!(%error, "no watching of directories: changes are found by the slow reconcile only");
        }
        serving.await.context("serve")
    })?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// TERM, INT and QUIT stop; HUP reads the configuration again.
fn follow_signals(topics: &Topics, stop: &CancellationToken) -> io::Result<()> {
    let config = topics.config.clone();
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("reading the configuration again");
            config.announce();
        }
    });
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::quit(),
    ] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            signals.recv().await;
            info!("stopping");
            stop.cancel();
        });
    }
    Ok(())
}

fn start_log(verbosity: u32) {
    let level = match verbosity {
        0..=3 => LevelFilter::INFO,
        4..=10 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false);
    log.with_max_level(level).with_target(false).init();
}

/// Names of vendors and devices, for people.
mod names {
    use sriovdp::node::Function;

    #[cfg(feature = "names")]
    pub(super) fn suffix(function: &Function) -> String {
        match pci_ids::Device::from_vid_pid(function.vendor, function.device) {
            Some(device) => format!(" ({} {})", device.vendor().name(), device.name()),
            None => String::new(),
        }
    }

    #[cfg(not(feature = "names"))]
    pub(super) fn suffix(_: &Function) -> String {
        String::new()
    }
}
