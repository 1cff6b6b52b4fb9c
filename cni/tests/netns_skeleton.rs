//! The plugin's own namespace against others, on a real kernel.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up must fail")]
#![expect(
    clippy::disallowed_methods,
    reason = "runs a plugin as a runtime would"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cni::Error;

fn plugin() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/scripted")
}

/// Runs the plugin against a namespace; tells its error, if any, and whether its own code was
/// reached.
fn call(command: &str, netns: &str, dir: &Path, allow: Option<&str>) -> (Option<Error>, bool) {
    let mark = dir.join(command);
    let mut child = Command::new(plugin())
        .env_clear()
        .envs([
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", netns),
            ("CNI_IFNAME", "net1"),
            ("CNI_PATH", "/opt/cni/bin"),
        ])
        .envs(allow.map(|value| ("CNI_NETNS_OVERRIDE", value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = serde_json::json!({"cniVersion": "1.0.0", "name": "n", "mark": mark}).to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let error = (!output.status.success()).then(|| Error::parse(&output.stdout).unwrap());
    let reached = mark.exists();
    let _unmarked = std::fs::remove_file(mark);
    (error, reached)
}

/// A process that holds a network namespace of its own.
struct Other(Child);

impl Other {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(
            line, "ready\n",
            "unshare --net needs root in a user namespace: run with cargo nextest"
        );
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn the_own_namespace_is_refused_before_the_plugin_does_anything() {
    let dir = tempfile::tempdir().unwrap();
    let own = format!("/proc/{}/ns/net", std::process::id());
    for command in ["ADD", "DEL"] {
        let (error, reached) = call(command, &own, dir.path(), None);
        assert_eq!(error.unwrap().code, 8, "{command}");
        assert!(!reached, "{command} reached the plugin");
        let (error, reached) = call(command, &own, dir.path(), Some("1"));
        assert_eq!((error, reached), (None, true), "{command}");
    }
}

#[test]
fn another_namespace_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::new();
    let path = format!("/proc/{}/ns/net", other.0.id());
    for command in ["ADD", "DEL"] {
        assert_eq!(
            call(command, &path, dir.path(), None),
            (None, true),
            "{command}"
        );
    }
}
