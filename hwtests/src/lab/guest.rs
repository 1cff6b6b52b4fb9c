//! One run of the guest: its folder of files, its disk, its process, and what it reports while it runs.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Lab, qemu};

/// Size of the guest's disk; the file is sparse.
const DISK_BYTES: u64 = 4 << 30;
/// How often the guest's report is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Silence after which the emulator is nudged: shorter than any scenario's patience with one call.
const SILENCE: Duration = Duration::from_secs(30);

/// What the guest runs, and with which files.
#[derive(Debug, Clone)]
pub struct GuestCommand {
    /// Command line inside the guest; programs of `files` are in `/exchange/bin`.
    pub argv: Vec<String>,
    /// Host files copied into `/exchange/bin`, with their names there.
    pub programs: Vec<(PathBuf, &'static str)>,
    /// Host folder that is `/assets` inside.
    pub assets: Option<PathBuf>,
    /// The guest is killed after this time.
    pub limit: Duration,
}

/// A guest that runs.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    exchange: PathBuf,
    limit: Duration,
    started: Instant,
}

impl Guest {
    /// Boots the lab with files in `workspace`, which is made if missing. A disk found there is used again, so a
    /// second boot in the same workspace is a reboot of the node.
    ///
    /// # Errors
    /// When files cannot be placed or QEMU does not start.
    pub fn boot(lab: &Lab, workspace: &Path, command: &GuestCommand) -> Result<Self> {
        let exchange = workspace.join("exchange");
        let bin = exchange.join("bin");
        fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
        for stale in ["report", "exit-code"] {
            let _ = fs::remove_file(exchange.join(stale));
        }
        for (program, name) in &command.programs {
            fs::copy(program, bin.join(name))
                .with_context(|| format!("copy {} into the lab", program.display()))?;
        }
        let mut line = Vec::new();
        for word in &command.argv {
            line.extend_from_slice(word.as_bytes());
            line.push(0);
        }
        fs::write(exchange.join("command"), line).context("write the guest's command")?;
        let disk = workspace.join("state.img");
        if !disk.exists() {
            make_disk(&disk)?;
        }
        let machine = qemu::Machine {
            exchange: &exchange,
            disk: &disk,
            assets: command.assets.as_deref(),
            memory_mib: 4096,
        };
        let child = qemu::start(lab, &machine)?;
        Ok(Self {
            child,
            exchange,
            limit: command.limit,
            started: Instant::now(),
        })
    }

    /// Waits for the guest's end; every line that it appends to `/exchange/report` is handed to `line` as it comes.
    /// Returns the exit code of the guest's command, or `None` once `line` has asked for a power cut by `Break`.
    ///
    /// # Errors
    /// When the guest outlives its limit (it is killed), or ends without having run its command (kernel panic, out
    /// of memory): the last lines of its console are part of the error.
    pub fn wait(mut self, mut line: impl FnMut(&str) -> ControlFlow<()>) -> Result<Option<i32>> {
        let mut seen = 0;
        let mut rest = String::new();
        let mut heard = Instant::now();
        let report = self.exchange.join("report");
        loop {
            let ended = self.child.try_wait().context("wait for QEMU")?;
            if let Ok(mut file) = File::open(&report) {
                file.seek(SeekFrom::Start(seen))
                    .context("seek the report")?;
                let mut new = Vec::new();
                let length = file.read_to_end(&mut new).context("read the report")? as u64;
                if length > 0 {
                    heard = Instant::now();
                }
                seen += length;
                rest.push_str(&String::from_utf8_lossy(&new));
                while let Some(end) = rest.find('\n') {
                    if line(&rest[..end]).is_break() {
                        self.power_cut()?;
                        return Ok(None);
                    }
                    rest.drain(..=end);
                }
            }
            if ended.is_some() {
                break;
            }
            if self.started.elapsed() > self.limit {
                self.power_cut()?;
                bail!(
                    "the guest did not end within {} s and was killed; the last lines of its console:\n{}",
                    self.limit.as_secs(),
                    self.console_tail()
                );
            }
            if heard.elapsed() > SILENCE {
                // An error means that it is about to end.
                let _ = qemu::nudge(&self.exchange);
                heard = Instant::now();
            }
            sleep(POLL);
        }
        let code = fs::read_to_string(self.exchange.join("exit-code"));
        match code.as_deref().map(|text| text.trim().parse()) {
            Ok(Ok(code)) => Ok(Some(code)),
            _ => bail!(
                "the guest ended without a result; the last lines of its console:\n{}",
                self.console_tail()
            ),
        }
    }

    /// Kills the machine as a power cut does: nothing in the guest gets to know.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    fn power_cut(&mut self) -> Result<()> {
        // An error means that it ended meanwhile.
        let _ = self.child.kill();
        self.child.wait().context("wait for the killed QEMU")?;
        Ok(())
    }

    fn console_tail(&self) -> String {
        let text = fs::read(self.exchange.join("console.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_disk(disk: &Path) -> Result<()> {
    let file = File::create(disk).with_context(|| format!("create {}", disk.display()))?;
    file.set_len(DISK_BYTES).context("size the guest's disk")?;
    let status = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1"])
        .arg(disk)
        .status()
        .context("run mkfs.ext4")?;
    if !status.success() {
        bail!("mkfs.ext4 on {} ended with {status}", disk.display());
    }
    Ok(())
}
