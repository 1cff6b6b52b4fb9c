//! Commands of the node, run to their end.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Runs a command and returns its standard output.
///
/// # Errors
/// When it cannot be started or ends with another code than 0: the command line and its standard error.
pub fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args);
    let output = command.output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `ip -json` with words separated by blanks and returns its answer.
///
/// # Errors
/// As [`run`], and when the answer is not JSON.
pub fn ip_json(words: &str) -> Result<Value> {
    let text = run("ip", ["-json"].into_iter().chain(words.split(' ')))?;
    if text.trim().is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    serde_json::from_str(&text).with_context(|| format!("read the JSON of ip -json {words}"))
}

/// Runs `ip` with words separated by blanks.
///
/// # Errors
/// As [`run`].
pub fn ip(words: &str) -> Result<String> {
    run("ip", words.split(' '))
}
