//! Many ADDs of multus at once, three networks each, as when a node comes back and all its pods start: played on this
//! machine's own kernel, in network and mount namespaces of its own, with the real programs, the reference plugins as
//! delegates, a stand-in API server, and PodResources with the kubelet's limit.

mod calls;
mod gauges;
mod ground;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use self::{
    calls::{Calls, Pod},
    gauges::{Gauges, Watch},
    ground::{Ground, NETWORKS},
};
use crate::{
    guest::service::Service,
    lab::build::prepare_host,
    report::{Outcome, Printer, Reporter},
};

/// The design's budget for multus-daemon under 200 ADDs at once, in kB.
const MEMORY_KB: u64 = 32 << 10;

/// What multus-daemon can ask the API server at once: 8 statuses, 2 watches, and as much again by ADDs and events.
const CONNECTIONS: usize = 20;

const ADDS: &str = "storm: ADDs";
const DELS: &str = "storm: DELs";

/// Arguments of `hwtests storm`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Sandboxes.
    #[arg(long, default_value_t = 200)]
    pub sandboxes: usize,
    /// How often, with the same daemon.
    #[arg(long, default_value_t = 1)]
    pub rounds: usize,
    /// Folder of the run, given to the process inside the namespaces.
    #[arg(long, hide = true)]
    pub inside: Option<PathBuf>,
}

