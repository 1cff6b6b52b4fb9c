//! `hwtests demo`: builds or finds the lab, boots it, plays the story, prints a row per step.

use std::{
    env::{self, current_exe},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{ExitCode, id},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::{Guest, GuestCommand, Lab, build::CACHE, image, qemu::set_link};
use crate::{
    guest::{containerd::Generation, run::Story},
    report::{Line, Outcome, Printer},
    scenario::{honesty::Planted, replacement::PEERS, sriov::rig::PEER},
};

/// Programs that go into the guest: folder of the build's profile, file there, name in the guest.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("release", "hwtests", "hwtests"),
    ("release", "sriovdp", "sriovdp"),
    ("release", "multus-daemon", "multus-daemon"),
    ("small", "multus", "multus"),
    ("small", "sriov", "sriov"),
    ("crash", "sriov", "sriov-crash"),
];

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
    /// The container runtime of the node.
    #[arg(long, value_enum, default_value_t)]
    pub runtime: Generation,
    /// Plays all of the stories, not the spread that fits into CI's time.
    #[arg(long)]
    pub long: bool,
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

/// Boots the lab with the arguments' stories, as often as they ask for, and returns the report of all boots.
///
/// # Errors
/// When the lab cannot be built or booted, or ends without having played.
pub fn play(arguments: &Arguments) -> Result<Printer> {
    let lab = Lab::prepare(&arguments.cache)?;
    if arguments.runtime == Generation::Two {
        lab.add_containerd_2(&arguments.cache)?;
    }
    let workspace = Workspace::make(arguments.keep.as_deref())?;
    println!(
        "lab: booting (the console is in {}/exchange/console.log)",
        workspace.dir.display()
    );
    let mut printer = Printer::default();
    let mut files = programs()?;
    if arguments.story.iter().any(|story| story.is_managed()) {
        let images = image::build(&workspace.dir, &files)?;
        files.extend(images);
    }
    files.extend(peers(&arguments.story));
    for boot in 1_u32.. {
        let command = GuestCommand {
            argv: guest_words(arguments, boot),
            programs: files.clone(),
            assets: arguments.assets.clone(),
            limit: limit(arguments),
        };
        let guest = Guest::boot(&lab, &workspace.dir, &command)?;
        let mut again = false;
        let code = guest.wait(|line| {
            printer.take(line);
            match printer.lines.last() {
                Some(Line::NextBoot { power_cut }) => {
                    again = true;
                    if *power_cut {
                        return ControlFlow::Break(());
                    }
                }
                Some(Line::Cable { pf, plugged }) => {
                    let done = set_link(&workspace.dir.join("exchange"), *pf, *plugged);
                    if let Err(error) = done {
                        // The guest's step then waits in vain and says for what.
                        println!("  lab: {error:#}");
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        if code.is_some_and(|code| code != 0) && printer.count(Outcome::Failed) == 0 {
            bail!("the guest's command failed and reported no failure; see its console");
        }
        if !again {
            break;
        }
    }
    Ok(printer)
}

/// A guest that takes longer than this hangs.
fn limit(arguments: &Arguments) -> Duration {
    Duration::from_mins(match (arguments.long, arguments.assets.is_some()) {
        (true, _) => 240,
        (false, true) => 45,
        (false, false) => 15,
    })
}

fn guest_words(arguments: &Arguments, boot: u32) -> Vec<String> {
    let mut words = vec!["/exchange/bin/hwtests".to_owned(), "guest".to_owned()];
    words.extend(["--boot".to_owned(), boot.to_string()]);
    if arguments.long {
        words.push("--long".to_owned());
    }
    words.extend(["--runtime".to_owned(), name_of(&arguments.runtime)]);
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

/// The programs lie in the folders of their profiles, beside the folder of this one.
fn programs() -> Result<Vec<(PathBuf, &'static str)>> {
    let own = current_exe().context("find this program")?;
    let profiles = own
        .parent()
        .and_then(Path::parent)
        .context("a program without a folder")?;
    let ours = PROGRAMS.iter().map(|(profile, file, name)| {
        let path = profiles.join(profile).join(file);
        if !path.exists() {
            bail!("{} is not built: run make build", path.display());
        }
        Ok((path, *name))
    });
    ours.collect()
}

/// Programs of others, where `PEER_BIN` names a folder of them. Only one story wants the big ones.
fn peers(stories: &[Story]) -> impl Iterator<Item = (PathBuf, &'static str)> {
    let folder = env::var_os("PEER_BIN").map(PathBuf::from);
    let all = stories.contains(&Story::Replacement);
    let wanted = PEERS.iter().filter(move |(_, name)| all || *name == PEER);
    wanted.filter_map(move |(file, name)| {
        let path = folder.as_ref()?.join(file);
        path.exists().then_some((path, *name))
    })
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
