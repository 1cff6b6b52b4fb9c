//! One command: time, CPU of its own processes and of the daemon behind it, memory, files, calls.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use cni::{
    config::NetworkList,
    plugin::Env,
    runtime::{Runtime, Target},
};
use nix::sys::resource::{UsageWho, getrusage};

use super::{
    ground::{Ground, PLUGINS},
    subject::Subject,
};
use crate::guest::cni::{Plugin, Sandbox};

/// Rounds before those that count.
const WARM_UP: usize = 2;
/// What a daemon still does after a command, it has done by then.
const SETTLED: Duration = Duration::from_millis(700);

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) subject: String,
    pub(super) networks: usize,
    pub(super) command: &'static str,
    /// Medians of the command's own processes, delegates included.
    pub(super) wall_ms: f64,
    pub(super) cpu_ms: f64,
    /// The least that it took: on a busy machine the figure that others disturb the least.
    pub(super) least_cpu_ms: f64,
    /// Mean CPU of the daemon and of what it ran.
    pub(super) daemon_ms: f64,
    /// Largest resident memory of the program, delegates that cost nothing.
    pub(super) peak_kb: Option<u64>,
    pub(super) files: Option<usize>,
    pub(super) api_calls: Option<u64>,
}

#[derive(Default)]
struct Samples {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
    daemon: Duration,
}

