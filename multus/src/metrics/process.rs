//! What the process uses, under the names that every Prometheus client has.

use std::path::Path;
use std::time::Duration;

use host::file;
use nix::unistd::{SysconfVar, sysconf};

use proto::prometheus::{Kind, Page};

/// Descriptors, memory and time of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Time on processors.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Threads.
    pub threads: u64,
    /// Seconds between boot and the start of the process.
    pub started: f64,
    /// Boot, in seconds since 1970.
    pub boot: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

/// Reads it below `proc`; what cannot be read is 0.
pub fn usage(proc: &Path) -> Usage {
    let text = |name: &str| {
        let text = file::read_text(&proc.join(name)).ok().flatten();
        text.unwrap_or_default()
    };
    let unit = |variable, default| {
        let value = sysconf(variable).ok().flatten();
        value.and_then(|n| u64::try_from(n).ok()).unwrap_or(default)
    };
    let (tick, page) = (
        unit(SysconfVar::CLK_TCK, 100),
        unit(SysconfVar::PAGE_SIZE, 4096),
    );
    let boot = text("stat")
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    let mut usage = parse(&text("self/stat"), tick, page);
    usage.boot = boot.unwrap_or_default();
    usage.descriptors = file::list(&proc.join("self/fd")).map_or(0, |names| names.len());
    usage
}

/// `proc_pid_stat(5)`. The program's name, in brackets, may contain anything.
fn parse(stat: &str, tick: u64, page: u64) -> Usage {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<u64> = rest
        .split_whitespace()
        // Of the third field, the first after the name.
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    let ticks = |count: u64| Duration::from_millis(count.saturating_mul(1000) / tick.max(1));
    Usage {
        cpu: ticks(field(14) + field(15)),
        threads: field(20),
        started: ticks(field(22)).as_secs_f64(),
        resident: field(24).saturating_mul(page),
        ..Usage::default()
    }
}

pub(super) fn write(page: &mut Page, usage: &Usage) {
    page.single(
        "process_cpu_seconds_total",
        Kind::Counter,
        "Time on processors.",
        usage.cpu.as_secs_f64(),
    );
    page.single(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory.",
        usage.resident,
    );
    page.single(
        "process_open_fds",
        Kind::Gauge,
        "Open descriptors.",
        usage.descriptors,
    );
    page.single("process_threads", Kind::Gauge, "Threads.", usage.threads);
    let boot = Duration::from_secs(usage.boot).as_secs_f64();
    page.single(
        "process_start_time_seconds",
        Kind::Gauge,
        "Start of the process since 1970.",
        boot + usage.started,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_name_has_brackets_and_blanks_is_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 12345 9000000 512 18446744073709551615";
        let usage = parse(stat, 100, 4096);
        assert_eq!(usage.cpu, Duration::from_secs(3));
        assert_eq!((usage.threads, usage.resident), (3, 512 * 4096));
        assert!((usage.started - 123.45).abs() < 0.01, "{usage:?}");
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let usage = usage(Path::new("/proc"));
        assert!(
            usage.resident > 0 && usage.descriptors > 0 && usage.boot > 0,
            "{usage:?}"
        );
    }
}
