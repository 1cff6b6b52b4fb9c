//! `hwtests test`: the lab's share of `make test` — the stories of each suite, a boot or more each. `--long` plays all
//! of them, not the spread that fits into CI's time.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{build::CACHE, demo};
use crate::{
    guest::{containerd::Generation, run::Story},
    report::{Outcome, Printer},
    scenario::{honesty::Planted, storm},
};

/// Arguments of `hwtests test`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Folder that keeps built guests.
    #[arg(long, default_value = CACHE)]
    pub cache: PathBuf,
    /// Folder with etcd, kube-apiserver and kubelet: the stories are played with them, too.
    #[arg(long, env = "KUBEBUILDER_ASSETS")]
    pub assets: Option<PathBuf>,
    /// Suites to play; all without.
    #[arg(long, value_enum)]
    pub suite: Vec<Suite>,
    /// Plays all of each suite.
    #[arg(long)]
    pub long: bool,
    /// Keeps the runs' files below this folder.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// What is proved together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// The main job, bad input, and planted faults that the demo must find.
    Main,
    /// `sriov` killed at every point, and what else happens to a VF.
    Sriov,
    /// `sriovdp` on hardware that changes.
    Sriovdp,
    /// multus: 200 ADDs at once, the networks that pods ask for, its life on a node.
    Multus,
    /// The image and the manifests: installed, removed; in the long form upgraded, used, and in place of the Go programs.
    Deploy,
}

/// What a suite counts.
#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    fn take(&mut self, printer: &Printer) {
        self.passed += printer.count(Outcome::Passed);
        self.failed += printer.count(Outcome::Failed);
        self.skipped += printer.count(Outcome::Skipped);
    }
}

/// Plays everything and prints a closing line with the counts.
///
/// # Errors
/// When the lab cannot be built. A boot that breaks counts as a failure.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let mut counts = Counts::default();
    for suite in Suite::value_variants() {
        if !arguments.suite.is_empty() && !arguments.suite.contains(suite) {
            continue;
        }
        let began = Instant::now();
        match suite {
            Suite::Main => main_job(arguments, &mut counts),
            // A boot each: the crash matrix binds VFs to vfio-pci for its own ends.
            Suite::Sriov => {
                play(arguments, &Boot::of(&[Story::SriovCrash]), &mut counts);
                play(arguments, &Boot::of(&[Story::Sriov]), &mut counts);
            }
            Suite::Sriovdp => with_both(arguments, &[Story::Sriovdp], &mut counts),
            Suite::Multus => multus(arguments, &mut counts),
            Suite::Deploy => deploy(arguments, &mut counts),
        }
        println!("\nsuite {suite:?}: {} s", began.elapsed().as_secs());
    }
    println!("\nlab: {} s", started.elapsed().as_secs());
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.skipped
    );
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn main_job(arguments: &Arguments, counts: &mut Counts) {
    with_both(arguments, &[Story::Demo, Story::BadInput], counts);
    let planted: &[Planted] = if arguments.long {
        &Planted::ALL
    } else {
        &Planted::SPREAD
    };
    for planted in planted.iter().copied() {
        println!(
            "\n== planted fault {planted:?}: the demo must fail at {:?}",
            planted.found_at()
        );
        honesty(arguments, planted, counts);
    }
}

/// One boot of the guest.
#[derive(Debug, Clone)]
struct Boot<'a> {
    stories: &'a [Story],
    /// Real Kubernetes.
    assets: Option<PathBuf>,
    runtime: Generation,
}

impl<'a> Boot<'a> {
    /// With stand-ins and the usual runtime.
    fn of(stories: &'a [Story]) -> Self {
        Self {
            stories,
            assets: None,
            runtime: Generation::default(),
        }
    }
}

