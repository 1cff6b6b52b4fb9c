#![expect(clippy::disallowed_methods, reason = "fixtures on disk")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tempfile::TempDir;

use super::*;

struct Bin {
    dir: TempDir,
}

impl Bin {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn env() -> Env {
    [("PATH", "/usr/bin:/bin"), ("CNI_COMMAND", "ADD")]
        .into_iter()
        .collect()
}

fn call_within(
    program: &Path,
    stdin: &[u8],
    deadline: Option<Duration>,
) -> Result<Output, ExecError> {
    let env = env();
    call(&Call {
        program,
        command: "ADD",
        env: &env,
        stdin,
        deadline,
        busy_pause: Duration::from_millis(1),
    })
}

fn run(program: &Path, stdin: &[u8]) -> Result<Output, ExecError> {
    call_within(program, stdin, Some(Duration::from_secs(20)))
}

fn alive(pid: i32) -> bool {
    // A killed process that nobody has reaped is a zombie, which is dead enough.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

#[test]
fn row_12_the_first_regular_file_of_the_path_is_found() {
    let (a, b) = (Bin::new(), Bin::new());
    fs::create_dir(a.file("bridge")).unwrap();
    let wanted = b.script("bridge", "");
    let path = [a.dir.path().to_owned(), b.dir.path().to_owned()];
    assert_eq!(find("bridge", &path).unwrap(), wanted);
}

#[test]
fn the_execute_bit_is_not_looked_at_when_searching() {
    let bin = Bin::new();
    fs::write(bin.file("x"), "").unwrap();
    assert!(find("x", &[bin.dir.path().to_owned()]).is_ok());
}

#[test]
fn a_missing_plugin_names_every_folder() {
    let error = find("bridge", &["/a".into(), "/b".into()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to find plugin \"bridge\" in path [\"/a\", \"/b\"]"
    );
}

#[test]
fn a_type_that_is_a_path_is_refused() {
    for plugin in ["", "/bin/sh", "../sh", "a/b"] {
        let error = find(plugin, &["/".into()]).unwrap_err();
        assert!(matches!(error, ExecError::Type(_)), "{plugin}");
        assert_eq!(error.code(), 7);
    }
}

#[test]
fn stdin_environment_and_output_pass_through() {
    let bin = Bin::new();
    let echo = bin.script(
        "echo",
        "printf '%s ' \"$CNI_COMMAND\" \"${HOME-unset}\"; cat; echo note >&2",
    );
    let output = run(&echo, b"{\"n\": 1.0e5}").unwrap();
    assert_eq!(output.stdout, b"ADD unset {\"n\": 1.0e5}");
    assert_eq!(output.stderr, "note");
}

#[test]
fn a_configuration_larger_than_a_pipe_is_sent_whole() {
    let bin = Bin::new();
    let count = bin.script("count", "wc -c");
    let output = run(&count, &vec![b'x'; 300_000]).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "300000");
}

#[test]
fn a_plugin_that_does_not_read_its_configuration_is_fine() {
    let bin = Bin::new();
    let deaf = bin.script("deaf", "exec <&-; echo '{}'");
    assert_eq!(run(&deaf, &vec![b'x'; 300_000]).unwrap().stdout, b"{}\n");
}

#[test]
fn large_output_is_read_while_the_plugin_still_writes() {
    let bin = Bin::new();
    let loud = bin.script(
        "loud",
        "head -c 1000000 /dev/zero | tr '\\0' x; head -c 70000 /dev/zero | tr '\\0' '\\n' >&2",
    );
    let output = run(&loud, b"").unwrap();
    assert_eq!(output.stdout.len(), 1_000_000);
    assert!(output.stderr.len() <= 4096);
}

#[test]
fn a_plugin_that_never_stops_printing_is_killed() {
    let bin = Bin::new();
    let endless = bin.script("endless", "exec cat /dev/zero");
    assert!(matches!(
        run(&endless, b""),
        Err(ExecError::TooMuchOutput { .. })
    ));
}

#[test]
fn the_plugins_own_error_and_code_are_kept() {
    let bin = Bin::new();
    let fails = bin.script(
        "fails",
        r#"echo '{"code":11,"msg":"busy","details":"d"}'; exit 1"#,
    );
    let error = run(&fails, b"").unwrap_err();
    assert_eq!(error.code(), 11);
    assert_eq!(Error::from(error), Error::new(11, "busy").with_details("d"));
}

#[test]
fn a_silent_failure_tells_status_and_stderr() {
    let bin = Bin::new();
    let mute = bin.script("mute", "exit 3");
    let error = run(&mute, b"").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} ADD failed (exit status: 3) with no error message",
            mute.display()
        )
    );
    let says = bin.script("says", "echo no route >&2; exit 1");
    let error = run(&says, b"").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("failed (exit status: 1) and said \"no route\""),
        "{error}"
    );
    assert_eq!(error.code(), 999);
    let crash = bin.script("crash", "kill -SEGV $$");
    assert!(
        run(&crash, b"")
            .unwrap_err()
            .to_string()
            .contains("signal: 11")
    );
}

