//! A raw HTTP/2 client: no library lets one send a bad authority.

use std::{collections::VecDeque, path::Path};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// `:status: 200`, as h2 sends it.
const STATUS_200: u8 = 0x88;

/// What the server did with a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Status 200 and, after a message, trailers. gRPC answers so only when a call went well.
    Answered,
    /// Trailers alone, or another status.
    Failed,
    /// The stream was reset with this error code.
    Reset(u32),
    /// The connection was closed with this error code.
    Closed(u32),
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = integer(0, 7, text.len());
    bytes.extend(text.as_bytes());
    bytes
}

/// RFC 7541 §5.1.
fn integer(kind: u8, prefix: u32, number: usize) -> Vec<u8> {
    let full = (1 << prefix) - 1;
    if number < full {
        return vec![kind | u8::try_from(number).unwrap()];
    }
    let mut bytes = vec![kind | u8::try_from(full).unwrap()];
    let mut left = number - full;
    while left >= 128 {
        bytes.push(0x80 | u8::try_from(left % 128).unwrap());
        left /= 128;
    }
    bytes.push(u8::try_from(left).unwrap());
    bytes
}

/// A header that is neither indexed nor compressed (RFC 7541 §6.2.2).
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// The client's table of headers sent, newest first (RFC 7541 §2.3).
#[derive(Default)]
pub(crate) struct Table {
    entries: VecDeque<(String, String)>,
    pub(crate) evicted: usize,
}

impl Table {
    /// A header that enters the table (§6.2.1).
    pub(crate) fn insert(&mut self, name: &str, value: &str) -> Vec<u8> {
        self.entries.push_front((name.to_owned(), value.to_owned()));
        while self.size() > 4096 {
            self.entries.pop_back();
            self.evicted += 1;
        }
        [vec![0x40], string(name), string(value)].concat()
    }

    /// The oldest header of the name that is in the table (§6.1), and its value.
    pub(crate) fn oldest(&self, name: &str) -> (Vec<u8>, String) {
        let at = self.entries.iter().rposition(|(known, _)| known == name);
        let at = at.unwrap();
        (integer(0x80, 7, 62 + at), self.entries[at].1.clone())
    }

    fn size(&self) -> usize {
        let sizes = self.entries.iter().map(|(n, v)| n.len() + v.len() + 32);
        sizes.sum()
    }
}

/// An open connection.
pub(crate) struct Client {
    stream: UnixStream,
    next: u32,
}

impl Client {
    pub(crate) async fn connect(path: &Path) -> Self {
        let mut stream = UnixStream::connect(path).await.unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        stream.write_all(&bytes).await.unwrap();
        Self { stream, next: 1 }
    }

    /// Calls with an empty message.
    pub(crate) async fn call(&mut self, headers: &[u8]) -> Outcome {
        self.send(0, headers).await
    }

    /// As [`Self::call`], with padding and a priority in the frame.
    pub(crate) async fn call_padded(&mut self, headers: &[u8]) -> Outcome {
        let payload = [&[2, 0, 0, 0, 0, 15], headers, &[0, 0]].concat();
        self.send(PADDED | PRIORITY, &payload).await
    }

    async fn send(&mut self, flags: u8, payload: &[u8]) -> Outcome {
        let id = self.next;
        self.next += 2;
        let mut bytes = frame(HEADERS, END_HEADERS | flags, id, payload);
        // One empty message: not compressed, length 0.
        bytes.extend(frame(0, END_STREAM, id, &[0; 5]));
        self.stream.write_all(&bytes).await.unwrap();
        let mut began = false;
        loop {
            let (head, payload) = self.receive().await;
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match (head[3], head[4] & END_STREAM != 0) {
                (GOAWAY, _) => return Outcome::Closed(code(4)),
                _ if head[5..] != id.to_be_bytes() => {}
                (RST_STREAM, _) => return Outcome::Reset(code(0)),
                (HEADERS, true) if began => return Outcome::Answered,
                (HEADERS, true) => return Outcome::Failed,
                (HEADERS, false) => began = payload[0] == STATUS_200,
                _ => {}
            }
        }
    }

    async fn receive(&mut self) -> ([u8; 9], Vec<u8>) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.unwrap();
        (head, payload)
    }
}