/// ADD and DEL of a pod with so many networks, by everybody in turn.
pub(super) async fn of_case(
    ground: &Ground,
    subjects: &mut [Subject],
    networks: usize,
    rounds: usize,
) -> Result<Vec<Row>> {
    let mut samples: BTreeMap<(usize, &'static str), Samples> = BTreeMap::new();
    for round in 0..rounds + WARM_UP {
        for (index, subject) in subjects.iter().enumerate() {
            let pod = Sandbox::create(&format!("bench-{networks}-{index}-{round}"))?;
            for command in ["ADD", "DEL"] {
                let work = Work::new(ground, subject, networks, &pod, command).await?;
                let daemon = daemon_cpu(subject)?;
                let before = children()?;
                let started = Instant::now();
                work.run()?;
                let wall = started.elapsed();
                let cpu = children()?.saturating_sub(before);
                if round < WARM_UP {
                    continue;
                }
                let sample = samples.entry((index, command)).or_default();
                sample.wall.push(wall);
                sample.cpu.push(cpu);
                if subject.daemon.is_some() {
                    // The report of an ADD is written after its end.
                    tokio::time::sleep(SETTLED / 5).await;
                    sample.daemon += daemon_cpu(subject)?.saturating_sub(daemon);
                }
            }
            pod.lose_netns()?;
        }
    }
    let mut rows = Vec::new();
    for ((index, command), sample) in samples {
        rows.push(Row {
            subject: subjects[index].name.clone(),
            networks,
            command,
            wall_ms: median(sample.wall),
            least_cpu_ms: sample.cpu.iter().min().copied().map_or(0.0, millis),
            cpu_ms: median(sample.cpu),
            daemon_ms: millis(sample.daemon) / f64::from(u32::try_from(rounds).unwrap_or(1)),
            peak_kb: None,
            files: None,
            api_calls: None,
        });
    }
    for (index, subject) in subjects.iter().enumerate() {
        if let Some(plugin) = &subject.plugin {
            deep(
                ground,
                subject,
                plugin,
                networks,
                &mut rows[index * 2..index * 2 + 2],
            )
            .await?;
        }
    }
    Ok(rows)
}

/// Files and API calls of one pod, then the program's own memory with delegates that cost nothing.
async fn deep(
    ground: &Ground,
    subject: &Subject,
    plugin: &Plugin,
    networks: usize,
    rows: &mut [Row],
) -> Result<()> {
    let pod = Sandbox::create(&format!("deep-{networks}"))?;
    for (command, row) in ["ADD", "DEL"].into_iter().zip(rows.iter_mut()) {
        tokio::time::sleep(SETTLED).await;
        let (files, calls) = (snapshot(&subject.state)?, ground.api_calls()?);
        Work::new(ground, subject, networks, &pod, command)
            .await?
            .run()?;
        tokio::time::sleep(SETTLED).await;
        // Asking for the pod's arguments is a call of ours.
        row.api_calls = Some(ground.api_calls()?.saturating_sub(calls + 1));
        let now = snapshot(&subject.state)?;
        let written = now
            .iter()
            .filter(|(path, stamp)| files.get(*path) != Some(*stamp));
        row.files = Some(written.count());
    }
    let scripts = ground.dir.join("scripts").display().to_string();
    let mut config = subject.config(networks);
    config["binDir"] = scripts.clone().into();
    let timed = plugin
        .clone()
        .below("busybox time -v")
        .with("CNI_ARGS", &ground.args(networks, &pod.id).await?)
        .with("CNI_PATH", &scripts);
    for (command, row) in ["ADD", "DEL"].into_iter().zip(rows.iter_mut()) {
        let answer = timed.call(command, &pod, "eth0", &config)?;
        answer
            .success()
            .with_context(|| format!("{command} of {}", subject.name))?;
        row.peak_kb = peak(&answer.stderr);
    }
    pod.lose_netns()
}

/// What this kernel says of a static program that does nothing: the floor of every other figure.
pub(super) fn floor_kb() -> Result<Option<u64>> {
    let output = Command::new("busybox")
        .args(["time", "-v", "busybox", "true"])
        .output()
        .context("run busybox")?;
    Ok(peak(&String::from_utf8_lossy(&output.stderr)))
}

fn peak(timed: &str) -> Option<u64> {
    let word = "Maximum resident set size (kbytes): ";
    let line = timed
        .lines()
        .find_map(|line| line.trim().strip_prefix(word));
    line.and_then(|text| text.parse().ok())
}

/// A command that is ready to run.
enum Work {
    Program(Plugin, Sandbox, serde_json::Value, &'static str),
    Delegates(Runtime, Vec<(NetworkList, Target)>, &'static str),
}

impl Work {
    async fn new(
        ground: &Ground,
        subject: &Subject,
        networks: usize,
        pod: &Sandbox,
        command: &'static str,
    ) -> Result<Self> {
        let args = ground.args(networks, &pod.id).await?;
        let Some(plugin) = &subject.plugin else {
            return delegates(ground, networks, pod, command);
        };
        let plugin = plugin.clone().with("CNI_ARGS", &args);
        Ok(Self::Program(
            plugin,
            pod.clone(),
            subject.config(networks),
            command,
        ))
    }

    fn run(&self) -> Result<()> {
        match self {
            Self::Program(plugin, pod, config, command) => {
                let answer = plugin.call(command, pod, "eth0", config)?;
                answer
                    .success()
                    .with_context(|| format!("{command} of {plugin:?}"))?;
            }
            Self::Delegates(runtime, networks, "ADD") => {
                for (network, target) in networks {
                    runtime.add(network, target).context("ADD of a delegate")?;
                }
            }
            Self::Delegates(runtime, networks, _) => {
                for (network, target) in networks.iter().rev() {
                    runtime.del(network, target).context("DEL of a delegate")?;
                }
            }
        }
        Ok(())
    }
}

/// The same networks, called one after the other by this process.
fn delegates(
    ground: &Ground,
    networks: usize,
    pod: &Sandbox,
    command: &'static str,
) -> Result<Work> {
    let configs =
        std::iter::once(ground.primary()).chain((1..=networks).map(|index| ground.macvlan(index)));
    let mut calls = Vec::new();
    for (index, config) in configs.enumerate() {
        let network =
            NetworkList::parse(config.to_string().as_bytes()).context("read a network")?;
        let ifname = if index == 0 {
            "eth0".to_owned()
        } else {
            format!("net{index}")
        };
        let target = Target {
            container_id: pod.id.clone(),
            netns: pod.netns.clone(),
            ifname,
            ..Target::default()
        };
        calls.push((network, target));
    }
    let runtime = Runtime {
        path: vec![PLUGINS.into()],
        cache_dir: Some(ground.dir.join("alone")),
        env: Env::from_iter([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")]),
        deadline: None,
        until: None,
    };
    Ok(Work::Delegates(runtime, calls, command))
}

/// CPU of all processes that were waited for.
fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("read the CPU time used")?;
    let micros: i64 = [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// CPU of the daemon's threads, by the scheduler's own count, and of the processes that it ran.
fn daemon_cpu(subject: &Subject) -> Result<Duration> {
    let Some(daemon) = &subject.daemon else {
        return Ok(Duration::ZERO);
    };
    let process = PathBuf::from(format!("/proc/{}", daemon.pid()));
    let mut nanos = 0_u64;
    for task in fs::read_dir(process.join("task")).context("list a daemon's threads")? {
        let file = task
            .context("list a daemon's threads")?
            .path()
            .join("schedstat");
        // A thread may end meanwhile.
        let text = fs::read_to_string(file).unwrap_or_default();
        nanos += text
            .split(' ')
            .next()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0);
    }
    let stat = fs::read_to_string(process.join("stat")).context("read a daemon's stat")?;
    // proc_pid_stat(5): cutime and cstime are fields 16 and 17, the name in parentheses is field 2.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks: u64 = fields
        .iter()
        .skip(13)
        .take(2)
        .filter_map(|text| text.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_nanos(nanos) + Duration::from_millis(ticks * 10))
}

/// Files and folders, each with what changes when it is written.
fn snapshot(folders: &[PathBuf]) -> Result<BTreeMap<PathBuf, (u64, i64, i64)>> {
    let mut found = BTreeMap::new();
    for folder in folders {
        walk(folder, &mut found)?;
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, (u64, i64, i64)>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => bail!("list {}: {error}", folder.display()),
    };
    for entry in entries {
        let path = entry.context("list a folder")?.path();
        // Something that goes while it is looked at is no file that was written.
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            walk(&path, found)?;
        } else {
            found.insert(path, (meta.ino(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().map_or(0.0, millis)
}
