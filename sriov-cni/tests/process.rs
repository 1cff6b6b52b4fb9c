//! The built binary as a runtime sees it: environment and stdin in, one JSON document and an exit code out
//! (spec/sriov-cni.md §6.3). Nothing here reaches a VF.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code that runs the binary"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const CONFIG: &str =
    r#"{"cniVersion":"1.1.0","name":"net","type":"sriov","deviceID":"ffff:ff:1f.7"}"#;

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn error(&self) -> (u64, String) {
        assert_eq!(self.code, 1, "{}", self.stdout);
        let error: Value = serde_json::from_str(&self.stdout).unwrap();
        (
            error["code"].as_u64().unwrap(),
            error["msg"].as_str().unwrap().to_owned(),
        )
    }
}

fn run(env: &[(&str, &str)], stdin: &str) -> Answer {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sriov"))
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A plugin that refuses the environment does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The environment of a command, with changes; an empty value removes the variable.
fn call(command: &str, changes: &[(&str, &str)], stdin: &str) -> Answer {
    let mut env = BTreeMap::from([
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/no/such/namespace"),
        ("CNI_IFNAME", "net1"),
        ("CNI_PATH", "/no/such/folder"),
    ]);
    env.extend(changes.iter().copied());
    env.retain(|_, value| !value.is_empty());
    run(&env.into_iter().collect::<Vec<_>>(), stdin)
}

fn config(extra: &Value) -> String {
    let mut config: Value = serde_json::from_str(CONFIG).unwrap();
    for (key, value) in extra.as_object().unwrap() {
        config[key] = value.clone();
    }
    config.to_string()
}

#[test]
fn version_prints_one_line_and_reads_no_stdin() {
    let answer = run(&[("CNI_COMMAND", "VERSION")], "not JSON");
    assert_eq!(answer.code, 0);
    assert_eq!(
        answer.stdout,
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"
    );
}

#[test]
fn a_missing_command_and_an_unknown_one_are_code_4() {
    assert_eq!(
        run(&[], "").error(),
        (4, "required env variables [CNI_COMMAND] missing".to_owned())
    );
    assert_eq!(
        call("NONE", &[], CONFIG).error(),
        (4, "unknown CNI_COMMAND: NONE".to_owned())
    );
}

#[test]
fn all_missing_variables_are_named_at_once() {
    let cases = [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
    ];
    for (command, missing) in cases {
        let answer = run(&[("CNI_COMMAND", command)], CONFIG).error();
        assert_eq!(
            answer,
            (4, format!("required env variables [{missing}] missing"))
        );
    }
}

#[test]
fn bad_container_ids_and_interface_names_are_code_4() {
    for (variable, value) in [
        ("CNI_CONTAINERID", "-c"),
        ("CNI_CONTAINERID", "c/1"),
        ("CNI_CONTAINERID", "c@1"),
        ("CNI_IFNAME", "sixteen-letters-"),
        ("CNI_IFNAME", "."),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "net/1"),
        ("CNI_IFNAME", "net 1"),
        ("CNI_IFNAME", "net:1"),
    ] {
        assert_eq!(
            call("ADD", &[(variable, value)], CONFIG).error().0,
            4,
            "{variable}={value}"
        );
    }
}

#[test]
fn bad_stdin_is_code_6_and_a_bad_name_code_7() {
    for text in ["", "not JSON", "[]", "{\"name\":"] {
        assert_eq!(call("ADD", &[], text).error().0, 6, "{text:?}");
    }
    for name in ["", "-net", "a/b", "a b"] {
        assert_eq!(
            call("ADD", &[], &config(&json!({ "name": name })))
                .error()
                .0,
            7,
            "{name:?}"
        );
    }
}

#[test]
fn versions_that_do_not_fit_are_code_1() {
    let with = |version: &str| config(&json!({ "cniVersion": version }));
    assert_eq!(call("ADD", &[], &with("9.9.9")).error().0, 1);
    let (code, text) = call("CHECK", &[], &with("0.3.1")).error();
    assert_eq!(
        (code, text.as_str()),
        (1, "config version does not allow CHECK")
    );
    for command in ["GC", "STATUS"] {
        let (code, text) = call(command, &[], &with("1.0.0")).error();
        assert_eq!(
            (code, text),
            (1, format!("config version does not allow {command}"))
        );
    }
}

#[test]
fn the_plugins_own_namespace_is_refused_before_any_work() {
    for command in ["ADD", "DEL"] {
        let (code, text) = call(command, &[("CNI_NETNS", "/proc/self/ns/net")], CONFIG).error();
        assert_eq!(code, 8, "{text}");
    }
    // With the override the work begins, and ends at the VF that does not exist.
    let allowed = [
        ("CNI_NETNS", "/proc/self/ns/net"),
        ("CNI_NETNS_OVERRIDE", "1"),
    ];
    assert_eq!(call("ADD", &allowed, CONFIG).error().0, 100);
}

#[test]
fn an_invalid_configuration_is_one_error_of_code_7_that_says_what_to_do() {
    let answer = call("ADD", &[], &config(&json!({ "vlan": 4095 })));
    assert_eq!(
        answer.error(),
        (
            7,
            "vlan 4095: invalid VLAN id; give 1 to 4094, or 0 for no VLAN".to_owned()
        )
    );
    assert_eq!(answer.stderr, "");
    let without = config(&json!({ "deviceID": "" }));
    let (code, text) = call("ADD", &[], &without).error();
    assert_eq!(
        (code, text.contains("VF pci addr is required")),
        (7, true),
        "{text}"
    );
}

#[test]
fn a_vf_that_does_not_exist_is_code_100() {
    let (code, text) = call("ADD", &[], CONFIG).error();
    assert_eq!(
        (code, text.as_str()),
        (100, "VF ffff:ff:1f.7: no such PCI function on this node")
    );
}

#[test]
fn del_of_something_that_never_was_prints_nothing_and_succeeds() {
    for changes in [&[][..], &[("CNI_NETNS", "")]] {
        let answer = call("DEL", changes, CONFIG);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (0, ""),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn a_log_file_that_may_not_be_written_is_told_and_fails_nothing() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("sriov.log");
    let answer = call("DEL", &[], &config(&json!({ "logFile": file })));
    assert_eq!(answer.code, 0);
    assert!(
        answer.stderr.contains("level=\"warning\""),
        "{}",
        answer.stderr
    );
    assert!(
        answer
            .stderr
            .contains("must be an absolute path below /var/log"),
        "{}",
        answer.stderr
    );
    assert!(!file.exists());
}

#[test]
fn words_that_are_not_understood_are_answered_with_how_to_use_the_program() {
    for words in [
        &["recove"][..],
        &["recover", "now"],
        &["list", "--yaml"],
        &["crash-points", "x"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sriov"))
            .args(words)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("sriov recover [--dry-run]") && said.contains("sriov list [--json]"),
            "{said}"
        );
    }
}

#[test]
fn a_runtimes_call_is_one_whatever_the_arguments() {
    let output = Command::new(env!("CARGO_BIN_EXE_sriov"))
        .arg("recover")
        .env("CNI_COMMAND", "VERSION")
        .output()
        .unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("supportedVersions")
    );
}

/// The shipped program has no crash points.
#[cfg(not(feature = "crash-points"))]
#[test]
fn the_shipped_program_has_no_crash_points() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_sriov")).unwrap();
    let has = |text: &[u8]| program.windows(text.len()).any(|window| window == text);
    assert!(
        has(b"supportedVersions"),
        "the texts of the program are in it"
    );
    assert!(!has(b"FERROVIA_CRASH_AT"));
    assert!(!has(b"crash-points"));
}