/// Plays with the stand-ins, and with real Kubernetes where it is given.
fn with_both(arguments: &Arguments, stories: &[Story], counts: &mut Counts) {
    play(arguments, &Boot::of(stories), counts);
    if arguments.assets.is_some() {
        let real = Boot {
            assets: arguments.assets.clone(),
            ..Boot::of(stories)
        };
        play(arguments, &real, counts);
    } else {
        println!(
            "\nskipped: {stories:?} with real Kubernetes, since KUBEBUILDER_ASSETS names no folder"
        );
        counts.skipped += 1;
    }
}

/// The long form adds a node that the Go programs had, which want a real API server: without it, or without them, its
/// steps are skipped.
fn deploy(arguments: &Arguments, counts: &mut Counts) {
    with_both(arguments, &[Story::Deploy], counts);
    if arguments.long {
        let taken_over = Boot {
            assets: arguments.assets.clone(),
            ..Boot::of(&[Story::Replacement])
        };
        play(arguments, &taken_over, counts);
    }
}

/// The long form adds the other runtime and real Kubernetes.
fn multus(arguments: &Arguments, counts: &mut Counts) {
    println!("\n== 200 ADDs of multus at once, on this machine");
    let storm = storm::Arguments {
        sandboxes: 200,
        rounds: if arguments.long { 5 } else { 1 },
        inside: None,
    };
    match storm::play(&storm) {
        Ok(printer) => counts.take(&printer),
        Err(error) => broken(&error, counts),
    }
    // A boot each: at its end the life of multus has taken it from the node.
    for story in [Story::MultusNetworks, Story::Multus] {
        if arguments.long {
            with_both(arguments, &[story], counts);
        } else {
            play(arguments, &Boot::of(&[story]), counts);
        }
    }
    if arguments.long {
        let second = Boot {
            runtime: Generation::Two,
            ..Boot::of(&[Story::Multus])
        };
        play(arguments, &second, counts);
    }
}

fn play(arguments: &Arguments, boot: &Boot<'_>, counts: &mut Counts) {
    let cluster = if boot.assets.is_some() {
        "the real kubelet and API server"
    } else {
        "stand-ins"
    };
    let second = boot.runtime == Generation::Two;
    let runtime = if second { " and containerd 2" } else { "" };
    println!("\n== {:?}, with {cluster}{runtime}", boot.stories);
    let folder = format!(
        "{:?}{}{}",
        boot.stories[0],
        if boot.assets.is_some() { "-real" } else { "" },
        if second { "-containerd-2" } else { "" },
    );
    let demo = demo::Arguments {
        cache: arguments.cache.clone(),
        keep: keep(arguments, &folder),
        assets: boot.assets.clone(),
        story: boot.stories.to_vec(),
        runtime: boot.runtime,
        long: arguments.long,
        plant: None,
    };
    match demo::play(&demo) {
        Ok(printer) => counts.take(&printer),
        Err(error) => broken(&error, counts),
    }
}

fn honesty(arguments: &Arguments, planted: Planted, counts: &mut Counts) {
    let demo = demo::Arguments {
        cache: arguments.cache.clone(),
        assets: None,
        story: vec![Story::Demo],
        runtime: Generation::default(),
        long: false,
        plant: Some(planted),
        keep: keep(arguments, &format!("{planted:?}")),
    };
    match demo::play(&demo).as_ref().map(Printer::first_failure) {
        Ok(Some(step)) if step == planted.found_at() => {
            println!("  ok      found at {step:?}");
            counts.passed += 1;
        }
        Ok(found) => {
            println!(
                "  FAILED  found at {found:?}, wanted {:?}",
                planted.found_at()
            );
            counts.failed += 1;
        }
        Err(error) => broken(error, counts),
    }
}

fn keep(arguments: &Arguments, name: &str) -> Option<PathBuf> {
    arguments.keep.as_ref().map(|folder| folder.join(name))
}

fn broken(error: &anyhow::Error, counts: &mut Counts) {
    println!("  FAILED  {error:#}");
    counts.failed += 1;
}
