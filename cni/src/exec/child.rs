//! One child process: started in a process group of its own, fed, listened to, killed when late.
//!
//! A child outlives us when we are killed with a signal that nobody can catch, and that is left so. `PR_SET_PDEATHSIG`
//! would kill it, but only it and not the IPAM plugin that it waits for, in the middle of a change to the kernel; it
//! fires when the *thread* that forked ends, it has to be set between fork and exec (unsafe code), and it is lost when a
//! delegate changes its credentials. Instead whoever undoes a killed command waits until what it started has ended:
//! children inherit the lock of the sandbox (`Journal::lock_sandbox` of multus).
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: delegates run here and nowhere else"
)]

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::Call;

/// More than any result; a plugin that prints more is out of its mind.
pub(super) const STDOUT_LIMIT: usize = 4 << 20;
/// Of stderr so much is kept for messages.
const STDERR_KEPT: usize = 4 << 10;
/// How long pipes may stay open after the program itself has ended: a child of it may hold them for
/// ever.
const LINGER: Duration = Duration::from_millis(200);
/// First and longest pause between two looks at a child that says nothing.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// How long a killed child may take to be gone: one in an uninterruptible sleep stays until it wakes.
const LAST_BREATH: Duration = Duration::from_secs(1);
/// A program file that is still open for writing is being installed.
const BUSY_TRIES: u32 = 6;

/// How a child ended, and what it printed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why there is no end to report.
#[derive(Debug)]
pub(super) enum Trouble {
    Start(io::Error),
    Io(&'static str, io::Error),
    Deadline(Duration),
    TooMuchOutput,
}

/// Runs the call's program to its end.
pub(super) fn run(call: &Call<'_>) -> Result<Ended, Trouble> {
    let until = call
        .deadline
        .and_then(|deadline| Instant::now().checked_add(deadline));
    let mut child = start(call, until)?;
    let pid = pid(&child);
    let ended = Conversation::open(call, &mut child, pid).and_then(|talk| talk.until_done(until));
    match ended {
        Ok((stdout, stderr)) => {
            let status = child
                .wait()
                .map_err(|error| Trouble::Io("wait for", error))?;
            Ok(Ended {
                status,
                stdout,
                stderr,
            })
        }
        Err(trouble) => {
            // The leader is not reaped yet, so the group's id cannot have been given to others.
            let _gone = killpg(pid, Signal::SIGKILL);
            reap(child);
            Err(trouble)
        }
    }
}

/// Waits for a killed child, but not for one that the kernel cannot kill yet.
fn reap(mut child: Child) {
    let (done, told) = mpsc::channel();
    let wait = move || {
        let _reaped = child.wait();
        let _heard = done.send(());
    };
    if std::thread::Builder::new().spawn(wait).is_ok() {
        let _dead = told.recv_timeout(LAST_BREATH);
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn start(call: &Call<'_>, until: Option<Instant>) -> Result<Child, Trouble> {
    let mut command = Command::new(call.program);
    command
        .env_clear()
        .envs(call.env.iter())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut tries = 1;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                let now = Instant::now();
                let wake = until.map_or(now + call.busy_pause, |until| {
                    until.min(now + call.busy_pause)
                });
                std::thread::sleep(wake - now);
                if let (Some(until), Some(deadline)) = (until, call.deadline)
                    && Instant::now() >= until
                {
                    return Err(Trouble::Deadline(deadline));
                }
            }
            started => return started.map_err(Trouble::Start),
        }
    }
}

/// The three pipes of a child, and its end, which is looked for when they are closed or silent: a file descriptor for it
/// needs a newer kernel than ours at the least, or a thread per child.
struct Conversation<'a> {
    pid: Pid,
    stdin: Option<OwnedFd>,
    unsent: &'a [u8],
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    heard: (Vec<u8>, Vec<u8>),
    deadline: Option<Duration>,
}

