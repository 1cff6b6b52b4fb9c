//! `hwtests test`: the lab's share of `make test` — the demo and bad input in one boot, then one boot per planted fault.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::Args;

use super::{build::CACHE, demo};
use crate::{
    guest::run::Story,
    report::{Outcome, Printer},
    scenario::honesty::Planted,
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
    /// Keeps the runs' files below this folder.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// What a suite counts.
#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Plays everything and prints a closing line with the counts.
///
/// # Errors
/// When the lab cannot be built. A boot that breaks counts as a failure.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let mut counts = Counts::default();
    println!("\n== the stories, with stand-ins");
    stories(arguments, None, &mut counts);
    if let Some(assets) = &arguments.assets {
        println!("\n== the stories, with the real kubelet and API server");
        stories(arguments, Some(assets.clone()), &mut counts);
    } else {
        println!(
            "\nskipped: the stories with real Kubernetes, since KUBEBUILDER_ASSETS names no folder"
        );
        counts.skipped += 1;
    }
    for planted in Planted::ALL {
        println!(
            "\n== planted fault {planted:?}: the demo must fail at {:?}",
            planted.found_at()
        );
        honesty(arguments, planted, &mut counts);
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

fn stories(arguments: &Arguments, assets: Option<PathBuf>, counts: &mut Counts) {
    let name = if assets.is_some() {
        "real"
    } else {
        "stand-ins"
    };
    let demo = demo::Arguments {
        cache: arguments.cache.clone(),
        assets,
        story: vec![Story::Demo, Story::BadInput],
        plant: None,
        keep: keep(arguments, name),
    };
    match demo::play(&demo) {
        Ok(printer) => {
            counts.passed += printer.count(Outcome::Passed);
            counts.failed += printer.count(Outcome::Failed);
            counts.skipped += printer.count(Outcome::Skipped);
        }
        Err(error) => broken(&error, counts),
    }
}

fn honesty(arguments: &Arguments, planted: Planted, counts: &mut Counts) {
    let demo = demo::Arguments {
        cache: arguments.cache.clone(),
        assets: None,
        story: vec![Story::Demo],
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
