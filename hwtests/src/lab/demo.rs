//! `hwtests demo`: builds or finds the lab, boots it, plays the story, prints a row per step.

use std::{
    env::current_exe,
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, id},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::{Guest, GuestCommand, Lab, build::CACHE};
use crate::{
    guest::run::Story,
    report::{Outcome, Printer},
    scenario::honesty::Planted,
};

/// Programs that go into the guest.
const PROGRAMS: [&str; 5] = ["hwtests", "sriovdp", "sriov", "multus", "multus-daemon"];

/// Arguments of `hwtests demo`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Folder that keeps built guests.
    #[arg(long, default_value = CACHE)]
    pub cache: PathBuf,
    /// Folder with etcd, kube-apiserver and kubelet; stand-ins are used without.
    #[arg(long, env = "KUBEBUILDER_ASSETS")]
    pub assets: Option<PathBuf>,
    /// What to play.
    #[arg(long, value_enum, default_value = "demo")]
    pub story: Vec<Story>,
    /// Plants a fault; the demo then fails at the step that finds it.
    #[arg(long, value_enum)]
    pub plant: Option<Planted>,
    /// Keeps the run's files (logs of every program, the report, the console) in this folder.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// When the lab cannot be built or booted. A step that does not hold is the exit code.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let printer = play(arguments)?;
    let failed = printer.count(Outcome::Failed);
    println!(
        "\n{} passed, {failed} failed, {} skipped in {} s",
        printer.count(Outcome::Passed),
        printer.count(Outcome::Skipped),
        started.elapsed().as_secs()
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Boots the lab once with the arguments' stories and returns its report.
///
/// # Errors
/// When the lab cannot be built or booted, or ends without having played.
pub fn play(arguments: &Arguments) -> Result<Printer> {
    let lab = Lab::prepare(&arguments.cache)?;
    let workspace = Workspace::make(arguments.keep.as_deref())?;
    let command = GuestCommand {
        argv: guest_words(arguments),
        programs: programs()?,
        assets: arguments.assets.clone(),
        limit: Duration::from_secs(if arguments.assets.is_some() {
            1500
        } else {
            900
        }),
    };
    println!(
        "lab: booting (the console is in {}/exchange/console.log)",
        workspace.dir.display()
    );
    let guest = Guest::boot(&lab, &workspace.dir, &command)?;
    let mut printer = Printer::default();
    let code = guest.wait(|line| printer.take(line))?;
    if code != 0 && printer.count(Outcome::Failed) == 0 {
        bail!(
            "the guest's command ended with code {code} and reported no failure; see its console"
        );
    }
    Ok(printer)
}

fn guest_words(arguments: &Arguments) -> Vec<String> {
    let mut words = vec!["/exchange/bin/hwtests".to_owned(), "guest".to_owned()];
    for story in &arguments.story {
        words.extend(["--story".to_owned(), name_of(story)]);
    }
    if let Some(plant) = &arguments.plant {
        words.extend(["--plant".to_owned(), name_of(plant)]);
    }
    if arguments.assets.is_some() {
        words.extend(["--assets".to_owned(), "/assets".to_owned()]);
    }
    words
}

fn name_of(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

/// The programs lie beside this one, or in the folder of the profile for small binaries.
fn programs() -> Result<Vec<PathBuf>> {
    let own = current_exe().context("find this program")?;
    let beside = own.parent().context("a program without a folder")?;
    let folders = [beside.join("../small"), beside.to_owned()];
    PROGRAMS
        .iter()
        .map(|name| {
            folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|path| path.exists())
                .with_context(|| format!("{name} is not built: run make build"))
        })
        .collect()
}

/// Folder of one run; removed at the end unless it is to be kept.
struct Workspace {
    dir: PathBuf,
    keep: bool,
}

impl Workspace {
    fn make(keep: Option<&Path>) -> Result<Self> {
        let dir = keep.map_or_else(
            || std::env::temp_dir().join(format!("ferrovia-lab-{}", id())),
            Path::to_owned,
        );
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("clear {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Self {
            dir: dir.canonicalize().context("resolve the workspace")?,
            keep: keep.is_some(),
        })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
