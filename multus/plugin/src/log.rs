//! What a person should know and no caller can be told: lines on stderr.

use std::io::Write;

/// Where warnings go.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    to_stderr: bool,
}

impl Log {
    /// `to_stderr`: the configuration's `logToStderr`, which is on unless it says otherwise.
    pub const fn new(to_stderr: bool) -> Self {
        Self { to_stderr }
    }

    /// Something is wrong, and the command goes on.
    pub fn warn(self, text: &str) {
        if self.to_stderr {
            // Nobody is left to be told that stderr is closed.
            let _ = writeln!(std::io::stderr(), "multus: warning: {text}");
        }
    }
}
