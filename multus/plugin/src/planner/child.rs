//! `multus-daemon plan` and `multus-daemon report` as child processes (thin mode).
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: runs multus-daemon as a child"
)]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Answer, NoAnswer};

/// Name of the planner's program.
const PROGRAM: &str = "multus-daemon";

/// Runs `multus-daemon <verb>` with `body` on stdin. Its stdout is the answer: on success the document,
/// otherwise a CNI error. At the deadline its process group is killed.
pub(super) fn run(
    programs: &[PathBuf],
    env: &[(OsString, OsString)],
    verb: &str,
    body: &[u8],
    deadline: Instant,
) -> Result<Answer, NoAnswer> {
    let program = programs
        .iter()
        .map(|dir| dir.join(PROGRAM))
        .find(|path| path.is_file());
    let program = program.ok_or_else(|| NoAnswer::NoProgram {
        program: PROGRAM,
        bin_dir: programs.last().cloned().unwrap_or_default(),
    })?;
    let mut child = start(&program, env, verb)?;
    let group = Pid::from_raw(child.id().cast_signed());
    let (finished, done) = mpsc::channel();
    let ended = thread::scope(|scope| {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // The child may refuse before it has read everything; what it says is what counts.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(body)));
        let closed = finished.clone();
        let errors = scope.spawn(move || read_all(stderr, &closed));
        let output = scope.spawn(move || read_all(stdout, &finished));
        let in_time = (0..2).all(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            done.recv_timeout(left).is_ok()
        });
        if !in_time {
            // Already gone is fine; everything that holds our pipes ends with the group.
            let _ = killpg(group, Signal::SIGKILL);
        }
        let texts = (
            output.join().unwrap_or_default(),
            errors.join().unwrap_or_default(),
        );
        in_time.then_some(texts)
    });
    let status = child.wait().map_err(|source| NoAnswer::Io {
        step: "wait for multus-daemon",
        source,
    })?;
    let (body, stderr) = ended.ok_or(NoAnswer::Deadline {
        step: "run multus-daemon",
    })?;
    if body.is_empty() && !status.success() {
        let stderr = String::from_utf8_lossy(&stderr)
            .trim()
            .chars()
            .take(300)
            .collect();
        return Err(NoAnswer::Silent {
            program: PROGRAM,
            stderr,
        });
    }
    Ok(Answer {
        accepted: status.success(),
        body,
    })
}

fn start(program: &Path, env: &[(OsString, OsString)], verb: &str) -> Result<Child, NoAnswer> {
    Command::new(program)
        .arg(verb)
        .env_clear()
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| NoAnswer::Io {
            step: "start multus-daemon",
            source,
        })
}

fn read_all(from: Option<impl Read>, closed: &mpsc::Sender<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // An error ends the text like its end does; the exit status tells the rest.
        let _ = from.read_to_end(&mut bytes);
    }
    // Nobody listens any more once the deadline has passed.
    let _ = closed.send(());
    bytes
}
