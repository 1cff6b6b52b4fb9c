//! The command that runs inside the guest: brings the node up and plays what was asked for.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::{
    cluster::Fault,
    containerd,
    node::{Node, Options},
    shell::run as shell,
};
use crate::{
    report::Reporter,
    scenario::{self, honesty::Planted},
};

/// What the guest plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Story {
    /// The main job.
    Demo,
    /// Bad input of every kind.
    BadInput,
}

/// Arguments of `hwtests guest`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// What to play.
    #[arg(long, value_enum, required = true)]
    pub story: Vec<Story>,
    /// Folder with the programs under test.
    #[arg(long, default_value = "/exchange/bin")]
    pub programs: PathBuf,
    /// File that the report is appended to.
    #[arg(long, default_value = "/exchange/report")]
    pub report: PathBuf,
    /// Folder with etcd, kube-apiserver and kubelet; stand-ins are used without.
    #[arg(long)]
    pub assets: Option<PathBuf>,
    /// Plants a fault that the story must find.
    #[arg(long, value_enum)]
    pub plant: Option<Planted>,
}

/// Brings the node up, plays the stories, reports.
///
/// # Errors
/// When the report cannot be written. A node that does not come up is a failed step of the report.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let mut report = Reporter::append(&arguments.report)?;
    runtime.block_on(play(arguments, &mut report))?;
    Ok(if report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn play(arguments: &Arguments, report: &mut Reporter) -> Result<()> {
    let mut options = Options {
        programs: arguments.programs.clone(),
        logs: PathBuf::from("/exchange/logs"),
        assets: arguments.assets.clone(),
        replaced: BTreeMap::new(),
    };
    if let Some(plant) = arguments.plant {
        plant.replace_programs(&mut options)?;
    }
    report.head("kernel", shell("uname", ["-r"])?.trim())?;
    report.head("containerd", &containerd::version()?)?;
    let mut node = None;
    report
        .step("node up", async {
            let up = Node::start(&options).await?;
            let parts = up.cluster.parts.clone();
            node = Some(up);
            Ok(parts
                .iter()
                .map(|(what, is)| format!("{what}: {is}"))
                .collect::<Vec<_>>()
                .join("\n"))
        })
        .await?;
    let Some(mut node) = node else {
        return Ok(());
    };
    if arguments.plant == Some(Planted::StatusOfWrongPod) {
        node.cluster.plant(Fault::StatusOfWrongPod)?;
    }
    for story in &arguments.story {
        match story {
            Story::Demo => scenario::demo::play(&node, report).await?,
            Story::BadInput => scenario::bad_input::play(&mut node, &options, report).await?,
        }
    }
    scenario::figures::report(&node, report)
}
