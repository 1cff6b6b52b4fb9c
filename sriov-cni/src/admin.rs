//! The command line of `sriov`, for people and service managers; container runtimes call without arguments.

use std::io::{self, Write};

use cni::plugin::Env;

use crate::command::{list, recover};
use crate::error::Result;
use crate::node::Node;
use crate::site::Site;

/// What the words mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Give back what belongs to nobody any more.
    Recover { dry_run: bool },
    /// VFs and slots, owners, drift.
    List { json: bool },
    /// Names of all crash points.
    #[cfg(feature = "crash-points")]
    CrashPoints { json: bool },
}

const USAGE: &str = "\
sriov is called by container runtimes, without arguments. By hand:
  sriov recover [--dry-run]   take back every VF and slot whose owner is gone; ends 0 if nothing is left undone
  sriov list [--json]         VFs and slots: who has them, how far the work got, what is not as it should be
";

/// Does what the words say. Returns the exit code: 0 done, 1 failed or something is left undone, 2 not understood.
pub fn main<N: Node>(
    words: &[String],
    site: &Site,
    open: impl Fn() -> host::error::Result<N>,
    env: &Env,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let Some(task) = task(words) else {
        // There is nobody else to tell.
        let _ = write!(err, "{USAGE}");
        return 2;
    };
    match carry_out(task, site, open, env, out) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            let _ = writeln!(err, "sriov: {}", cni::error::chain(&error));
            1
        }
    }
}

fn task(words: &[String]) -> Option<Task> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["recover"] => Some(Task::Recover { dry_run: false }),
        ["recover", "--dry-run"] => Some(Task::Recover { dry_run: true }),
        ["list"] => Some(Task::List { json: false }),
        ["list", "--json"] => Some(Task::List { json: true }),
        #[cfg(feature = "crash-points")]
        ["crash-points"] => Some(Task::CrashPoints { json: false }),
        #[cfg(feature = "crash-points")]
        ["crash-points", "--json"] => Some(Task::CrashPoints { json: true }),
        _ => None,
    }
}

fn carry_out<N: Node>(
    task: Task,
    site: &Site,
    open: impl Fn() -> host::error::Result<N>,
    env: &Env,
    out: &mut dyn Write,
) -> Result<bool> {
    match task {
        Task::Recover { dry_run } => {
            let told = recover::recover(site, &mut open()?, env, dry_run)?;
            let mut is_complete = true;
            for line in told {
                is_complete &= line.is_done;
                print(out, &line);
            }
            Ok(is_complete)
        }
        Task::List { json } => {
            let rows = list::list(site, &mut open()?)?;
            if json {
                print(out, cni::raw::raw(&rows).get());
            }
            for row in rows.iter().filter(|_| !json) {
                print(out, row);
            }
            Ok(true)
        }
        #[cfg(feature = "crash-points")]
        Task::CrashPoints { json: true } => {
            print(out, cni::raw::raw(&crate::crash::list()).get());
            Ok(true)
        }
        #[cfg(feature = "crash-points")]
        Task::CrashPoints { json: false } => {
            for listed in crate::crash::list() {
                print(out, &listed);
            }
            Ok(true)
        }
    }
}

/// A reader that has gone away has read enough.
fn print<T: std::fmt::Display + ?Sized>(out: &mut dyn Write, line: &T) {
    let _: io::Result<()> = writeln!(out, "{line}");
}