/// Plays it and prints the counts.
///
/// # Errors
/// When the namespaces cannot be made. A step that does not hold is the exit code.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(folder) = &arguments.inside {
        return inside(arguments, folder);
    }
    let printer = play(arguments)?;
    let failed = printer.count(Outcome::Failed);
    println!(
        "\n{} passed, {failed} failed, 0 skipped",
        printer.count(Outcome::Passed)
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Plays it in namespaces of its own and prints a row per step.
///
/// # Errors
/// When the namespaces cannot be made, or the process inside breaks.
pub fn play(arguments: &Arguments) -> Result<Printer> {
    prepare_host()?;
    let folder = std::env::temp_dir().join(format!("ferrovia-storm-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let own = std::env::current_exe().context("find this program")?;
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private"])
        .arg(own)
        .arg("storm")
        .arg("--inside")
        .arg(&folder)
        .args(["--sandboxes", &arguments.sandboxes.to_string()])
        .args(["--rounds", &arguments.rounds.to_string()])
        .status()
        .context("run unshare")?;
    let mut printer = Printer::default();
    let report = fs::read_to_string(folder.join("report")).unwrap_or_default();
    report.lines().for_each(|line| printer.take(line));
    let failed = printer.count(Outcome::Failed);
    if failed == 0 {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    } else {
        println!("  logs are in {}", folder.display());
    }
    if !status.success() && failed == 0 {
        bail!("the storm ended with {status} and reported no failure");
    }
    Ok(printer)
}

fn inside(arguments: &Arguments, folder: &Path) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let mut report = Reporter::append(&folder.join("report"))?;
    runtime.block_on(steps(arguments, folder, &mut report))?;
    Ok(if report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Ends with the first step that does not hold.
async fn steps(arguments: &Arguments, folder: &Path, report: &mut Reporter) -> Result<()> {
    let mut laid = None;
    report
        .step("storm: ground", async {
            let (all, observed) = lay(arguments, folder).await?;
            laid = Some(all);
            Ok(observed)
        })
        .await?;
    let Some(Laid {
        ground,
        daemon,
        idle,
        usual,
    }) = laid
    else {
        return Ok(());
    };
    for round in 1..=arguments.rounds {
        let suffix = if arguments.rounds > 1 {
            format!(" ({round})")
        } else {
            String::new()
        };
        let held = report
            .step(&format!("{ADDS}{suffix}"), adds(&ground, daemon.pid()))
            .await?;
        if held.is_none() {
            return Ok(());
        }
        let held = report
            .step(&format!("{DELS}{suffix}"), dels(&ground))
            .await?;
        if held.is_none() {
            return Ok(());
        }
    }
    report
        .step("storm: nothing left", left(daemon, idle, usual))
        .await?;
    Ok(())
}

/// All that the steps need.
struct Laid {
    ground: Ground,
    daemon: Service,
    /// What the daemon holds before the storm.
    idle: Gauges,
    usual: Usual,
}

/// What a daemon without a storm had at its end.
#[derive(Debug, Clone, Copy)]
struct Usual {
    tasks: usize,
    /// A connection to the API server that is kept has a task, and how many are kept is chance.
    connections: usize,
}

async fn lay(arguments: &Arguments, folder: &Path) -> Result<(Laid, String)> {
    let ground = Ground::lay(folder, arguments.sandboxes).await?;
    let earlier = ground.start_daemon("earlier").await?;
    first_pods(&ground).await?;
    let connections = Gauges::read(earlier.pid())?.connections;
    let tasks = ground::tasks_at_the_end(earlier).await?;
    let daemon = ground.start_daemon("multus-daemon").await?;
    first_pods(&ground).await?;
    let idle = Gauges::read(daemon.pid())?;
    let observed = format!(
        "{} pods with {} networks, one by a device; multus-daemon after {} others: {idle}, {tasks} tasks",
        arguments.sandboxes,
        NETWORKS.len(),
        ground.first.len()
    );
    let laid = Laid {
        ground,
        daemon,
        idle,
        usual: Usual { tasks, connections },
    };
    Ok((laid, observed))
}

/// A few pods come and go, as they have on any node.
async fn first_pods(ground: &Ground) -> Result<()> {
    let adds = Calls::of("ADD", &ground.first).await?;
    adds.all_succeeded()?;
    ground.addresses_in_status(&adds).await?;
    Calls::of("DEL", &ground.first).await?.all_succeeded()?;
    ground.first.iter().try_for_each(Pod::renew)
}

async fn adds(ground: &Ground, daemon: u32) -> Result<String> {
    let watch = Watch::start(daemon);
    let before = ground.pod_resources_calls();
    let calls = Calls::of("ADD", &ground.pods).await?;
    let peak = watch.end().await?;
    let after = ground.pod_resources_calls();
    calls.all_succeeded()?;
    for pod in &ground.pods {
        let links = pod.links()?;
        ensure!(
            links == ["eth0", "lo", "net1", "net2", "net3"],
            "{} has {links:?}",
            pod.name
        );
    }
    let addresses = ground.addresses_in_status(&calls).await?;
    let wanted = ground.pods.len() * (NETWORKS.len() + 1);
    ensure!(
        addresses == wanted,
        "the network-status of all pods names {addresses} addresses, wanted {wanted}"
    );
    ensure!(
        peak.resident_kb <= MEMORY_KB,
        "multus-daemon had {peak}; the budget is {MEMORY_KB} kB"
    );
    Ok(format!(
        "{calls}\n{addresses} addresses in network-status, each once\nPodResources: {} calls answered, {} refused\n\
         multus-daemon at most: {peak}",
        after.answered - before.answered,
        after.refused - before.refused,
    ))
}

async fn dels(ground: &Ground) -> Result<String> {
    let calls = Calls::of("DEL", &ground.pods).await?;
    calls.all_succeeded()?;
    ground.pods.iter().try_for_each(Pod::renew)?;
    let left = ground.files_of_pods()?;
    ensure!(left.is_empty(), "left by DEL:\n{}", left.join("\n"));
    Ok(format!("{calls}\nno record, lease or cached result left"))
}

/// Threads for blocking work end some seconds after it.
async fn left(daemon: Service, idle: Gauges, usual: Usual) -> Result<String> {
    let (settled, after) = gauges::wait_for(daemon.pid(), idle).await?;
    let at_end = ground::tasks_at_the_end(daemon).await?;
    let Usual { tasks, connections } = usual;
    ensure!(
        settled.connections <= CONNECTIONS,
        "multus-daemon keeps {} connections to the API server, at most {CONNECTIONS} have a use",
        settled.connections
    );
    ensure!(
        at_end + connections <= tasks + settled.connections,
        "multus-daemon ended with {at_end} tasks and {} connections; one without a storm had {tasks} and {connections}",
        settled.connections
    );
    Ok(format!(
        "multus-daemon: {settled} {} s later; {at_end} tasks at its end (without a storm {tasks}, {connections} connections)",
        after.as_secs()
    ))
}
