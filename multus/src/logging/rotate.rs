//! A log file that is put aside when it is large, and files put aside that go when they are old or many.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: an open log file is appended to, and its age is read"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use host::file;
use multus_plugin::log::rotation::{self, Limits};

/// The file.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    limits: Limits,
    file: File,
    size: u64,
}

impl RotatingFile {
    /// Goes on at the end of the file at `path`.
    pub(super) fn open(path: PathBuf, limits: Limits) -> io::Result<Self> {
        let file = append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path,
            limits,
            file,
            size,
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let aside = rotation::aside(&self.path, SystemTime::now());
        std::fs::rename(&self.path, &aside)?;
        self.file = append(&self.path)?;
        self.size = 0;
        let (path, limits) = (self.path.clone(), self.limits.clone());
        // A hundred megabytes take their time, and a daemon waits for its log.
        let tidying = std::thread::Builder::new().name("log".to_owned());
        tidying
            .spawn(move || tidy(&path, &limits, SystemTime::now()))
            .map(drop)
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.size > 0 && self.size.saturating_add(length) > self.limits.bytes() {
            // Where it cannot be put aside the file grows: better than lines that are lost.
            let _grows = self.rotate();
        }
        let written = self.file.write(line)?;
        self.size += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(file::PRIVATE)
        .open(path)
}

/// Compresses what was put aside and removes what is too old or too much. Nothing can be done about what fails here,
/// and there is nobody to tell: the log itself is at work.
fn tidy(path: &Path, limits: &Limits, now: SystemTime) {
    let found = rotation::survey(path, limits, now);
    for file in found.goes {
        let _stays = file::remove(&file);
    }
    let plain = |file: &&PathBuf| file.extension() != Some("gz".as_ref());
    if limits.compress.unwrap_or(true) {
        for file in found.stays.iter().filter(plain) {
            let mut packed = file.clone().into_os_string();
            packed.push(".gz");
            let _plain = compress(file, Path::new(&packed));
        }
    }
}

fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let target = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(file::PRIVATE)
        .open(to)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    std::fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use flate2::read::GzDecoder;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        file::list(dir).unwrap()
    }

    fn put(dir: &Path, name: &str, text: &str) {
        file::write(
            &dir.join(name),
            text.as_bytes(),
            0o600,
            file::Durability::Process,
        )
        .unwrap();
    }

    #[test]
    fn row_13_a_full_log_is_put_aside_and_the_line_goes_into_a_new_one() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("multus.log");
        let limits = Limits {
            max_size: Some(1),
            compress: Some(false),
            ..Limits::default()
        };
        let mut log = RotatingFile::open(path.clone(), limits).unwrap();
        let line = vec![b'x'; 600 * 1024];
        log.write_all(&line).unwrap();
        log.write_all(&line).unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!((meta.len(), meta.mode() & 0o777), (600 * 1024, 0o600));
        let aside: Vec<String> = names(dir.path())
            .into_iter()
            .filter(|name| name.starts_with("multus-2"))
            .collect();
        assert_eq!(aside.len(), 1, "{:?}", names(dir.path()));
        // The next process goes on at its end.
        let mut next = RotatingFile::open(path.clone(), Limits::default()).unwrap();
        next.write_all(b"y").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 600 * 1024 + 1);
    }

    #[test]
    fn row_13_files_put_aside_are_compressed_and_go_when_they_are_old_or_many() {
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
            put(dir.path(), name, "text");
        }
        let limits = Limits {
            max_backups: Some(2),
            ..Limits::default()
        };
        tidy(&path, &limits, SystemTime::now());
        assert_eq!(
            names(dir.path()),
            [
                "another.log",
                "multus-2026-01-02T00-00-00.000.log.gz",
                "multus-2026-01-03T00-00-00.000.log.gz",
                "multus-other.log",
                "multus.log",
            ]
        );
        let packed = File::open(dir.path().join("multus-2026-01-03T00-00-00.000.log.gz")).unwrap();
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        let later = SystemTime::now() + Duration::from_hours(6 * 24);
        tidy(&path, &limits, later);
        assert_eq!(
            names(dir.path()),
            ["another.log", "multus-other.log", "multus.log"]
        );
    }
}
