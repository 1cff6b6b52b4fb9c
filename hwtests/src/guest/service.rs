//! Long-running programs of the node: started with a log file, stopped at the end, never waited for with a sleep.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A program that runs until it is stopped.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `program` with `args`; what it prints goes to `<logs>/<name>.log`.
    ///
    /// # Errors
    /// When the log cannot be written or the program does not start.
    pub fn start(logs: &Path, name: &str, program: &Path, args: &[&str]) -> Result<Self> {
        Self::start_with(logs, name, program, args, &[])
    }

    /// As [`Service::start`], with variables added to the environment.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub fn start_with(
        logs: &Path,
        name: &str,
        program: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        std::fs::create_dir_all(logs).with_context(|| format!("create {}", logs.display()))?;
        let log = logs.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open {}", log.display()))?;
        let child = Command::new(program)
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("share the log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until `ready` holds.
    ///
    /// # Errors
    /// When the program ends before, or after `limit`: with the last lines of its log.
    pub async fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut ready: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !ready().await {
            if let Some(status) = self.child.try_wait().context("look at a service")? {
                bail!(
                    "{} ended with {status} before {what}:\n{}",
                    self.name,
                    self.tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{}: waited {} s for {what}:\n{}",
                    self.name,
                    limit.as_secs(),
                    self.tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Resident memory now and its peak so far, in kB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory_kb(&self) -> Result<(u64, u64)> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
                .unwrap_or(0)
        };
        Ok((field("VmRSS:"), field("VmHWM:")))
    }

    /// Resident memory now, and the part of it that no file backs, in kB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_and_anonymous_kb(&self) -> Result<(u64, u64)> {
        Ok((self.status_field("VmRSS:")?, self.status_field("RssAnon:")?))
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn status_field(&self, name: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("{path} has no {name}"))
    }

    /// Kills the program as the kernel does when memory is short: it gets to know nothing.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        // An error means that it ended meanwhile.
        let _ = self.child.kill();
        self.child.wait().context("wait for a killed service")?;
        Ok(())
    }

    /// Stops the program where it is: its sockets take connections, nobody answers. Only [`Service::kill`] ends it.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id")?;
        kill(Pid::from_raw(pid), Signal::SIGSTOP).with_context(|| format!("freeze {}", self.name))
    }

    /// Asks the program to end and waits for it, at most `limit`.
    ///
    /// # Errors
    /// When it is still there afterwards, with the end of its log.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait().context("look at a service")? {
            return Ok(status);
        }
        let pid = i32::try_from(self.child.id()).context("a process id")?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .with_context(|| format!("terminate {}", self.name))?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().context("look at a service")? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} runs on {} s after SIGTERM:\n{}",
                    self.name,
                    limit.as_secs(),
                    self.tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All that the program printed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let text =
            std::fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Last lines of the log.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
