//! Asking for one page, without a runtime: a probe is a program of its own that the kubelet starts every few seconds.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

use super::Address;

/// Far more than an answer takes; the kubelet's own limit is one second by default.
const LIMIT: Duration = Duration::from_secs(2);
/// More than the answer to a probe has.
const LARGEST: u64 = 64 * 1024;

/// Status and body, of which 64 KiB are read.
///
/// # Errors
/// When nobody answers within two seconds, or not over HTTP.
pub fn get(address: &Address, path: &str) -> io::Result<(u16, String)> {
    let answer = match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            converse(stream, path)?
        }
        Address::Unix(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            converse(stream, path)?
        }
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.strip_prefix("HTTP/1.1 ").unwrap_or_default();
    let status = status.split(' ').next().and_then(|code| code.parse().ok());
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "this is no answer over HTTP");
    Ok((status.ok_or_else(no_http)?, body.trim().to_owned()))
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
