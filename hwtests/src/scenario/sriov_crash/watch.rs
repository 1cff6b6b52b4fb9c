//! Waiting for a call's end, but not for ever: a call that hangs is red, with what it was waiting for.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Child,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::guest::cni::Answer;

/// Far more than any call may take (design §2), even on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(45);

/// The answer of a call that was started.
///
/// # Errors
/// When it cannot be waited for, or has not ended after [`LIMIT`]; it is killed then.
pub fn end(child: Child) -> Result<Answer> {
    let id = child.id();
    let (ended, over) = channel::<()>();
    let watch = thread::spawn(move || {
        (over.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout)).then(|| {
            let told = tasks(id);
            // The child is not reaped yet, so the id is still its own.
            if let Ok(pid) = i32::try_from(id) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            told
        })
    });
    let answer = Answer::of(child);
    drop(ended);
    if let Ok(Some(told)) = watch.join() {
        bail!("hung for {} s: {told}", LIMIT.as_secs());
    }
    answer
}

/// Where each thread of a process waits in the kernel, and the same of its children.
fn tasks(id: u32) -> String {
    let process = Path::new("/proc").join(id.to_string());
    let read = |path: &Path| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .replace('\n', " ")
    };
    let mut told = String::new();
    for task in fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let task = task.path();
        let [name, call, stack] = ["comm", "syscall", "stack"].map(|file| read(&task.join(file)));
        let _ = write!(told, "{id} {name}: call {call} at {stack}; ");
        for child in read(&task.join("children"))
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
        {
            told += &tasks(child);
        }
    }
    told
}
