use std::os::unix::fs::{PermissionsExt, symlink};

use host::file::{Durability, PRIVATE, create_dir, list, read_text, write};

use super::*;

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        write(&self.path(name), bytes, PRIVATE, Durability::Process).unwrap();
    }

    /// Writes a line of each level with these keys of the configuration.
    fn log(&self, keys: &str) {
        self.log_at(keys, 0);
    }

    fn log_at(&self, keys: &str, now: u64) {
        let json = format!(r#"{{"logToStderr":false,{keys}}}"#);
        let conf = NetConf::parse(json.as_bytes()).unwrap();
        let log = Log::new(&conf, &[self.0.path().to_owned()], now);
        log.failed("failed");
        log.warn("a\nwarning");
        log.verbose(|| "done".to_owned());
        log.debug(|| "how".to_owned());
    }

    fn names(&self) -> Vec<String> {
        list(self.0.path()).unwrap()
    }
}

#[test]
fn row_13_lines_have_go_multus_form_and_levels_filter_them() {
    let lab = Lab::new();
    let path = lab.path("multus.log");
    let lines = [
        "1970-01-01T00:00:00Z [error] failed\n",
        "1970-01-01T00:00:00Z [warning] a warning\n",
        "1970-01-01T00:00:00Z [verbose] done\n",
        "1970-01-01T00:00:00Z [debug] how\n",
    ];
    for (level, count) in [("error", 2), ("verbose", 3), ("Debug", 4), ("", 2)] {
        lab.log(&format!(r#""logFile":{path:?},"logLevel":"{level}""#));
        let text = read_text(&path).unwrap().unwrap();
        assert_eq!(text, lines[..count].concat(), "{level}");
        host::file::remove(&path).unwrap();
    }
    lab.log(&format!(r#""logFile":{path:?},"logLevel":"panic""#));
    assert!(lab.names().is_empty());
    lab.log(&format!(r#""logFile":{path:?},"logLevel":"loud""#));
    let text = read_text(&path).unwrap().unwrap();
    assert!(text.contains("logLevel \"loud\" is none of"), "{text}");
    assert!(text.ends_with(&lines[..2].concat()), "{text}");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn row_13_a_log_file_outside_the_allowed_folders_is_not_opened_and_lines_go_to_stderr() {
    let lab = Lab::new();
    create_dir(&lab.path("outside"), 0o700).unwrap();
    symlink(lab.path("outside/x"), lab.path("multus.log")).unwrap();
    lab.log(&format!(r#""logFile":{:?}"#, lab.path("multus.log")));
    lab.log(r#""logFile":"/etc/multus.log""#);
    assert!(list(&lab.path("outside")).unwrap().is_empty());
    assert!(!Path::new("/etc/multus.log").exists());
}

#[test]
fn row_13_a_full_log_is_put_aside_by_the_next_call_and_only_the_newest_are_kept() {
    let lab = Lab::new();
    let path = lab.path("multus.log");
    for old in [
        "multus-2020-01-01T00-00-00.000.log.gz",
        "multus-2020-01-02T00-00-00.000.log",
        "multus-2020-01-03T00-00-00.000.log",
        "multus-other.log",
    ] {
        lab.put(old, b"x");
    }
    lab.put("multus.log", &vec![b'x'; 1024 * 1024]);
    let keys =
        format!(r#""logFile":{path:?},"logOptions":{{"maxSize":1,"maxBackups":2,"maxAge":0}}"#);
    lab.log_at(&keys, 1_800_000_000);
    let names = lab.names();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[0], "multus-2020-01-03T00-00-00.000.log");
    assert!(names[1].starts_with("multus-2027-01-15T08-00-00") && names[2] == "multus-other.log");
    assert_eq!(read_text(&path).unwrap().unwrap().lines().count(), 2);
    lab.log_at(&keys, 1_800_000_000);
    assert_eq!(lab.names(), names);
}

#[test]
fn row_13_log_options_that_are_none_fail_no_call() {
    let lab = Lab::new();
    let path = lab.path("multus.log");
    lab.log(&format!(
        r#""logFile":{path:?},"logOptions":{{"maxSize":"big"}}"#
    ));
    let text = read_text(&path).unwrap().unwrap();
    assert!(text.contains("logOptions are passed over"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}
