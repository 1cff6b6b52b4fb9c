//! The command that runs inside the guest: brings the node up and plays what was asked for.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::{
    cluster::Fault,
    containerd::Generation,
    machine::Machine,
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
    /// `sriov` killed at every point, and what a runtime, an admin or a reboot does next.
    SriovCrash,
    /// What else happens to a VF: namespaces lost, names changed, disks full, errors of the driver.
    Sriov,
    /// What ADD and DEL of `sriov` cost.
    BenchSriov,
    /// `sriovdp` on hardware that changes.
    Sriovdp,
    /// The networks that pods ask multus for.
    MultusNetworks,
    /// multus installed, killed, upgraded and removed while pods live.
    Multus,
    /// The image and the manifests: installed, used, upgraded, removed. Alone in its boot.
    Deploy,
    /// Ours in place of the Go programs while pods live, and back. Alone in its boot.
    Replacement,
}

impl Story {
    /// Whether the story needs a runtime, a cluster and our daemons started by hand; the others set up what they need.
    fn needs_node(self) -> bool {
        match self {
            Self::Demo | Self::BadInput | Self::Sriovdp | Self::MultusNetworks | Self::Multus => {
                true
            }
            Self::SriovCrash
            | Self::Sriov
            | Self::BenchSriov
            | Self::Deploy
            | Self::Replacement => false,
        }
    }

    /// Whether the story installs ours from image and manifests.
    pub fn is_managed(self) -> bool {
        matches!(self, Self::Deploy | Self::Replacement)
    }
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
    /// The container runtime of the node.
    #[arg(long, value_enum, default_value_t)]
    pub runtime: Generation,
    /// Plays all of the stories, not the spread that fits into CI's time.
    #[arg(long)]
    pub long: bool,
    /// Which boot on this disk it is, from 1: a story that asked for another boot goes on.
    #[arg(long, default_value_t = 1)]
    pub boot: u32,
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
        managed: arguments.story.iter().any(|story| story.is_managed()),
        runtime: arguments.runtime,
        replaced: BTreeMap::new(),
        long: arguments.long,
        boot: arguments.boot,
    };
    if let Some(plant) = arguments.plant {
        plant.replace_programs(&mut options)?;
    }
    if arguments.boot == 1 {
        report.head("kernel", shell("uname", ["-r"])?.trim())?;
    }
    if arguments.story == [Story::Deploy] {
        return scenario::deploy::play(&options, report).await;
    }
    if arguments.story == [Story::Replacement] {
        return scenario::replacement::play(&options, report).await;
    }
    let (with_node, bare): (Vec<Story>, Vec<Story>) =
        arguments.story.iter().partition(|story| story.needs_node());
    if !bare.is_empty() {
        on_machine(&options, &bare, report).await?;
    }
    if !with_node.is_empty() && !report.boots() {
        on_node(arguments, &with_node, &options, report).await?;
    }
    Ok(())
}

/// Stories that need hardware and no cluster.
async fn on_machine(options: &Options, stories: &[Story], report: &mut Reporter) -> Result<()> {
    let mut machine = None;
    report
        .step("machine up", async {
            let up = Machine::set_up(options)?;
            let vfs = up.baseline.len();
            machine = Some(up);
            Ok(format!("{vfs} VFs"))
        })
        .await?;
    let Some(machine) = machine else {
        return Ok(());
    };
    for story in stories {
        if report.boots() {
            break;
        }
        match story {
            Story::SriovCrash => scenario::sriov_crash::play(&machine, report).await?,
            Story::Sriov => scenario::sriov::play(&machine, report).await?,
            Story::BenchSriov => scenario::bench_sriov::play(&machine, report).await?,
            Story::Demo
            | Story::BadInput
            | Story::Sriovdp
            | Story::MultusNetworks
            | Story::Multus => {}
            Story::Deploy | Story::Replacement => {
                anyhow::bail!("{story:?} needs a boot of its own")
            }
        }
    }
    Ok(())
}

async fn on_node(
    arguments: &Arguments,
    stories: &[Story],
    options: &Options,
    report: &mut Reporter,
) -> Result<()> {
    if scenario::sriovdp::waits_for_reboot() {
        return scenario::sriovdp::after_reboot(options, report).await;
    }
    report.head("containerd", &options.runtime.version()?)?;
    let mut node = None;
    report
        .step("node up", async {
            let up = Node::start(options).await?;
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
    for story in stories {
        match story {
            Story::Demo => scenario::demo::play(&node, report).await?,
            Story::Sriovdp => scenario::sriovdp::play(&mut node, options, report).await?,
            Story::MultusNetworks => {
                scenario::multus_networks::play(&mut node, options, report).await?;
            }
            Story::Multus => scenario::multus::play(&mut node, options, report).await?,
            Story::SriovCrash
            | Story::Sriov
            | Story::BenchSriov
            | Story::Deploy
            | Story::Replacement => {}
            Story::BadInput => scenario::bad_input::play(&mut node, options, report).await?,
        }
    }
    scenario::figures::report(&node, report)
}
