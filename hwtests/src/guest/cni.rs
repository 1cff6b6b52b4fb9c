//! A container runtime as far as a CNI plugin sees one: a namespace per sandbox, a process per call, an answer on
//! standard output.

use std::{
    fs,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::shell::{ip, ip_json, run};

/// Where the guest has the reference plugins.
pub const CNI_PATH: &str = "/usr/lib/cni:/opt/cni/bin";

/// A sandbox without containers: an id and a named network namespace. Nothing is removed on drop, since scenarios are
/// about what is left.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Container id, and name of the namespace.
    pub id: String,
    /// Path of the namespace; empty for a runtime that has lost it.
    pub netns: String,
}

/// A plugin's program, and what each of its calls gets besides the call's own variables.
#[derive(Debug, Clone)]
pub struct Plugin {
    program: PathBuf,
    before: Vec<String>,
    environment: Vec<(String, String)>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error: the log.
    pub stderr: String,
}

/// A CNI error document.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// CNI code.
    pub code: u64,
    /// Message and details.
    pub text: String,
}

impl Sandbox {
    /// Makes a namespace of this name.
    ///
    /// # Errors
    /// When it exists already.
    pub fn create(id: &str) -> Result<Self> {
        ip(&format!("netns add {id}"))?;
        let netns = format!("/run/netns/{id}");
        Ok(Self {
            id: id.to_owned(),
            netns,
        })
    }

    /// The same sandbox as a runtime names it that has lost its namespace.
    #[must_use]
    pub fn without_netns(&self) -> Self {
        Self {
            netns: String::new(),
            ..self.clone()
        }
    }

    /// Deletes the namespace; what was in it goes where the kernel puts it, a moment later.
    ///
    /// # Errors
    /// When there is none.
    pub fn lose_netns(&self) -> Result<()> {
        ip(&format!("netns delete {}", self.id)).map(drop)
    }

    /// Inode of the namespace.
    ///
    /// # Errors
    /// When there is none.
    pub fn inode(&self) -> Result<u64> {
        let meta = fs::metadata(&self.netns).with_context(|| format!("look at {}", self.netns))?;
        Ok(meta.ino())
    }

    /// Runs `ip` inside, with words separated by blanks.
    ///
    /// # Errors
    /// As [`run`].
    pub fn ip(&self, words: &str) -> Result<String> {
        ip(&format!("-netns {} {words}", self.id))
    }

    /// Runs `ip -json` inside.
    ///
    /// # Errors
    /// As [`ip_json`].
    pub fn ip_json(&self, words: &str) -> Result<Value> {
        ip_json(&format!("-netns {} {words}", self.id))
    }

    /// Runs a program inside, with words separated by blanks.
    ///
    /// # Errors
    /// As [`run`].
    pub fn exec(&self, words: &str) -> Result<String> {
        run(
            "ip",
            ["netns", "exec", &self.id]
                .into_iter()
                .chain(words.split(' ')),
        )
    }
}

impl Plugin {
    /// A plugin that is called with nothing but what the protocol asks for.
    #[must_use]
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            before: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The same plugin, each call with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same plugin, run by another program (`strace -c -o FILE`), words separated by blanks.
    #[must_use]
    pub fn below(mut self, words: &str) -> Self {
        self.before = words.split(' ').map(str::to_owned).collect();
        self
    }

    /// Starts a call; its standard streams are piped, and its input is written already.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn start(
        &self,
        command: &str,
        sandbox: &Sandbox,
        ifname: &str,
        config: &Value,
    ) -> Result<Child> {
        let mut words = self.before.iter().map(String::as_str).collect::<Vec<_>>();
        let program = self.program.to_string_lossy();
        words.push(&program);
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &sandbox.id)
            .env("CNI_NETNS", &sandbox.netns)
            .env("CNI_IFNAME", ifname)
            .env("CNI_PATH", CNI_PATH)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A plugin that ends without reading is judged by its answer.
            let _ = stdin.write_all(config.to_string().as_bytes());
        }
        Ok(child)
    }

    /// Calls and waits for the end.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn call(
        &self,
        command: &str,
        sandbox: &Sandbox,
        ifname: &str,
        config: &Value,
    ) -> Result<Answer> {
        let child = self.start(command, sandbox, ifname, config)?;
        Answer::of(child)
    }
}

impl Answer {
    /// Waits for a started call.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn of(child: Child) -> Result<Self> {
        let output = child.wait_with_output().context("wait for a plugin")?;
        Ok(Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The document of a call that succeeded; null for one that has none to give (DEL).
    ///
    /// # Errors
    /// When it failed, with what it answered and logged.
    pub fn success(&self) -> Result<Value> {
        ensure!(
            self.status.success(),
            "{}: {} {}",
            self.status,
            self.stdout.trim(),
            self.stderr.trim()
        );
        if self.stdout.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("read the answer {:?}", self.stdout))
    }

    /// The error document of a call that failed.
    ///
    /// # Errors
    /// When it succeeded, was ended by a signal, or gave no such document.
    pub fn refusal(&self) -> Result<Refusal> {
        if self.status.success() || self.status.code().is_none() {
            bail!("wanted a refusal, got {}: {}", self.status, self.stdout);
        }
        let document: Value = serde_json::from_str(&self.stdout)
            .with_context(|| format!("read the answer {:?}", self.stdout))?;
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        let code = document["code"].as_u64().context("an error without code")?;
        Ok(Refusal {
            code,
            text: [text("msg"), text("details")].join(" "),
        })
    }
}
