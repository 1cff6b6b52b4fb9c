//! What a node can have more of. Everything but memory is counted in namespaces and folders of the test's own, where
//! nobody else makes any.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use host::netlink::Netlink;

/// Counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gauges([(&'static str, usize); 7]);

impl Gauges {
    /// The counts now.
    pub(crate) fn read() -> Self {
        let mut netlink = Netlink::open().unwrap();
        let processes = processes();
        let open =
            |id: &str| fs::read_dir(format!("/proc/{id}/fd")).map_or(0, std::iter::Iterator::count);
        Self([
            (
                "files",
                files(Path::new("/var/lib")) + files(Path::new("/run")),
            ),
            (
                "descriptors",
                open("self") + processes.iter().map(|id| open(id)).sum::<usize>(),
            ),
            ("processes", processes.len()),
            ("mounts", lines("/proc/self/mounts")),
            ("links", netlink.links().unwrap().len()),
            ("routes", netlink.routes(None).unwrap().len()),
            ("neighbours", neighbours()),
        ])
    }

    /// What is more than before, in words.
    pub(crate) fn more_than(&self, before: &Self) -> Vec<String> {
        let pairs = self.0.iter().zip(&before.0);
        pairs
            .filter(|((_, now), (_, before))| now > before)
            .map(|((what, now), (_, before))| format!("{now} {what}, {before} before"))
            .collect()
    }
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.map(|(what, count)| format!("{count} {what}"));
        f.write_str(&counts.join(", "))
    }
}

/// Memory of the kernel's own that it cannot give back: objects of namespaces, interfaces, routes, and their counters
/// per CPU. It is the whole machine's, so one measurement says little.
pub(crate) fn memory_kb() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let field = |name: &str| -> u64 {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next());
        value.unwrap().parse().unwrap()
    };
    field("SUnreclaim:") + field("Percpu:")
}

/// Memory has grown by more than is allowed in every stretch. What others do on the machine grows in some.
pub(crate) fn is_leak(samples: &[u64], allowed: u64) -> bool {
    samples.len() > 1
        && samples
            .windows(2)
            .all(|pair| pair[1] > pair[0].saturating_add(allowed))
}

/// Programs that run and are this one's children, or were left to it.
pub(crate) fn processes() -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ids.filter(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything; state and parent are behind it.
        let behind = stat.rsplit_once(") ").unwrap_or_default().1;
        let mut words = behind.split(' ');
        let (state, parent) = (words.next(), words.next());
        parent == Some(&own) && state != Some("Z")
    })
    .collect()
}

fn neighbours() -> usize {
    let output = Command::new("ip").args(["neighbour", "show"]).output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .lines()
        .count()
}

fn lines(path: &str) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                files(&entry.path())
            } else {
                1
            }
        })
        .sum()
}
