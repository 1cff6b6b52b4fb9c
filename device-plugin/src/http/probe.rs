//! A probe that a container without shell or curl can execute: asks the program beside it over its address.

use std::io;

use proto::http::client;

use super::Address;

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether the program lives.
    Live,
    /// Whether it does its job.
    Ready,
}

/// The answer's text, if it is good.
pub fn ask(address: &Address, question: Question) -> Result<String, ProbeError> {
    let path = match question {
        Question::Live => "/healthz",
        Question::Ready => "/readyz",
    };
    let failed = |source| ProbeError::NoAnswer {
        address: address.to_string(),
        source,
    };
    let (status, body) = client::get(address, path).map_err(failed)?;
    match status {
        200 => Ok(body),
        503 => Err(ProbeError::NotReady(body.replace('\n', "; "))),
        _ => Err(failed(io::Error::other("this is no answer of sriovdp"))),
    }
}

/// Why a probe fails.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("ask {address}")]
    NoAnswer {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It says why not.
    #[error("not ready: {0}")]
    NotReady(String),
}
