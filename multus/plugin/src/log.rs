//! What a person should know and no caller can be told: lines on stderr and in `logFile`, by the keys of Go multus
//! (spec/multus.md §1.1): `logFile`, `logLevel`, `logOptions`, `logToStderr`. A line is its time, its level in brackets,
//! and text. A log that cannot be written never fails a call.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use host::clock;

use crate::config::NetConf;

mod file;
pub mod rotation;

use file::LogFile;
use rotation::Limits;

/// Which lines are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None: what makes a plugin panic is an error of the call.
    Panic,
    /// Something is wrong.
    Error,
    /// What was done.
    Verbose,
    /// How.
    Debug,
}

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    level: Level,
    /// The configuration says how much is to be told; otherwise a refusal, which the caller is told, is not told twice.
    asked: bool,
    to_stderr: bool,
    file: Option<LogFile>,
    now: SystemTime,
}

impl Log {
    /// `directories`: where a log file may be. `now`: seconds since 1970.
    pub fn new(conf: &NetConf, directories: &[PathBuf], now: u64) -> Self {
        let level = Level::parse(&conf.log_level);
        let mut log = Self {
            level: level.unwrap_or(Level::Error),
            asked: !conf.log_level.is_empty() || !conf.log_file.is_empty(),
            to_stderr: conf.log_to_stderr.unwrap_or(true),
            file: None,
            now: UNIX_EPOCH + Duration::from_secs(now),
        };
        let mut complaints = Vec::new();
        if level.is_none() && !conf.log_level.is_empty() {
            let word = &conf.log_level;
            complaints.push(format!(
                "logLevel \"{word}\" is none of panic, error, verbose, debug: errors are logged"
            ));
        }
        let limits = conf.log_options.as_deref().map_or_else(
            || Ok(Limits::default()),
            |raw| serde_json::from_slice(raw.get().as_bytes()),
        );
        let limits = limits.unwrap_or_else(|error| {
            complaints.push(format!("logOptions are passed over: {error}"));
            Limits::default()
        });
        if log.level > Level::Panic && !conf.log_file.is_empty() {
            match LogFile::open(Path::new(&conf.log_file), directories, &limits, log.now) {
                Ok(file) => log.file = Some(file),
                Err(refused) => {
                    // Lines shall not get lost with the file.
                    log.to_stderr = true;
                    complaints.push(cni::error::chain(&refused));
                }
            }
        }
        for complaint in complaints {
            log.warn(&complaint);
        }
        log
    }

    /// The call failed.
    pub fn failed(&self, text: &str) {
        if self.asked {
            self.line(Level::Error, "error", text);
        }
    }

    /// Something is wrong, and the command goes on.
    pub fn warn(&self, text: &str) {
        self.line(Level::Error, "warning", text);
    }

    /// Something was done.
    pub fn verbose(&self, text: impl FnOnce() -> String) {
        if self.level >= Level::Verbose {
            self.line(Level::Verbose, "verbose", &text());
        }
    }

    /// Something was decided.
    pub fn debug(&self, text: impl FnOnce() -> String) {
        if self.level >= Level::Debug {
            self.line(Level::Debug, "debug", &text());
        }
    }

    fn line(&self, level: Level, word: &str, text: &str) {
        if level > self.level {
            return;
        }
        // One line is one event, whatever a delegate put into its message.
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let time = clock::rfc3339_nano(self.now);
        let line = format!("{time} [{word}] {text}\n");
        if self.to_stderr {
            // Nobody is left to be told that stderr is closed.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        if let Some(file) = &self.file {
            file.append(&line);
        }
    }
}

impl Level {
    /// A word of Go multus, in any case; `None` if it is none, or empty.
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "panic" => Self::Panic,
            "error" => Self::Error,
            "verbose" => Self::Verbose,
            "debug" => Self::Debug,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
