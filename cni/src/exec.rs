//! Running delegates: finding the program, environment and stdin, deadline, what it printed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, code};
use crate::plugin::Env;
use crate::raw::shorten;

mod child;
mod find;

pub use find::find;

use child::{Ended, Trouble};

/// Between two tries to start a program that is still being written.
pub const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// One call of a program.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Path of the program.
    pub program: &'a Path,
    /// The verb, for messages only; the environment carries it.
    pub command: &'a str,
    /// The whole environment of the child.
    pub env: &'a Env,
    /// What the child reads.
    pub stdin: &'a [u8],
    /// The child's process group is killed when it has not finished by then; None waits forever.
    pub deadline: Option<Duration>,
    /// Pause before the next of 6 tries when the program is still open for writing; see
    /// [`BUSY_PAUSE`].
    pub busy_pause: Duration,
}

/// What a program printed before it ended with code 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// The end of stderr; all of it was forwarded to our own stderr.
    pub stderr: String,
}

/// Why a delegate could not be run, or what it said.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// No folder of `CNI_PATH` has the program.
    #[error("failed to find plugin {plugin:?} in path {path:?}")]
    Missing {
        /// The `type` looked for.
        plugin: String,
        /// The folders looked in.
        path: Vec<PathBuf>,
    },
    /// The `type` is no file name.
    #[error(transparent)]
    Type(#[from] crate::name::InvalidName),
    /// The program could not be started.
    #[error("start {}", program.display())]
    Start {
        /// Path of the program.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Talking to the child failed.
    #[error("{step} {}", program.display())]
    Io {
        /// `wait for`, `read from`, `write to`.
        step: &'static str,
        /// Path of the program.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The program did not finish in time; its process group was killed.
    #[error("{} {command} did not finish within {} ms and was killed", program.display(), deadline.as_millis())]
    Deadline {
        /// Path of the program.
        program: PathBuf,
        /// The verb.
        command: String,
        /// The time it had.
        deadline: Duration,
    },
    /// The time for all programs together was over before this one; it was not started.
    #[error("{} {command} was not started: the time for all plugins is over", program.display())]
    TooLate {
        /// Path of the program.
        program: PathBuf,
        /// The verb.
        command: String,
    },
    /// The program printed more than a result can be; its process group was killed.
    #[error("{} {command} printed more than {limit} bytes and was killed", program.display())]
    TooMuchOutput {
        /// Path of the program.
        program: PathBuf,
        /// The verb.
        command: String,
        /// Bytes.
        limit: usize,
    },
    /// The program failed and said why.
    #[error("{0}")]
    Plugin(Error),
    /// The program failed and printed nothing on stdout.
    #[error("{} {command} failed ({status}) {}", program.display(), said(stderr))]
    Silent {
        /// Path of the program.
        program: PathBuf,
        /// The verb.
        command: String,
        /// How it ended, e.g. `exit status: 1`.
        status: String,
        /// The end of its stderr.
        stderr: String,
    },
    /// The program failed and printed something that is no error.
    #[error("{} {command} failed ({status}) and printed {stdout:?}, which is no CNI error", program.display())]
    Garbage {
        /// Path of the program.
        program: PathBuf,
        /// The verb.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed, shortened.
        stdout: String,
    },
}

/// Runs the program to its end. Success is exit code 0.
pub fn call(call: &Call<'_>) -> Result<Output, ExecError> {
    let program = || call.program.to_owned();
    let command = || call.command.to_owned();
    let ended = child::run(call).map_err(|trouble| match trouble {
        Trouble::Start(source) => ExecError::Start {
            program: program(),
            source,
        },
        Trouble::Io(step, source) => ExecError::Io {
            step,
            program: program(),
            source,
        },
        Trouble::Deadline(deadline) => ExecError::Deadline {
            program: program(),
            command: command(),
            deadline,
        },
        Trouble::TooMuchOutput => ExecError::TooMuchOutput {
            program: program(),
            command: command(),
            limit: child::STDOUT_LIMIT,
        },
    })?;
    let Ended {
        status,
        stdout,
        stderr,
    } = ended;
    let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
    if status.success() {
        return Ok(Output { stdout, stderr });
    }
    if let Some(error) = Error::parse(&stdout) {
        return Err(ExecError::Plugin(error));
    }
    let status = status.to_string();
    if stdout.trim_ascii().is_empty() {
        return Err(ExecError::Silent {
            program: program(),
            command: command(),
            status,
            stderr,
        });
    }
    let stdout = shorten(String::from_utf8_lossy(&stdout).trim());
    Err(ExecError::Garbage {
        program: program(),
        command: command(),
        status,
        stdout,
    })
}

impl ExecError {
    /// The delegate's own code; 11 for a deadline, 7 for a bad type, 999 for the rest.
    pub fn code(&self) -> u32 {
        match self {
            Self::Plugin(error) => error.code,
            Self::Deadline { .. } | Self::TooLate { .. } => code::TRY_AGAIN_LATER,
            Self::Type(_) => code::INVALID_CONFIG,
            _ => code::INTERNAL,
        }
    }
}

impl From<ExecError> for Error {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Plugin(error) => error,
            other => Self::from_chain(other.code(), &other),
        }
    }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        "with no error message".to_owned()
    } else {
        format!("and said {stderr:?}")
    }
}

#[cfg(test)]
mod tests;
