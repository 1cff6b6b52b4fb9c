//! The binary itself: exit codes, output, signals.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run the binary on files of their own"
)]

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use host::testing::sysfs::{F1, FakeSysfs};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const GOOD: &str = r#"{"resourceList":[{"resourceName":"net","selectors":{"vendors":["15b3"]}}]}"#;

fn sriovdp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sriovdp"))
        .args(arguments)
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(directory: &Path, text: &str) -> String {
    let path = directory.join("config.json");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn validate_accepts_a_good_file() {
    let directory = tempfile::tempdir().unwrap();
    let output = sriovdp(&["validate", &file(directory.path(), GOOD)]);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        ("intel.com/net: ok\n", Some(0))
    );
}

#[test]
fn validate_names_every_bad_pool_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(
        directory.path(),
        "{\"resourceList\":[\n{\"resourceName\":\"a\",\"deviceType\":\"gpu\",\"selectors\":{}},\n{\"resourceName\":\"b\",\"selectors\":{\"pfNames\":[\"x#3-1\"]}},\n{\"resourceName\":\"c\",\"selectors\":{}}]}",
    );
    let output = sriovdp(&["validate", &path]);
    assert_eq!(output.status.code(), Some(1));
    let text = out(&output);
    assert!(text.contains("intel.com/c: ok\n"), "{text}");
    assert!(
        text.contains(
            "pool 1 (intel.com/a) rejected: line 2, column 34, resourceList[0].deviceType:"
        ),
        "{text}"
    );
    assert!(text.contains("pool 2 (intel.com/b) rejected: line 3, column 45, resourceList[1].selectors.pfNames[0]:"), "{text}");
}

#[test]
fn validate_says_where_a_file_is_no_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "{\"resourceList\": [}");
    let output = sriovdp(&["validate", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        format!("sriovdp: {path}: line 1, column 19: not JSON: unexpected close brace\n")
    );
}

#[test]
fn validate_of_a_missing_file_names_it() {
    let output = sriovdp(&["validate", "/nonexistent/config.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        "sriovdp: /nonexistent/config.json: no such file\n"
    );
}

#[test]
fn an_unknown_flag_prints_usage_and_help_succeeds() {
    let output = sriovdp(&["--no-such-flag"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).starts_with("flag provided but not defined: --no-such-flag\nusage: sriovdp")
    );
    let output = sriovdp(&["-h"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).starts_with("usage: sriovdp"));
}

#[test]
fn explain_gives_a_reason_for_every_function() {
    let fake = FakeSysfs::parse(F1);
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), GOOD);
    let sysfs = fake.root().display().to_string();
    let output = sriovdp(&["explain", "--config-file", &path, "--sysfs-root", &sysfs]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(
        text.contains("\nintel.com/net  0000:af:00.2  15b3:1018  mlx5_core  pf1#0"),
        "{text}"
    );
    assert!(
        text.contains("\nno pool        0000:18:02.0  8086:154c  iavf       pf0#0  not intel.com/net: vendors does not match 8086\n"),
        "{text}"
    );
    let output = sriovdp(&[
        "explain",
        "--config-file",
        &path,
        "--sysfs-root",
        &sysfs,
        "--json",
        "--device",
        "0000:af:00.2",
    ]);
    let value: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(value["devices"].as_array().unwrap().len(), 1);
    assert_eq!(value["devices"][0]["pool"], "intel.com/net");
    let output = sriovdp(&[
        "explain",
        "--config-file",
        &path,
        "--sysfs-root",
        &sysfs,
        "--device",
        "0000:99:00.0",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("sriovdp: device 0000:99:00.0: no device of this node"));
}

const PROVISION: &str = r#"{"resourceList":[{"resourceName":"net","selectors":{"vendors":["8086"]}}],
"provision":[{"pf":{"pciAddresses":["0000:05:00.0"]},"numVfs":3,"groups":[{"vfs":"2","driver":"vfio-pci","pool":"intel.com/dpdk"}]}]}"#;

/// A command of provisioning on a PF without VFs and without an interface.
fn provisioning(words: &[&str], config: &str) -> Output {
    let fake = FakeSysfs::parse("pci 0000:05:00.0{8086:10c9, 0200, drv=igb, vfs=7/0}");
    fake.directory("bus/pci/drivers/vfio-pci");
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), config);
    let sysfs = fake.root().display().to_string();
    let at = directory.path().display().to_string();
    let mut all = words.to_vec();
    all.extend(["--config-file", &path, "--sysfs-root", &sysfs]);
    all.extend(["--sriov-state", &at, "--kubelet-root", &at]);
    sriovdp(&all)
}

#[test]
fn plan_prints_a_line_per_pf_and_its_writes_as_commands() {
    let output = provisioning(&["plan"], PROVISION);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "# 0000:05:00.0: would be changed: sriov_numvfs 0 -> 3, vf 2 to vfio-pci",
            "echo 0 > /sys/bus/pci/devices/0000:05:00.0/sriov_drivers_autoprobe",
            "echo 3 > /sys/bus/pci/devices/0000:05:00.0/sriov_numvfs",
            "echo 1 > /sys/bus/pci/devices/0000:05:00.0/sriov_drivers_autoprobe",
        ]
    );
}

