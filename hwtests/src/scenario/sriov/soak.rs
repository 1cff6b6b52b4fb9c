//! Thousands of ADDs and DELs, and what the node must not have more of afterwards.

use std::{
    fmt, fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    fallback,
    rig::{NET1, Rig, in_pod},
};
use crate::guest::{cni::Sandbox, shell::ip_json};

/// Attachments made in parallel.
const WORKERS: usize = 2;
/// A pod's namespace is replaced after this many attachments.
const PER_NAMESPACE: usize = 25;
/// What the kernel's memory may differ by between two quiet moments. 2,000 attachments that each leaked a namespace
/// (about 100 kB) or an interface (about 10 kB) would show.
const NOISE_KB: u64 = 12 * 1024;
/// Of fewer attachments, leaks would not stand out of the noise.
const MEASURABLE: usize = 1_000;

/// Things that must not become more. All are counted; memory is a measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Gauges {
    files: usize,
    descriptors: u64,
    processes: usize,
    mounts: usize,
    links: usize,
    routes: usize,
    neighbours: usize,
    memory_kb: u64,
}

impl Gauges {
    /// What is counted and more than before, in words.
    fn more_than(&self, before: &Self) -> Vec<String> {
        let more = [
            ("files", before.files, self.files),
            ("processes", before.processes, self.processes),
            ("mounts", before.mounts, self.mounts),
            ("links", before.links, self.links),
            ("routes", before.routes, self.routes),
            ("neighbours", before.neighbours, self.neighbours),
        ];
        more.into_iter()
            .filter(|(_, before, now)| now > before)
            .map(|(what, before, now)| format!("{now} {what}, {before} before"))
            .chain(
                // The kernel frees descriptors of dead processes in batches.
                (self.descriptors > before.descriptors + 64).then(|| {
                    format!(
                        "{} descriptors, {} before",
                        self.descriptors, before.descriptors
                    )
                }),
            )
            .collect()
    }

    /// The kernel has kept memory of so many attachments.
    fn memory_grown(&self, before: &Self, rounds: usize) -> Result<()> {
        ensure!(
            rounds < MEASURABLE || self.memory_kb <= before.memory_kb + NOISE_KB,
            "the kernel's memory grew from {} to {} kB",
            before.memory_kb,
            self.memory_kb
        );
        Ok(())
    }
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} descriptors, {} processes, {} mounts, {} links, {} routes, {} neighbours, {} kB of kernel memory",
            self.files,
            self.descriptors,
            self.processes,
            self.mounts,
            self.links,
            self.routes,
            self.neighbours,
            self.memory_kb
        )
    }
}

/// `rounds` attachments of VFs.
///
/// # Errors
/// When one fails, or something has become more.
pub fn vfs(rig: &Rig<'_>, rounds: usize) -> Result<String> {
    soak(rounds, |worker, round, pod| {
        let vf = rig.vf(worker);
        let keys = json!({
            "vlan": 1 + round % 4000, "mac": format!("02:00:00:01:{worker:02x}:01"), "spoofchk": "off",
            "trust": if round % 2 == 0 { "on" } else { "off" },
        });
        rig.add(pod, &vf, &keys)?;
        if round % 50 == 0 {
            in_pod(pod, &vf, NET1)?;
        }
        rig.del(pod, &vf, &keys)
    })
}

/// `rounds` attachments of the software fallback.
///
/// # Errors
/// As [`vfs`].
pub fn software(rig: &Rig<'_>, rounds: usize) -> Result<String> {
    soak(rounds, |worker, _, pod| {
        let config = fallback::config("macvlan", "ens5", "bridge", worker);
        rig.sriov.call("ADD", pod, NET1, &config)?.success()?;
        rig.sriov.call("DEL", pod, NET1, &config)?.success()?;
        Ok(())
    })
}

fn soak(
    rounds: usize,
    work: impl Fn(usize, usize, &Sandbox) -> Result<()> + Sync,
) -> Result<String> {
    // What is made once (lock files, caches of the kernel's) is there after a tenth.
    let warm = (rounds / 10).max(WORKERS);
    run(warm, &work)?;
    let before = quiet()?;
    let started = Instant::now();
    run(rounds - warm, &work)?;
    let took = started.elapsed();
    let after = settle(&before)?;
    after.memory_grown(&before, rounds)?;
    Ok(format!(
        "{rounds} ADD and DEL, {WORKERS} at a time, {} ms each pair; {after} (after the first {warm}: {} kB)",
        took.as_millis() * u128::try_from(WORKERS).unwrap_or(1)
            / u128::try_from((rounds - warm).max(1)).unwrap_or(1),
        before.memory_kb
    ))
}

