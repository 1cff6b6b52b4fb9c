//! D4 and D6 of spec/corrections.md: how the process answers its command line and signals.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests run the program")]

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use host::testing::sysfs::{F1, FakeSysfs};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn sriovdp(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sriovdp"));
    command.args(arguments).output().unwrap()
}

#[test]
fn correction_d4_help_ends_with_0_and_a_wrong_flag_with_2() {
    for help in ["-h", "--help", "-help"] {
        let output = sriovdp(&[help]);
        assert_eq!(output.status.code(), Some(0), "{help}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("usage: sriovdp"));
    }
    for wrong in ["--no-such-flag", "-v=high", "--config-file"] {
        let output = sriovdp(&[wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: sriovdp"));
    }
}

/// A plugin on a fake node, serving.
struct Running {
    process: Child,
    directory: tempfile::TempDir,
    _fake: FakeSysfs,
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Running {
    /// Further words are those that Go's flag package leaves alone.
    fn start(further: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("kubelet/device-plugins")).unwrap();
        let config = r#"{"resourceList":[{"resourceName":"net","selectors":{}}]}"#;
        std::fs::write(at("config.json"), config).unwrap();
        let fake = FakeSysfs::parse(F1);
        let process = Command::new(env!("CARGO_BIN_EXE_sriovdp"))
            .arg("--config-file")
            .arg(at("config.json"))
            .arg("--kubelet-root")
            .arg(at("kubelet"))
            .arg("--sysfs-root")
            .arg(fake.root())
            .args(further)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self {
            process,
            directory,
            _fake: fake,
        };
        until("a socket", || running.socket().exists());
        running
    }

    fn socket(&self) -> std::path::PathBuf {
        let below = Path::new("kubelet/device-plugins/intel.com_net.sock");
        self.directory.path().join(below)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        kill(pid, signal).unwrap();
    }

    fn ends(mut self, signal: Signal) {
        self.signal(signal);
        let status = self.process.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(!self.socket().exists(), "{signal}");
    }
}

#[test]
fn correction_d4_further_words_are_ignored() {
    Running::start(&["-use-cdi", "true", "more"]).ends(Signal::SIGTERM);
}

#[test]
fn correction_d6_int_quit_and_term_end_with_0_and_leave_no_socket_while_usr1_and_hup_end_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        let running = Running::start(&[]);
        running.signal(Signal::SIGUSR1);
        running.signal(Signal::SIGHUP);
        running.ends(signal);
    }
}
