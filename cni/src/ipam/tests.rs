#![expect(clippy::disallowed_methods, reason = "fixtures on disk")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::plugin::Env;
use crate::raw::Object;
use crate::version::Version;

const STDIN: &str = r#"{ "cniVersion":"1.0.0", "name":"net","n":1.0e5,"ipam":{"type":"fake"} }"#;

/// A call of ours, with an IPAM plugin `fake` that logs `COMMAND ARGS stdin` and runs `body`.
fn call(body: &str) -> (TempDir, Invocation) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log").display().to_string();
    let script =
        format!("#!/bin/sh\n{{ echo \"$CNI_COMMAND $CNI_ARGS\"; cat; echo; }} >> {log}\n{body}\n");
    fs::write(dir.path().join("fake"), script).unwrap();
    fs::set_permissions(dir.path().join("fake"), fs::Permissions::from_mode(0o755)).unwrap();
    let env: Env = [
        ("PATH", "/usr/bin:/bin"),
        ("CNI_COMMAND", "ADD"),
        ("CNI_ARGS", "A=1"),
    ]
    .into_iter()
    .collect();
    let call = Invocation {
        command: Command::Add,
        container_id: "c1".into(),
        netns: String::new(),
        ifname: "net1".into(),
        args_text: "A=1".into(),
        path: vec![dir.path().to_owned()],
        name: "net".into(),
        version: Version::V1_0_0,
        config: Object::parse(STDIN.as_bytes()).unwrap(),
        stdin: STDIN.into(),
        env,
    };
    (dir, call)
}

fn ipam(call: &Invocation) -> Ipam<'_> {
    Ipam::of(call, Some(Duration::from_secs(20)))
        .unwrap()
        .unwrap()
}

fn log(dir: &TempDir) -> String {
    fs::read_to_string(dir.path().join("log")).unwrap_or_default()
}

#[test]
fn the_plugins_own_stdin_and_environment_reach_the_ipam_plugin() {
    let (dir, call) =
        call(r#"[ $CNI_COMMAND != ADD ] || echo '{"ips":[{"address":"10.0.0.2/24"}]}'"#);
    let result = ipam(&call).add().unwrap();
    assert_eq!(result.ips.len(), 1);
    ipam(&call).check().unwrap();
    ipam(&call).status().unwrap();
    ipam(&call).gc().unwrap();
    ipam(&call).del().unwrap();
    let wanted: String = ["ADD", "CHECK", "STATUS", "GC", "DEL"]
        .map(|command| format!("{command} A=1\n{STDIN}\n"))
        .concat();
    assert_eq!(log(&dir), wanted);
}

#[test]
fn the_ipam_plugins_error_is_returned_as_it_is() {
    let (_dir, call) = call(r#"echo '{"code":11,"msg":"pool busy","details":"d"}'; exit 1"#);
    let wanted = Error::new(11, "pool busy").with_details("d");
    assert_eq!(ipam(&call).add().unwrap_err(), wanted);
    assert_eq!(ipam(&call).del().unwrap_err(), wanted);
    assert_eq!(ipam(&call).check().unwrap_err(), wanted);
}

#[test]
fn a_failed_allocation_is_released() {
    let (dir, failing) = call("exit 1");
    ipam(&failing).add().unwrap_err();
    assert_eq!(
        log(&dir).lines().step_by(2).collect::<Vec<_>>(),
        ["ADD A=1", "DEL A=1"]
    );
    let (dir, garbage) = call("echo hello");
    let error = ipam(&garbage).add().unwrap_err();
    assert!(
        error
            .msg
            .starts_with("ipam plugin \"fake\" failed (add): result \"hello"),
        "{error}"
    );
    assert_eq!(
        log(&dir).lines().step_by(2).collect::<Vec<_>>(),
        ["ADD A=1", "DEL A=1"]
    );
}

#[test]
fn a_configuration_without_ipam_has_none() {
    let (_dir, mut call) = call("");
    for text in [
        "{}",
        r#"{"ipam":{}}"#,
        r#"{"ipam":null}"#,
        r#"{"ipam":{"type":""}}"#,
    ] {
        call.config = Object::parse(text.as_bytes()).unwrap();
        assert!(Ipam::of(&call, None).unwrap().is_none(), "{text}");
    }
    call.config = Object::parse(br#"{"ipam":[]}"#).unwrap();
    assert_eq!(Ipam::of(&call, None).unwrap_err().code, 7);
}

#[test]
fn an_ipam_plugin_that_is_missing_is_named() {
    let (_dir, mut call) = call("");
    call.config = Object::parse(br#"{"ipam":{"type":"none"}}"#).unwrap();
    let error = ipam(&call).add().unwrap_err();
    assert!(
        error
            .msg
            .starts_with("failed to find plugin \"none\" in path"),
        "{error}"
    );
}