#[test]
fn a_failure_that_prints_garbage_quotes_it() {
    let bin = Bin::new();
    let garbage = bin.script("garbage", "echo panic: oh no; exit 2");
    let error = run(&garbage, b"").unwrap_err();
    assert!(
        error.to_string().ends_with(
            "failed (exit status: 2) and printed \"panic: oh no\", which is no CNI error"
        ),
        "{error}"
    );
}

#[test]
fn a_program_that_cannot_start_says_why() {
    let bin = Bin::new();
    fs::write(bin.file("plain"), "x").unwrap();
    let error = run(&bin.file("plain"), b"").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("start {}", bin.file("plain").display())
    );
    assert!(Error::from(error).msg.contains("Permission denied"));
}

#[test]
fn a_hanging_plugin_is_killed_with_all_its_children() {
    let bin = Bin::new();
    let pids = bin.file("pids");
    let body = format!(
        "sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
        pids.display()
    );
    let hangs = bin.script("hangs", &body);
    // On a busy machine the script may not have come to its point within a short deadline.
    let deadline = |millis| {
        let begun = Instant::now();
        let error = call_within(&hangs, b"", Some(Duration::from_millis(millis))).unwrap_err();
        assert!(
            begun.elapsed() < Duration::from_mins(15),
            "it waited for the plugin"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "{} ADD did not finish within {millis} ms and was killed",
                hangs.display()
            )
        );
        assert_eq!(error.code(), 11);
        pids.exists()
    };
    assert!(
        [200, 1600, 12_800].into_iter().any(deadline),
        "the script never ran"
    );
    for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
        let pid = pid.parse().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while alive(pid) {
            assert!(
                Instant::now() < until,
                "process {pid} outlived the deadline"
            );
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_background_child_that_keeps_the_pipes_does_not_hold_the_call_up() {
    let bin = Bin::new();
    let forks = bin.script("forks", "sleep 1000 & echo $! ; echo '{}'");
    let begun = Instant::now();
    let output = call_within(&forks, b"", None).unwrap();
    assert!(begun.elapsed() < Duration::from_mins(15));
    let text = String::from_utf8(output.stdout).unwrap();
    let (pid, rest) = text.split_once('\n').unwrap();
    assert_eq!(rest, "{}\n");
    let pid = pid.trim().parse().unwrap();
    assert!(
        alive(pid),
        "a child that the plugin left behind on purpose was killed"
    );
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
}

#[test]
fn a_program_that_is_being_written_is_tried_again_and_again() {
    let bin = Bin::new();
    let script = bin.script("busy", "echo done");
    let writer = fs::OpenOptions::new().append(true).open(&script).unwrap();
    let error = run(&script, b"").unwrap_err();
    assert!(
        matches!(&error, ExecError::Start { source, .. } if source.kind() == io::ErrorKind::ExecutableFileBusy)
    );
    drop(writer);
    assert_eq!(run(&script, b"").unwrap().stdout, b"done\n");
}
