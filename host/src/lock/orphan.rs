//! Locks that outlived who took them: the programs that a killed command had started inherited them.
//!
//! Mostly these end soon, which is what the lock is for. One that goes on in the background for ever would keep the lock
//! for ever, and with it every later command: past the time that it was given, it loses the lock.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: procfs, whose processes come and go while it is read"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Ticks per second of `/proc/<pid>/stat` (`proc_pid_stat(5)`); the same on every architecture that has our binaries.
const TICKS: u64 = 100;

/// A process that holds a lock which a process that is gone has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub pid: u32,
    /// Its program, as the kernel shortens it.
    pub name: String,
    /// How long it has run.
    pub age: Duration,
    group: i64,
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name, age, .. } = self;
        write!(f, "{name} (process {pid}, for {} s)", age.as_secs())
    }
}

/// The orphans that hold the lock on `path`; none while whoever took it lives, or when nobody can be seen to hold it.
/// `proc` is where procfs is mounted.
pub(super) fn holders(path: &Path, proc: &Path) -> Vec<Orphan> {
    let Ok(file) = path.metadata() else {
        return Vec::new();
    };
    let uptime = uptime(proc).unwrap_or_default();
    let mut found = Vec::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        match taker(&process.path(), path, (file.dev(), file.ino())) {
            None => {}
            Some(taker) if taker == u64::from(pid) => return Vec::new(),
            Some(_) => found.extend(orphan(pid, &process.path(), uptime)),
        }
    }
    found
}

/// Whether all of them have had their time. A program is judged with the process group that its caller made for it: its
/// own children may be young.
pub(super) fn are_overdue(orphans: &[Orphan], patience: Duration) -> bool {
    let mut groups: BTreeMap<i64, Duration> = BTreeMap::new();
    for orphan in orphans {
        let oldest = groups.entry(orphan.group).or_default();
        *oldest = (*oldest).max(orphan.age);
    }
    !groups.is_empty() && groups.values().all(|age| *age >= patience)
}

/// Who took the lock that this process has on the file (`proc_pid_fdinfo(5)`); `None` if it has none.
fn taker(process: &Path, path: &Path, file: (u64, u64)) -> Option<u64> {
    let name = path.file_name()?;
    for open in fs::read_dir(process.join("fd")).ok()?.flatten() {
        let is_named = fs::read_link(open.path()).is_ok_and(|to| to.file_name() == Some(name));
        // Through the link: the file itself, whatever its name is where that process looks from.
        let is_it = is_named
            && fs::metadata(open.path()).is_ok_and(|meta| (meta.dev(), meta.ino()) == file);
        if !is_it {
            continue;
        }
        let info = process.join("fdinfo").join(open.file_name());
        let info = fs::read_to_string(info).unwrap_or_default();
        if let Some(taker) = info.lines().find_map(taken_by) {
            return Some(taker);
        }
    }
    None
}

/// `lock:  1: FLOCK  ADVISORY  WRITE 4711 fe:00:5678 0 EOF`
fn taken_by(line: &str) -> Option<u64> {
    let mut words = line.strip_prefix("lock:")?.split_whitespace().skip(1);
    (words.next() == Some("FLOCK")).then_some(())?;
    words.nth(2)?.parse().ok()
}

fn orphan(pid: u32, process: &Path, uptime: Duration) -> Option<Orphan> {
    let text = fs::read_to_string(process.join("stat")).ok()?;
    let (before, after) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut words = after.split_whitespace();
    let group = words.nth(2)?.parse().ok()?;
    let started: u64 = words.nth(16)?.parse().ok()?;
    let started = Duration::from_millis(started.saturating_mul(1000 / TICKS));
    Some(Orphan {
        pid,
        name,
        age: uptime.saturating_sub(started),
        group,
    })
}

fn uptime(proc: &Path) -> Option<Duration> {
    let text = fs::read_to_string(proc.join("uptime")).ok()?;
    Duration::try_from_secs_f64(text.split(' ').next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_of_a_lock_is_read() {
        let line = "lock:\t1: FLOCK  ADVISORY  WRITE 4711 fe:00:5678 0 EOF";
        assert_eq!(taken_by(line), Some(4711));
        let of_a_range = "lock:\t1: POSIX  ADVISORY  WRITE 4711 fe:00:5678 0 EOF";
        assert_eq!(taken_by(of_a_range), None);
        assert_eq!(taken_by("flags:\t02100002"), None);
    }

    #[test]
    fn a_program_is_overdue_with_the_oldest_of_its_group_and_all_programs_must_be() {
        let of = |group, seconds| Orphan {
            pid: 1,
            name: "x".into(),
            age: Duration::from_secs(seconds),
            group,
        };
        let overdue = |orphans: &[Orphan]| are_overdue(orphans, Duration::from_secs(90));
        assert!(overdue(&[of(1, 90), of(1, 2)]));
        assert!(!overdue(&[of(1, 90), of(2, 89)]));
        assert!(!overdue(&[]));
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let proc = tempfile::tempdir().unwrap();
        let process = proc.path().join("7");
        fs::create_dir(&process).unwrap();
        let rest = "S 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5000 1 2";
        fs::write(process.join("stat"), format!("7 (a) b ( c)) {rest}")).unwrap();
        fs::write(proc.path().join("uptime"), "170.25 9.9\n").unwrap();
        let found = orphan(7, &process, uptime(proc.path()).unwrap()).unwrap();
        assert_eq!((found.name.as_str(), found.group), ("a) b ( c)", 42));
        assert_eq!(found.age, Duration::from_millis(120_250));
    }
}