impl<'a> Conversation<'a> {
    fn open(call: &Call<'a>, child: &mut Child, pid: Pid) -> Result<Self, Trouble> {
        let talk = Self {
            pid,
            stdin: child.stdin.take().map(Into::into),
            unsent: call.stdin,
            stdout: child.stdout.take().map(Into::into),
            stderr: child.stderr.take().map(Into::into),
            heard: (Vec::new(), Vec::new()),
            deadline: call.deadline,
        };
        for fd in [&talk.stdin, &talk.stdout, &talk.stderr]
            .into_iter()
            .flatten()
        {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|errno| Trouble::Io("prepare pipes to", errno.into()))?;
        }
        Ok(talk)
    }

    /// Ends when the child has ended and its output is closed, or lingers open for [`LINGER`].
    fn until_done(mut self, until: Option<Instant>) -> Result<(Vec<u8>, Vec<u8>), Trouble> {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| Instant::now() >= until);
        let mut until = until;
        let mut exited = false;
        let mut pause = LOOKS.0;
        let mut look = Instant::now() + pause;
        while self.stdout.is_some() || self.stderr.is_some() {
            if self.wait(until.map_or(look, |until| until.min(look)))? {
                self.send()?;
                self.listen()?;
                continue;
            }
            if !exited && self.has_exited()? {
                exited = true;
                let linger = Instant::now() + LINGER;
                until = Some(until.map_or(linger, |until| until.min(linger)));
            } else if is_over(until) {
                return if exited {
                    Ok(self.heard)
                } else {
                    Err(self.late())
                };
            }
            pause = (pause * 2).min(LOOKS.1);
            look = Instant::now() + pause;
        }
        // Its end is a matter of microseconds now, unless it has only closed its output.
        let mut pause = Duration::from_micros(50);
        while !exited && !self.has_exited()? {
            if is_over(until) {
                return Err(self.late());
            }
            self.send()?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOKS.0);
        }
        Ok(self.heard)
    }

    fn late(&self) -> Trouble {
        Trouble::Deadline(self.deadline.unwrap_or_default())
    }

    /// Waits until something can be done; false if `until` has passed.
    fn wait(&self, until: Instant) -> Result<bool, Trouble> {
        let stdin = self.stdin.as_ref().map(|fd| (fd, PollFlags::POLLOUT));
        let outputs = [&self.stdout, &self.stderr].into_iter().flatten();
        let mut fds: Vec<PollFd<'_>> = stdin
            .into_iter()
            .chain(outputs.map(|fd| (fd, PollFlags::POLLIN)))
            .map(|(fd, flags)| PollFd::new(fd.as_fd(), flags))
            .collect();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Rounded up, or the last millisecond would be spent spinning.
            let timeout =
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(Trouble::Io("wait for", errno.into())),
            }
        }
    }

    fn send(&mut self) -> Result<(), Trouble> {
        while let (Some(fd), false) = (&self.stdin, self.unsent.is_empty()) {
            match nix::unistd::write(fd, self.unsent) {
                Ok(sent) => self.unsent = &self.unsent[sent..],
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                // The child has ended or does not care for its configuration.
                Err(Errno::EPIPE) => break,
                Err(errno) => return Err(Trouble::Io("write to", errno.into())),
            }
        }
        self.stdin = None;
        Ok(())
    }

    fn listen(&mut self) -> Result<(), Trouble> {
        let (stdout, stderr) = (&mut self.heard.0, &mut self.heard.1);
        drain(&mut self.stdout, |bytes| stdout.extend_from_slice(bytes))?;
        drain(&mut self.stderr, |bytes| {
            // Informational: a stderr of ours that is gone must not fail the delegate.
            let _forwarded = io::stderr().write_all(bytes);
            stderr.extend_from_slice(bytes);
            let surplus = stderr.len().saturating_sub(STDERR_KEPT);
            stderr.drain(..surplus);
        })?;
        if stdout.len() > STDOUT_LIMIT {
            Err(Trouble::TooMuchOutput)
        } else {
            Ok(())
        }
    }

    /// Does not reap: the process group's id stays taken until the child has been waited for.
    fn has_exited(&self) -> Result<bool, Trouble> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        match waitid(Id::Pid(self.pid), flags) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(errno) => Err(Trouble::Io("wait for", errno.into())),
        }
    }
}

/// Reads what is there; closes the pipe at its end.
fn drain(pipe: &mut Option<OwnedFd>, mut take: impl FnMut(&[u8])) -> Result<(), Trouble> {
    let mut buffer = [0; 8 << 10];
    // A child that prints faster than this reads must not keep us here past the deadline.
    for _ in 0..64 {
        let Some(fd) = pipe else { return Ok(()) };
        match nix::unistd::read(fd, &mut buffer) {
            Ok(0) => *pipe = None,
            Ok(count) => take(&buffer[..count]),
            Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Trouble::Io("read from", errno.into())),
        }
    }
    Ok(())
}
