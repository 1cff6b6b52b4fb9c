//! What a process holds: memory, descriptors, threads.

use std::{
    collections::BTreeSet,
    fmt, fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{sync::oneshot, task::JoinHandle};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// What ends by itself has ended by then.
const SETTLED: Duration = Duration::from_mins(1);

/// One look at a process, or the largest of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gauges {
    pub(super) resident_kb: u64,
    /// Without the connections.
    pub(super) descriptors: usize,
    /// Open TCP connections: an HTTP client keeps those that once were needed at the same time.
    pub(super) connections: usize,
    pub(super) threads: usize,
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kB, {} descriptors, {} connections, {} threads",
            self.resident_kb, self.descriptors, self.connections, self.threads
        )
    }
}

impl Gauges {
    /// # Errors
    /// When the process is gone.
    pub(super) fn read(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/task");
        let threads = fs::read_dir(&path).with_context(|| format!("list {path}"))?;
        let connected = connected(pid)?;
        let held = descriptors(pid)?;
        let connections = held.iter().filter(|fd| connected.contains(*fd)).count();
        Ok(Self {
            resident_kb: field(pid, "VmRSS:")?,
            descriptors: held.len() - connections,
            connections,
            threads: threads.count(),
        })
    }

    fn largest(self, other: Self) -> Self {
        Self {
            resident_kb: self.resident_kb.max(other.resident_kb),
            descriptors: self.descriptors.max(other.descriptors),
            connections: self.connections.max(other.connections),
            threads: self.threads.max(other.threads),
        }
    }
}

/// Looks at a process until it is told to end.
#[derive(Debug)]
pub(super) struct Watch {
    end: oneshot::Sender<()>,
    task: JoinHandle<Result<Gauges>>,
}

impl Watch {
    pub(super) fn start(pid: u32) -> Self {
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut peak = Gauges::default();
            while ended.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                peak = peak.largest(Gauges::read(pid)?);
                tokio::time::sleep(LOOK).await;
            }
            // The kernel's own peak, between two looks.
            peak.resident_kb = peak.resident_kb.max(field(pid, "VmHWM:")?);
            Ok(peak)
        });
        Self { end, task }
    }

    /// The largest of each, memory since the process began.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) async fn end(self) -> Result<Gauges> {
        let _ended = self.end.send(());
        self.task.await.context("watch a process")?
    }
}

/// Waits until a process holds no more descriptors and threads than `before`; what it holds then, and how long it took.
///
/// # Errors
/// When it does not come to that, with what it holds.
pub(super) async fn wait_for(pid: u32, before: Gauges) -> Result<(Gauges, Duration)> {
    let began = Instant::now();
    loop {
        let now = Gauges::read(pid)?;
        if now.descriptors <= before.descriptors && now.threads <= before.threads {
            return Ok((now, began.elapsed()));
        }
        if began.elapsed() > SETTLED {
            let held = descriptors(pid)?.join(", ");
            bail!("it holds {now}, before the storm {before}; descriptors: {held}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What its descriptors point to.
fn descriptors(pid: u32) -> Result<Vec<String>> {
    let path = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&path).with_context(|| format!("list {path}"))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|target| target.display().to_string())
        .collect())
}

/// Established TCP connections of the process's network namespace, as descriptors name them
/// (Documentation/networking/proc_net_tcp.rst).
fn connected(pid: u32) -> Result<BTreeSet<String>> {
    const ESTABLISHED: &str = "01";
    let path = format!("/proc/{pid}/net/tcp");
    let table = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    Ok(table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(3);
            let state = fields.next()?;
            let inode = fields.nth(5)?;
            (state == ESTABLISHED).then(|| format!("socket:[{inode}]"))
        })
        .collect())
}

fn field(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{path} has no {name}"))
}
