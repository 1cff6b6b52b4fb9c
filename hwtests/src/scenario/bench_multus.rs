//! What ADD and DEL of multus cost, beside the delegates alone and the Go programs, in one run on this machine's own
//! kernel. All take turns; nothing is asserted.
//!
//! Runs in network and mount namespaces of its own (`make bench-multus`).

mod cost;
mod ground;
mod subject;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{
    cost::Row,
    ground::Ground,
    subject::{Go, Subject},
};

/// Arguments of `hwtests bench-multus`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Rounds of each row, after two that do not count.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Pods on the node for the daemons' memory.
    #[arg(long, default_value_t = 500)]
    pods: usize,
    /// Folder with etcd and kube-apiserver; the stand-in is used without, and then no Go program, which speaks protobuf.
    #[arg(long, env = "KUBEBUILDER_ASSETS")]
    assets: Option<PathBuf>,
    /// Folder with the Go programs multus, multus-daemon and multus-shim.
    #[arg(long, env = "PEER_BIN")]
    peers: Option<PathBuf>,
}

/// Networks of the pods that are measured, besides the default network.
const NETWORKS: [usize; 3] = [0, 1, 3];

/// Measures and prints.
///
/// # Errors
/// When the ground cannot be laid or a command fails: a figure of a failure would be none.
pub fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments.rounds > 0,
        "--rounds is 0: nothing would be measured"
    );
    let ground = Ground::lay(arguments.assets.as_deref()).await?;
    println!("{}", ground.head()?);
    let mut subjects = Subject::ours(&ground).await?;
    match (&arguments.peers, &arguments.assets) {
        (Some(folder), Some(_)) if Go::is_in(folder) => {
            subjects.extend(Subject::go(&ground, folder).await?);
        }
        (None, _) => println!("skipped: the Go programs, PEER_BIN names no folder"),
        (Some(folder), Some(_)) => println!("skipped: {} lacks a Go program", folder.display()),
        (Some(_), None) => println!("skipped: the Go programs, which need KUBEBUILDER_ASSETS"),
    }
    let idle = memory(&subjects)?;
    let mut rows: Vec<Row> = Vec::new();
    for networks in NETWORKS {
        rows.extend(cost::of_case(&ground, &mut subjects, networks, arguments.rounds).await?);
    }
    println!("{}", table::costs(&rows, cost::floor_kb()?));
    let used = memory(&subjects)?;
    ground.crowd(arguments.pods).await?;
    let crowded = memory(&subjects)?;
    println!("{}", table::memory(arguments.pods, &[idle, used, crowded]));
    println!("{}", table::budgets(&rows));
    Ok(())
}

/// Daemons by name: resident and anonymous kB.
fn memory(subjects: &[Subject]) -> Result<Vec<(String, u64, u64)>> {
    let mut found = Vec::new();
    for subject in subjects {
        if let Some(daemon) = &subject.daemon {
            let (resident, anonymous) = daemon.resident_and_anonymous_kb()?;
            found.push((subject.name.clone(), resident, anonymous));
        }
    }
    Ok(found)
}