fn run(rounds: usize, work: &(impl Fn(usize, usize, &Sandbox) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicUsize::new(0);
    scope(|threads| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let next = &next;
                threads.spawn(move || worker_rounds(worker, rounds, next, work))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))?
        })
    })
}

fn worker_rounds(
    worker: usize,
    rounds: usize,
    next: &AtomicUsize,
    work: &impl Fn(usize, usize, &Sandbox) -> Result<()>,
) -> Result<()> {
    let mut pod: Option<(Sandbox, usize)> = None;
    loop {
        let round = next.fetch_add(1, Ordering::Relaxed);
        if round >= rounds {
            break;
        }
        let (sandbox, used) = match pod.take() {
            Some((sandbox, PER_NAMESPACE)) => {
                sandbox.lose_netns()?;
                (Sandbox::create(&format!("soak-{worker}"))?, 0)
            }
            Some(pod) => pod,
            None => (Sandbox::create(&format!("soak-{worker}"))?, 0),
        };
        let result = work(worker, round, &sandbox).with_context(|| format!("round {round}"));
        pod = Some((sandbox, used + 1));
        if result.is_err() {
            // The others are not to go on for long.
            next.store(rounds, Ordering::Relaxed);
            return result;
        }
    }
    match pod {
        Some((sandbox, _)) => sandbox.lose_netns(),
        None => Ok(()),
    }
}

/// Waits for the kernel to be done with namespaces that died, then reads the gauges.
fn quiet() -> Result<Gauges> {
    let mut last = 0;
    for _ in 0..60 {
        let now = memory_kb()?;
        if now.abs_diff(last) < 512 {
            break;
        }
        last = now;
        sleep(Duration::from_millis(250));
    }
    read()
}

/// Reads the gauges until nothing that is counted is more than before.
fn settle(before: &Gauges) -> Result<Gauges> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = quiet()?;
        let more = now.more_than(before);
        if more.is_empty() {
            return Ok(now);
        }
        ensure!(Instant::now() < deadline, "{}", more.join("; "));
    }
}

fn text(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {path}"))
}

/// Memory of the kernel's own that it does not give back when asked: objects, stacks, tables, counters per CPU. What
/// programs and files have is counted otherwise.
fn memory_kb() -> Result<u64> {
    fs::write("/proc/sys/vm/drop_caches", "3").context("drop caches")?;
    let meminfo = text("/proc/meminfo")?;
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    ["SUnreclaim:", "KernelStack:", "PageTables:", "Percpu:"]
        .into_iter()
        .map(field)
        .sum::<Option<u64>>()
        .context("read the kernel's memory")
}

/// Programs that run; udev's workers come and go.
fn processes() -> Result<usize> {
    let entries = fs::read_dir("/proc").context("list processes")?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/cmdline")).ok())
        .filter(|line| !line.is_empty() && !line.contains("udev"))
        .count())
}

fn read() -> Result<Gauges> {
    let mut files = 0;
    for folder in [
        "/var/lib/cni",
        "/run/netns",
        "/run/lock",
        "/tmp",
        "/dev/shm",
    ] {
        files += count_files(Path::new(folder))?;
    }
    let list =
        |words: &str| -> Result<usize> { Ok(ip_json(words)?.as_array().map_or(0, Vec::len)) };
    Ok(Gauges {
        files,
        descriptors: text("/proc/sys/fs/file-nr")?
            .split_whitespace()
            .next()
            .and_then(|count| count.parse().ok())
            .context("read the count of descriptors")?,
        processes: processes()?,
        mounts: text("/proc/mounts")?.lines().count(),
        links: list("link show")?,
        routes: list("route show table all")? + list("-6 route show table all")?,
        neighbours: list("neighbour show")?,
        memory_kb: memory_kb()?,
    })
}

fn count_files(folder: &Path) -> Result<usize> {
    let mut count = 0;
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(0);
    };
    for entry in entries {
        let entry = entry.context("list a folder")?;
        let is_dir = entry.file_type().context("look at a file")?.is_dir();
        count += if is_dir {
            count_files(&entry.path())?
        } else {
            1
        };
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
