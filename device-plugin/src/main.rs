//! `sriovdp`, the SR-IOV device plugin: arguments, logs, signals; the rest is in the library.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use sriovdp::{
    args::{self, Command, Options, USAGE},
    command::{self, Answer},
    daemon,
    http::probe,
    node::Network,
    serve::kubelet::Kubelet,
    watch::{self, Topics},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, level_filters::LevelFilter, warn};
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Where the identity of this boot is read.
const PROC: &str = "/proc";

/// What a scan that is under way gets to end when the program does.
const SCAN_END: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match args::parse(&words) {
        Ok(Command::Help) => say(USAGE),
        Ok(Command::Version) => say(&format!("sriovdp {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Validate(options)) => {
            command::validate(&options).and_then(|text| answer(&text))
        }
        Ok(Command::Explain(options)) => {
            command::explain(&options, &names::of).and_then(|text| answer(&text))
        }
        Ok(Command::List(options)) => command::list(&options).and_then(|text| answer(&text)),
        Ok(Command::Plan(options)) => {
            command::plan(&options, Path::new(PROC)).and_then(|text| answer(&text))
        }
        Ok(Command::Provision(options)) => {
            command::provision(&options, Path::new(PROC)).and_then(|text| answer(&text))
        }
        Ok(Command::Probe(address, question)) => probe::ask(&address, question)
            .context("probe")
            .and_then(|text| say(&format!("{text}\n"))),
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

/// Prints an answer; the exit code says whether all is well.
fn answer(answer: &Answer) -> anyhow::Result<ExitCode> {
    say(&answer.text)?;
    Ok(if answer.good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .context("start the runtime")?;
    let settings = options.settings.clone();
    runtime.block_on(async move {
        let topics = Topics::default();
        let stop = CancellationToken::new();
        follow_signals(&topics, &stop).context("receive signals")?;
        let config: Vec<_> = settings
            .config
            .parent()
            .map(Into::into)
            .into_iter()
            .collect();
        let kubelet = Kubelet::new(&settings.kubelet_root).directories();
        let serving = tokio::spawn(daemon::run(
            settings,
            topics.clone(),
            Arc::new(Network::observe),
            stop.clone(),
        ));
        if let Err(error) = watch::start(topics, &config, &kubelet, stop) {
            error!(%error, "no watching: changes are found by the slow reconcile only");
        }
        serving.await.context("serve")
    })?;
    // A scan that a driver does not answer must not keep the process.
    runtime.shutdown_timeout(SCAN_END);
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// TERM, INT and QUIT stop; HUP reads the configuration again; USR1 does nothing.
fn follow_signals(topics: &Topics, stop: &CancellationToken) -> io::Result<()> {
    let config = topics.config.clone();
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("reading the configuration again");
            config.announce();
        }
    });
    // Ends nothing in the Go plugin, so nobody may be surprised here.
    let mut ignored = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move { while ignored.recv().await.is_some() {} });
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
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(LevelFilter::TRACE)
        .with_target(false);
    log.finish().with(log_filter(verbosity)).init();
}

/// Decisions are ours; what libraries do frame by frame hides them and comes with everything only.
fn log_filter(verbosity: u32) -> Targets {
    match verbosity {
        0..=3 => Targets::new().with_default(LevelFilter::INFO),
        4..=10 => Targets::new()
            .with_default(LevelFilter::INFO)
            .with_targets([
                ("sriovdp", LevelFilter::DEBUG),
                ("host", LevelFilter::DEBUG),
            ]),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    }
}

/// Names of vendors and devices, for people.
mod names {
    use sriovdp::node::Function;

    #[cfg(feature = "names")]
    pub(super) fn of(function: &Function) -> Option<String> {
        let device = pci_ids::Device::from_vid_pid(function.vendor, function.device)?;
        Some(format!("{} {}", device.vendor().name(), device.name()))
    }

    #[cfg(not(feature = "names"))]
    pub(super) fn of(_: &Function) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::log_filter;

    #[test]
    fn decisions_are_logged_without_the_frames_of_the_libraries() {
        let enabled = |verbosity, target, level| log_filter(verbosity).would_enable(target, &level);
        assert!(enabled(4, "sriovdp::daemon", Level::DEBUG));
        assert!(!enabled(4, "h2::codec", Level::DEBUG));
        assert!(!enabled(3, "sriovdp::daemon", Level::DEBUG));
        assert!(enabled(0, "h2::codec", Level::INFO));
        assert!(enabled(11, "h2::codec", Level::TRACE));
    }
}
