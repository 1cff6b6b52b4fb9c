//! A probe that a container without shell or curl can execute: asks the program beside it over its address.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

use super::Address;

/// Far more than an answer takes; the kubelet's own limit is one second by default.
const LIMIT: Duration = Duration::from_secs(2);
/// More than any answer of the two probes has.
const LARGEST: u64 = 64 * 1024;

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
    let answer = exchange(address, path).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = body.trim().to_owned();
    match head.split(' ').nth(1) {
        Some("200") => Ok(body),
        Some("503") => Err(ProbeError::NotReady(body.replace('\n', "; "))),
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

fn exchange(address: &Address, path: &str) -> io::Result<String> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            converse(stream, path)
        }
        Address::Unix(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            converse(stream, path)
        }
    }
}

fn converse(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(LARGEST).read_to_string(&mut answer)?;
    Ok(answer)
}
