//! Files of a log that were put aside: their names, and which of them go. `multus` and `multus-daemon` keep one form.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use host::{clock, file};
use serde::Deserialize;

/// `logOptions`; absent keys have the defaults of Go multus (spec/multus.md §1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Days that a file put aside is kept; 0: for ever. Default 5.
    pub max_age: Option<u64>,
    /// Megabytes of the file; 0 and absent: 100.
    pub max_size: Option<u64>,
    /// Files put aside; 0: any number. Default 5.
    pub max_backups: Option<usize>,
    /// Whether `multus-daemon` packs files put aside, default true. `multus` never does: a pod would wait for it.
    pub compress: Option<bool>,
}

/// What becomes of the files put aside.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Too old, or too many.
    pub goes: Vec<PathBuf>,
    /// The newest first.
    pub stays: Vec<PathBuf>,
}

impl Limits {
    /// Bytes of a file that is full.
    pub fn bytes(&self) -> u64 {
        let megabytes = self.max_size.filter(|size| *size > 0).unwrap_or(100);
        megabytes.saturating_mul(1024 * 1024)
    }

    fn age(&self) -> Option<Duration> {
        let days = self.max_age.unwrap_or(5);
        (days > 0).then(|| Duration::from_hours(days.saturating_mul(24)))
    }

    fn backups(&self) -> usize {
        match self.max_backups.unwrap_or(5) {
            0 => usize::MAX,
            number => number,
        }
    }
}

/// `/x/multus-2026-11-23T04-05-06.789.log` for `/x/multus.log`: sorted by name they are sorted by time.
pub fn aside(path: &Path, now: SystemTime) -> PathBuf {
    let (stem, end) = parts(path);
    path.with_file_name(format!("{stem}{}{end}", clock::file_stamp(now)))
}

/// Looks for files put aside beside `path`. Those that are packed count, too; one whose age cannot be read is not old.
pub fn survey(path: &Path, limits: &Limits, now: SystemTime) -> Aside {
    let mut found = Aside::default();
    let Some(dir) = path.parent() else {
        return found;
    };
    let names = file::list(dir).unwrap_or_default();
    for name in names.into_iter().rev().filter(|name| is_aside(path, name)) {
        let file = dir.join(name);
        let modified = std::fs::metadata(&file).and_then(|meta| meta.modified());
        let age = modified.map(|modified| now.duration_since(modified).unwrap_or_default());
        let old = matches!((age, limits.age()), (Ok(age), Some(longest)) if age > longest);
        if old || found.stays.len() >= limits.backups() {
            found.goes.push(file);
        } else {
            found.stays.push(file);
        }
    }
    found
}

fn is_aside(path: &Path, name: &str) -> bool {
    let (stem, end) = parts(path);
    let rest = name.strip_prefix(&stem).unwrap_or_default();
    let rest = rest.strip_suffix(".gz").unwrap_or(rest);
    rest.strip_suffix(&end)
        .is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()))
}

/// What the names of files put aside begin and end with: `multus-` and `.log` of `multus.log`.
fn parts(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = text(path.file_stem()).unwrap_or_default();
    let end = text(path.extension()).map_or_else(String::new, |end| format!(".{end}"));
    (format!("{stem}-"), end)
}

#[cfg(test)]
mod tests {
    use host::file::Durability;

    use super::*;

    #[test]
    fn row_13_files_put_aside_go_when_they_are_old_or_many_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("multus.log");
        for name in [
            "multus-2026-01-01T00-00-00.000.log.gz",
            "multus-2026-01-02T00-00-00.000.log",
            "multus-2026-01-03T00-00-00.000.log",
            "multus-other.log",
            "multus.log",
            "another.log",
        ] {
            file::write(
                &dir.path().join(name),
                b"x",
                file::PRIVATE,
                Durability::Process,
            )
            .unwrap();
        }
        let limits = Limits {
            max_backups: Some(2),
            ..Limits::default()
        };
        let at = |name: &str| dir.path().join(name);
        let now = dir.path().metadata().unwrap().modified().unwrap();
        let found = survey(&path, &limits, now);
        assert_eq!(found.goes, [at("multus-2026-01-01T00-00-00.000.log.gz")]);
        let newest = [
            at("multus-2026-01-03T00-00-00.000.log"),
            at("multus-2026-01-02T00-00-00.000.log"),
        ];
        assert_eq!(found.stays, newest);
        let later = survey(&path, &limits, now + Duration::from_hours(6 * 24));
        assert_eq!((later.goes.len(), later.stays.len()), (3, 0));
        let for_ever = Limits {
            max_age: Some(0),
            max_backups: Some(0),
            ..Limits::default()
        };
        let later = survey(&path, &for_ever, now + Duration::from_hours(600 * 24));
        assert_eq!((later.goes.len(), later.stays.len()), (0, 3));
    }

    #[test]
    fn row_13_a_file_put_aside_is_found_again_by_its_name() {
        for path in ["/x/multus.log", "/x/multus", "/x/a.b.log"] {
            let aside = aside(Path::new(path), SystemTime::UNIX_EPOCH);
            let name = aside.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(is_aside(Path::new(path), &name), "{name}");
            assert!(!is_aside(Path::new("/x/other.log"), &name), "{name}");
        }
    }
}
