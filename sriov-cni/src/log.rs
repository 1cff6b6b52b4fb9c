//! Log lines in upstream's format (spec/sriov-cni.md §1.3), to stderr or to a file below an allow-listed directory.
//!
//! `logFile` comes from a namespaced object and is opened by root on the host, hence the list. A log that cannot be
//! written never fails a call.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cni::plugin::Invocation;
use host::{clock, log_file};

/// Level of a line; lines above the configured level are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The process cannot go on.
    Panic,
    /// What was asked failed.
    Error,
    /// Done, but not as wished.
    Warning,
    /// State changes.
    Info,
    /// Decisions.
    Debug,
}

/// Where lines go and what they carry.
#[derive(Debug)]
pub struct Log {
    level: Level,
    file: Option<File>,
    labels: String,
    clock: fn() -> SystemTime,
}

impl Log {
    /// A log for one call. A file that may not or cannot be written is reported on stderr, where lines then go.
    pub fn new(
        call: &Invocation,
        level: Option<&str>,
        file: Option<&str>,
        directories: &[PathBuf],
        clock: fn() -> SystemTime,
    ) -> Self {
        let mut log = Self {
            level: level.map_or(Level::Info, Level::parse),
            file: None,
            labels: labels(call),
            clock,
        };
        match file
            .map(|file| log_file::append(&log_file::resolve(Path::new(file), directories)?))
            .transpose()
        {
            Ok(file) => log.file = file,
            Err(refused) => log.warning(&cni::error::chain(&refused)),
        }
        log
    }

    /// What was asked failed.
    pub fn error(&self, message: &str) {
        self.line(Level::Error, message);
    }

    /// Done, but not as wished.
    pub fn warning(&self, message: &str) {
        self.line(Level::Warning, message);
    }

    /// State changes.
    pub fn info(&self, message: &str) {
        self.line(Level::Info, message);
    }

    /// Decisions.
    pub fn debug(&self, message: &str) {
        self.line(Level::Debug, message);
    }

    fn line(&self, level: Level, message: &str) {
        if level > self.level {
            return;
        }
        let line = format_line((self.clock)(), level, message, &self.labels);
        // Nothing can be done about a log that cannot be written.
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

impl Level {
    /// Unknown words mean info, as upstream has it.
    fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "panic" => Self::Panic,
            "error" => Self::Error,
            "warning" => Self::Warning,
            "debug" => Self::Debug,
            _ => Self::Info,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

fn format_line(time: SystemTime, level: Level, message: &str, labels: &str) -> String {
    format!(
        "time={} level={} msg={} {labels}\n",
        quote(&clock::rfc3339_nano(time)),
        quote(level.as_str()),
        quote(message),
    )
}

fn labels(call: &Invocation) -> String {
    let mut labels = r#"cniName="sriov-cni""#.to_owned();
    for (label, value) in [
        ("containerID", &call.container_id),
        ("netns", &call.netns),
        ("ifname", &call.ifname),
    ] {
        if !value.is_empty() {
            let _ = write!(labels, " {label}={}", quote(value));
        }
    }
    labels
}

/// In quotes, with quotes, backslashes and control characters escaped, so that a line is one event.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
