//! The error of the CNI protocol: a code, a message, details (spec/sriov-cni.md §6.3).
//!
//! Codes of delegates pass through unchanged; everything untyped is 999.

use serde::{Deserialize, Serialize};

use crate::version::Version;

/// Well-known error codes. From 100 on they belong to the plugin.
pub mod code {
    /// Nothing is known.
    pub const UNKNOWN: u32 = 0;
    /// The configuration's version is not supported.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field of the configuration is not supported; details name key and value.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is unknown or gone; the runtime need not call DEL.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// A required environment variable is missing or invalid.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// A stream or file could not be read or written.
    pub const IO: u32 = 5;
    /// JSON could not be decoded.
    pub const DECODE: u32 = 6;
    /// The network configuration is invalid.
    pub const INVALID_CONFIG: u32 = 7;
    /// `CNI_NETNS` is unusable.
    pub const INVALID_NETNS: u32 = 8;
    /// A passing condition: call again later.
    pub const TRY_AGAIN_LATER: u32 = 11;
    /// STATUS: the plugin cannot serve ADD.
    pub const NOT_AVAILABLE: u32 = 50;
    /// STATUS: the plugin cannot serve ADD, and existing containers may have limited connectivity.
    pub const LIMITED_CONNECTIVITY: u32 = 51;
    /// Any error without a code of its own.
    pub const INTERNAL: u32 = 999;
}

/// An error as plugin and runtime exchange it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{msg}{}{details}", if details.is_empty() { "" } else { "; " })]
pub struct Error {
    /// One of [`code`], or 100 and above.
    pub code: u32,
    /// One line: step, object, value, cause.
    pub msg: String,
    /// More words; may be empty.
    pub details: String,
}

#[derive(Serialize)]
struct Printed<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: Version,
    code: u32,
    msg: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    details: &'a str,
}

#[derive(Deserialize)]
struct Parsed {
    code: Option<u32>,
    msg: Option<String>,
    details: Option<String>,
}

impl Error {
    /// An error without details.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            details: String::new(),
        }
    }

    /// An error whose message is `error` and all its sources, joined by `: `.
    pub fn from_chain(code: u32, error: &dyn std::error::Error) -> Self {
        Self::new(code, chain(error))
    }

    /// The same error with `details`.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// The error as a plugin prints it: 4-space indented JSON with keys `cniVersion`, `code`, `msg`
    /// and, unless empty, `details`.
    pub fn to_json(&self, version: Version) -> String {
        let printed = Printed {
            cni_version: version,
            code: self.code,
            msg: &self.msg,
            details: &self.details,
        };
        crate::raw::pretty(&printed)
    }

    /// Reads the error that a plugin printed. None if the text is not a JSON object with `code` or
    /// `msg`.
    pub fn parse(stdout: &[u8]) -> Option<Self> {
        if !stdout.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let parsed: Parsed = serde_json::from_slice(stdout).ok()?;
        if parsed.code.is_none() && parsed.msg.is_none() {
            return None;
        }
        Some(Self {
            code: parsed.code.unwrap_or(code::UNKNOWN),
            msg: parsed.msg.unwrap_or_default(),
            details: parsed.details.unwrap_or_default(),
        })
    }
}

/// `error` and its sources, joined by `: `.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
