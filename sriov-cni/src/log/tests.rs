use std::collections::BTreeMap;

use cni::plugin::{Command, Env};
use cni::raw::Object;
use cni::version::Version;
use tempfile::TempDir;

use super::*;

fn call(container: &str) -> Invocation {
    Invocation {
        command: Command::Add,
        container_id: container.to_owned(),
        netns: String::new(),
        ifname: "net1".to_owned(),
        args_text: String::new(),
        path: Vec::new(),
        name: "net".to_owned(),
        version: Version::CURRENT,
        config: Object::new(),
        stdin: Vec::new(),
        env: Env::from_iter(BTreeMap::<String, String>::new()),
    }
}

fn logged(level: Option<&str>, file: &Path, directories: &[PathBuf]) -> Option<String> {
    let file_name = file.to_str().unwrap();
    let log = Log::new(&call("c1"), level, Some(file_name), directories, || {
        SystemTime::UNIX_EPOCH
    });
    log.error("e");
    log.warning("w");
    log.info("i");
    log.debug("d");
    File::open(file)
        .ok()
        .map(|file| std::io::read_to_string(file).unwrap())
}

#[test]
fn a_line_has_upstreams_form_and_empty_labels_are_left_out() {
    let line = format_line(
        SystemTime::UNIX_EPOCH,
        Level::Info,
        "say \"hi\"\n\\",
        &labels(&call("c1")),
    );
    let expected = concat!(
        r#"time="1970-01-01T00:00:00Z" level="info" msg="say \"hi\"\n\\" cniName="sriov-cni" containerID="c1" ifname="net1""#,
        "\n"
    );
    assert_eq!(line, expected);
}

#[test]
fn levels_filter_and_an_unknown_one_is_info() {
    let directory = TempDir::new().unwrap();
    let allowed = [directory.path().to_path_buf()];
    for (level, lines) in [
        (None, 3),
        (Some("nonsense"), 3),
        (Some("DEBUG"), 4),
        (Some("warning"), 2),
        (Some("Error"), 1),
        (Some("panic"), 0),
    ] {
        let file = directory.path().join(level.unwrap_or("none"));
        let text = logged(level, &file, &allowed).unwrap();
        assert_eq!(text.lines().count(), lines, "{level:?}: {text}");
    }
}

#[test]
fn a_log_file_is_appended_to_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("sriov.log");
    let allowed = [directory.path().to_path_buf()];
    logged(None, &file, &allowed);
    assert_eq!(logged(None, &file, &allowed).unwrap().lines().count(), 6);
    assert_eq!(
        file.metadata().unwrap().permissions().mode() & 0o7777,
        0o600
    );
}

#[test]
fn a_log_file_outside_the_allowed_directories_is_not_opened() {
    let directory = TempDir::new().unwrap();
    let allowed_directory = directory.path().join("log");
    let outside = directory.path().join("outside");
    for made in [&allowed_directory, &outside] {
        host::file::create_dir(made, 0o700).unwrap();
    }
    std::os::unix::fs::symlink(&outside, allowed_directory.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.join("target"), allowed_directory.join("file-link"))
        .unwrap();
    let allowed = [allowed_directory.clone()];
    for path in [
        outside.join("a"),
        allowed_directory.join("../outside/b"),
        allowed_directory.join("link/c"),
        allowed_directory.join("file-link"),
        PathBuf::from("relative"),
        allowed_directory.join("missing/d"),
    ] {
        // Lines go to stderr then.
        assert_eq!(logged(None, &path, &allowed), None, "{}", path.display());
    }
    assert_eq!(outside.read_dir().unwrap().count(), 0);
}