#[test]
fn provision_fails_with_one_line_if_a_pf_cannot_be_what_is_asked_unless_it_is_lenient() {
    let too_many = PROVISION.replace("\"numVfs\":3", "\"numVfs\":30");
    let line = "0000:05:00.0: refused: 30 VFs asked, it allows 7 (sriov_totalvfs)\n";
    let output = provisioning(&["provision"], &too_many);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        (line, Some(1))
    );
    let output = provisioning(&["plan"], &too_many);
    assert_eq!(out(&output), format!("# {line}"));
    assert_eq!(output.status.code(), Some(1));
    let output = provisioning(&["provision", "--lenient"], &too_many);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        (line, Some(0))
    );
}

#[test]
fn provision_without_a_block_has_nothing_to_do() {
    let output = provisioning(&["provision"], GOOD);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        out(&output),
        "# the configuration has no provision block: nothing to do\n"
    );
}

#[test]
fn validate_checks_the_block_provision_too() {
    let directory = tempfile::tempdir().unwrap();
    let output = sriovdp(&["validate", &file(directory.path(), PROVISION)]);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        (
            "intel.com/net: ok\nprovision entry 1: ok\nwarning: provision entry 1: a group is meant for intel.com/dpdk, which resourceList does not have\n",
            Some(0)
        )
    );
    let wrong = PROVISION.replace("pciAddresses", "pciAddress");
    let output = sriovdp(&["validate", &file(directory.path(), &wrong)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).contains("provision entry 1 rejected: line 2, column 34, provision[0].pf.pciAddress: key \"pciAddress\" is unknown here"),
        "{}",
        out(&output)
    );
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn hangup_reads_the_configuration_again_and_terminate_leaves_no_socket() {
    let fake = FakeSysfs::parse(F1);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { directory.path().join(name) };
    for made in ["etc", "elsewhere", "kubelet/device-plugins"] {
        std::fs::create_dir_all(at(made)).unwrap();
    }
    // The file that is edited is in no directory that is watched.
    file(&at("elsewhere"), GOOD);
    std::os::unix::fs::symlink(at("elsewhere/config.json"), at("etc/config.json")).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_sriovdp"))
        .arg("--config-file")
        .arg(at("etc/config.json"))
        .arg("--kubelet-root")
        .arg(at("kubelet"))
        .arg("--sysfs-root")
        .arg(fake.root())
        .arg("--devinfo-dir")
        .arg(at("devinfo"))
        .arg("--log-dir=sriovdp")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    let socket = |name: &str| at("kubelet/device-plugins").join(format!("intel.com_{name}.sock"));
    until("the first pool's socket", || socket("net").exists());
    file(&at("elsewhere"), &GOOD.replace("\"net\"", "\"other\""));
    kill(pid, Signal::SIGHUP).unwrap();
    until("the second pool's socket", || {
        socket("other").exists() && !socket("net").exists()
    });
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(!socket("other").exists());
}

/// Starts the program with no capability at all and no way to get one, serving one pool of F1.
fn unprivileged(at: &dyn Fn(&str) -> PathBuf, sysfs: &Path) -> std::process::Child {
    for made in ["etc", "kubelet/device-plugins"] {
        std::fs::create_dir_all(at(made)).unwrap();
    }
    file(&at("etc"), GOOD);
    Command::new("setpriv")
        .args([
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--ambient-caps=-all",
            "--no-new-privs",
        ])
        .arg(env!("CARGO_BIN_EXE_sriovdp"))
        .arg("--config-file")
        .arg(at("etc/config.json"))
        .arg("--kubelet-root")
        .arg(at("kubelet"))
        .arg("--sysfs-root")
        .arg(sysfs)
        .arg("--devinfo-dir")
        .arg(at("devinfo"))
        .args(["--reconcile-seconds", "0", "--http-address"])
        .arg(format!("unix:{}", at("http.sock").display()))
        .stderr(std::fs::File::create(at("log")).unwrap())
        .spawn()
        .unwrap()
}

#[test]
fn it_serves_watches_and_answers_probes_with_no_capability_at_all() {
    let fake = FakeSysfs::parse(F1);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { directory.path().join(name) };
    // As the Go plugin makes it.
    std::fs::create_dir(at("devinfo")).unwrap();
    let closed = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(at("devinfo"), closed).unwrap();
    let mut process = unprivileged(&at, fake.root());
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    let socket = at("kubelet/device-plugins/intel.com_net.sock");
    until("the pool's socket", || socket.exists());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for set in ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"] {
        assert!(
            status.contains(&format!("{set}:\t0000000000000000\n")),
            "{status}"
        );
    }
    let devinfo = std::fs::metadata(at("devinfo")).unwrap();
    assert_eq!(devinfo.permissions().mode() & 0o777, 0o700);
    let address = format!("unix:{}", at("http.sock").display());
    let probe = |word: &str| sriovdp(&["probe", word, "--http-address", &address]);
    until("an answer", || probe("live").status.success());
    // No kubelet runs here.
    let output = probe("ready");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("not ready: intel.com/net: "),
        "{}",
        err(&output)
    );
    // An edit is noticed without the slow reconcile.
    file(&at("etc"), &GOOD.replace("\"net\"", "\"other\""));
    until("the edited pool's socket", || {
        at("kubelet/device-plugins/intel.com_other.sock").exists()
    });
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(at("log")).unwrap();
    assert!(!log.contains("cannot be watched"), "{log}");
}
