//! Errors as one line, at the edge where they leave the program.

use std::error::Error;

/// An error and its causes, joined by `: `.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
