//! One HTTP/1.1 request over a unix socket, with a deadline for all of it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::{Answer, NoAnswer};

/// Largest answer taken. A plan of a hundred networks is far below.
const LARGEST_ANSWER: u64 = 16 << 20;

/// Posts `body` to `endpoint` and reads the whole answer.
pub(super) fn post(
    path: &Path,
    endpoint: &str,
    body: &[u8],
    deadline: Instant,
) -> Result<Answer, NoAnswer> {
    let mut stream = dial(path, deadline)?;
    let head = format!(
        "POST {endpoint} HTTP/1.1\r\nHost: multus\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // One buffer, so that a daemon that answers early and closes cannot fail a second write.
    let request = [head.as_bytes(), body].concat();
    send(&mut stream, &request, deadline)?;
    answer(&receive(&mut stream, deadline)?)
}

/// Connecting blocks while the daemon's queue is full; only a send timeout set before bounds that.
fn dial(path: &Path, deadline: Instant) -> Result<UnixStream, NoAnswer> {
    let step = "connect";
    let errno = |source: nix::Error| no_answer(step, source.into());
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map_err(errno)?;
    let left = left(step, deadline)?;
    let micros = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
    setsockopt(&fd, SendTimeout, &TimeVal::microseconds(micros)).map_err(errno)?;
    let address = UnixAddr::new(path).map_err(errno)?;
    connect(fd.as_raw_fd(), &address).map_err(errno)?;
    Ok(UnixStream::from(fd))
}

fn send(stream: &mut UnixStream, mut bytes: &[u8], deadline: Instant) -> Result<(), NoAnswer> {
    let step = "send the request";
    while !bytes.is_empty() {
        let timeout = Some(left(step, deadline)?);
        stream
            .set_write_timeout(timeout)
            .map_err(|e| no_answer(step, e))?;
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(no_answer(step, e)),
        }
    }
    Ok(())
}

fn receive(stream: &mut UnixStream, deadline: Instant) -> Result<Vec<u8>, NoAnswer> {
    let step = "read the answer";
    let mut answer = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        let timeout = Some(left(step, deadline)?);
        stream
            .set_read_timeout(timeout)
            .map_err(|e| no_answer(step, e))?;
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(no_answer(step, e)),
        }
        if answer.len() as u64 > LARGEST_ANSWER {
            return Err(NoAnswer::NotHttp("it is larger than 16 MiB"));
        }
        if is_complete(&answer) {
            return Ok(answer);
        }
    }
}

/// Time to the deadline; a timeout of zero would mean none to the kernel.
fn left(step: &'static str, deadline: Instant) -> Result<Duration, NoAnswer> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < Duration::from_millis(1) {
        Err(NoAnswer::Deadline { step })
    } else {
        Ok(left)
    }
}

fn no_answer(step: &'static str, source: std::io::Error) -> NoAnswer {
    match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => NoAnswer::Deadline { step },
        _ => NoAnswer::Io { step, source },
    }
}

struct Head<'a> {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    body: &'a [u8],
}

/// The head of an answer, once it is there.
fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    let field = |name: &str| {
        text.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
    };
    Some(Head {
        status,
        length: field("content-length").and_then(|value| value.parse().ok()),
        chunked: field("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")),
        body: &bytes[end + 4..],
    })
}

fn is_complete(bytes: &[u8]) -> bool {
    head(bytes).is_some_and(|head| match head.length {
        Some(length) => head.body.len() >= length,
        None => head.chunked && unchunk(head.body).is_some(),
    })
}

fn answer(bytes: &[u8]) -> Result<Answer, NoAnswer> {
    let head = head(bytes).ok_or(NoAnswer::NotHttp("no status line"))?;
    let cut = NoAnswer::NotHttp("it ends early");
    let body = match head.length {
        Some(length) => head.body.get(..length).ok_or(cut)?.to_vec(),
        None if head.chunked => unchunk(head.body).ok_or(cut)?,
        None => head.body.to_vec(),
    };
    Ok(Answer {
        accepted: head.status == 200,
        body,
    })
}

/// The body of a chunked answer; None while it is incomplete or malformed.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end])
            .ok()?
            .split(';')
            .next()?
            .trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_length_is_read_to_that_length() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert!(is_complete(bytes));
        assert!(!is_complete(&bytes[..bytes.len() - 1]));
        let answer = answer(bytes).unwrap();
        assert!(answer.accepted);
        assert_eq!(answer.body, b"{}");
    }

    #[test]
    fn a_chunked_answer_is_put_together() {
        let bytes = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert!(is_complete(bytes));
        let answer = answer(bytes).unwrap();
        assert!(!answer.accepted);
        assert_eq!(answer.body, b"abcde");
    }

    #[test]
    fn an_answer_that_ends_early_or_is_no_http_is_refused() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            b"hello",
            b"",
        ] {
            assert!(answer(bytes).is_err());
        }
    }
}
