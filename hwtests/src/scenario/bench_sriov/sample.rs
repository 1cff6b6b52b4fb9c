//! Time and CPU of one piece of work, and what many of them come to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    wall: Duration,
    cpu: Duration,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Who did what; the command comes last.
    pub(super) name: String,
    /// Median of the time that passed.
    pub(super) wall_ms: f64,
    /// Median of the CPU time in user and kernel mode.
    pub(super) cpu_ms: f64,
    /// System calls of one call.
    pub(super) calls: Option<u64>,
    /// Largest resident memory of one call.
    pub(super) peak_kb: Option<u64>,
}

/// Measures the processes that the work starts and waits for.
pub(super) fn of_children(work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    measure(UsageWho::RUSAGE_CHILDREN, work)
}

/// Measures what this process does itself.
pub(super) fn of_this_process(work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    measure(UsageWho::RUSAGE_SELF, work)
}

fn measure(who: UsageWho, work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let before = cpu(who)?;
    let started = Instant::now();
    work()?;
    let wall = started.elapsed();
    Ok(Sample {
        wall,
        cpu: cpu(who)?.saturating_sub(before),
    })
}

fn cpu(who: UsageWho) -> Result<Duration> {
    let usage = getrusage(who).context("read the CPU time used")?;
    let micros = [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum::<i64>();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// A row per name, in order.
pub(super) fn medians(samples: Vec<(String, Vec<Sample>)>) -> Vec<Row> {
    samples
        .into_iter()
        .map(|(name, list)| Row {
            name,
            wall_ms: median(list.iter().map(|sample| sample.wall)),
            cpu_ms: median(list.iter().map(|sample| sample.cpu)),
            calls: None,
            peak_kb: None,
        })
        .collect()
}

fn median(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
