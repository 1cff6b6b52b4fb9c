//! The skeleton as a process: environment, standard streams and exit code as a runtime sees them.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up must fail")]
#![expect(
    clippy::disallowed_methods,
    reason = "runs a plugin as a runtime would"
)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cni::Error;

/// The example beside this test's own program.
fn plugin() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/scripted")
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(env: &[(&str, &str)], stdin: &str) -> Ended {
    let mut child = Command::new(plugin())
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A plugin that does not read is no failure of the test.
    let _sent = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn add(stdin: &str) -> Ended {
    let env = [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/no/such/netns"),
        ("CNI_IFNAME", "net1"),
        ("CNI_PATH", "/opt/cni/bin"),
    ];
    run(&env, stdin)
}

#[test]
fn a_result_is_one_document_on_stdout_and_exit_code_0() {
    let ended =
        add(r#"{"cniVersion":"1.0.0","name":"n","result":{"ips":[{"address":"10.0.0.2/24"}]}}"#);
    assert_eq!(ended.code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]})
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn an_error_is_one_document_on_stdout_and_exit_code_1() {
    let ended = add(r#"{"cniVersion":"1.0.0","name":"n","fail":{"code":102,"msg":"driver"}}"#);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        Error::parse(ended.stdout.as_bytes()),
        Some(Error::new(102, "driver"))
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_panic_is_an_error_on_stdout_that_names_the_place_and_leaves_stderr_clean() {
    let ended = add(r#"{"cniVersion":"1.0.0","name":"n","panic":"index out of range"}"#);
    assert_eq!(ended.code, Some(1));
    let error = Error::parse(ended.stdout.as_bytes()).unwrap();
    assert_eq!(error.code, 999);
    assert!(
        error.msg.contains("index out of range") && error.msg.contains("scripted.rs"),
        "{error}"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_panic_in_a_thread_is_told_with_its_first_cause() {
    let ended =
        add(r#"{"cniVersion":"1.0.0","name":"n","panic":"first cause","panicInThread":true}"#);
    let error = Error::parse(ended.stdout.as_bytes()).unwrap();
    assert_eq!(error.code, 999);
    assert!(error.msg.contains("first cause"), "{error}");
}

#[test]
fn without_command_a_plugin_with_about_text_introduces_itself() {
    let ended = run(&[], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert_eq!(
        ended.stderr,
        "scripted: does what its configuration says\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
    );
}

#[test]
fn version_needs_no_stdin() {
    let ended = run(&[("CNI_COMMAND", "VERSION")], "not JSON");
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout.lines().count(), 1);
    assert!(
        ended
            .stdout
            .starts_with(r#"{"cniVersion":"1.1.0","supportedVersions":["0.1.0","#)
    );
}

#[test]
fn a_variable_that_is_not_unicode_counts_as_missing() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let output = Command::new(plugin())
        .env_clear()
        .envs([
            ("CNI_COMMAND", "DEL"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_PATH", "/b"),
        ])
        .env("CNI_IFNAME", OsStr::from_bytes(b"net\xff"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = Error::parse(&output.stdout).unwrap();
    assert_eq!(
        (error.code, error.msg.as_str()),
        (4, "required env variables [CNI_IFNAME] missing")
    );
}
