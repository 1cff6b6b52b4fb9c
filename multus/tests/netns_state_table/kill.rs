//! Killing what we ship in the middle of its work: a child process does the work and is killed before its n-th system
//! call that changes a file, starts or awaits a program, or speaks to the daemon. Nothing of ours knows of it.
#![expect(
    unsafe_code,
    reason = "fork, because the work is a closure; and the kernel tells system calls in a union"
)]

use std::io::Read;
use std::panic::AssertUnwindSafe;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe};

/// What became of the child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was killed before this system call.
    Killed(&'static str),
    /// It has fewer such calls.
    Finished,
}

/// Does `work` in a child process and kills that before its `nth` change, from 1. Programs that it had started run on
/// to their end before this returns.
pub(crate) fn before_change(nth: usize, work: impl FnOnce()) -> Ended {
    let mut seen = changes(nth, work);
    if seen.len() == nth {
        seen.pop().map_or(Ended::Finished, Ended::Killed)
    } else {
        Ended::Finished
    }
}

/// The first changes of `work`, of which the last, if there are `most`, was not made.
pub(crate) fn changes(most: usize, work: impl FnOnce()) -> Vec<&'static str> {
    // Inherited by every program that the child starts: its end is theirs.
    let (ends, lives) = pipe().unwrap();
    // SAFETY: the child runs test code that takes no lock of another thread: the only other one waits for this test.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(ends);
            let _done = std::panic::catch_unwind(AssertUnwindSafe(|| {
                ptrace::traceme().unwrap();
                raise(Signal::SIGSTOP).unwrap();
                work();
            }));
            // No destructor of the test may run twice.
            let _dead = raise(Signal::SIGKILL);
            unreachable!("killed");
        }
        ForkResult::Parent { child } => {
            drop(lives);
            let seen = watch(child, most);
            let _end = std::fs::File::from(ends).read_to_end(&mut Vec::new());
            seen
        }
    }
}

fn watch(child: Pid, most: usize) -> Vec<&'static str> {
    waitpid(child, None).unwrap();
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(child, options).unwrap();
    let mut seen = Vec::new();
    let mut signal = None;
    loop {
        ptrace::syscall(child, signal.take()).unwrap();
        match waitpid(child, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                seen.extend(change(child));
                if seen.len() == most {
                    kill(child, Signal::SIGKILL).unwrap();
                    while !matches!(waitpid(child, None), Ok(WaitStatus::Signaled(..))) {}
                    return seen;
                }
            }
            WaitStatus::Stopped(_, with) => signal = Some(with),
            WaitStatus::Signaled(..) | WaitStatus::Exited(..) => return seen,
            _ => {}
        }
    }
}

/// Name of the system call that the child is about to make, if it is one that counts.
fn change(child: Pid) -> Option<&'static str> {
    let info = ptrace::syscall_info(child).unwrap();
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that this member is the one that the kernel has filled.
    let entry = unsafe { info.u.entry };
    let number = i64::try_from(entry.nr).ok()?;
    if number == libc::SYS_openat {
        let flags = i32::try_from(entry.args[2] & 0x7fff_ffff).ok()?;
        return (flags & (libc::O_CREAT | libc::O_WRONLY | libc::O_RDWR) != 0).then_some("openat");
    }
    CHANGES
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
}

#[cfg(target_arch = "x86_64")]
const CHANGES: [(i64, &str); 18] = [
    (libc::SYS_rename, "rename"),
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_rmdir, "rmdir"),
    (libc::SYS_chmod, "chmod"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_write, "write"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
];

#[cfg(not(target_arch = "x86_64"))]
const CHANGES: [(i64, &str); 12] = [
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_write, "write"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
];
