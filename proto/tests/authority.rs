//! Which `:authority` a client may send over a Unix socket (spec/rust.md §2).
//!
//! Kubelets before 1.26 send the socket's path and are refused by h2; the floor of 1.26 rests on
//! these rows. A raw HTTP/2 client is used because no library lets one send a bad authority.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use proto::{
    deviceplugin::{
        Empty, RegisterRequest,
        registration_server::{Registration, RegistrationServer},
    },
    uds::{Socket, serve},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

struct Accepts;

#[tonic::async_trait]
impl Registration for Accepts {
    async fn register(&self, _: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }
}

const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PROTOCOL_ERROR: u32 = 1;

/// What the server did with stream 1.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Trailers ended the stream after headers had begun it.
    Answered,
    /// The stream was reset with this error code.
    Reset(u32),
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header that is neither indexed nor compressed (RFC 7541 §6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    }
    bytes
}

async fn call_with_authority(path: &Path, authority: Option<&str>) -> Outcome {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let mut headers = [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", "/v1beta1.Registration/Register"),
    ]
    .concat();
    if let Some(authority) = authority {
        headers.extend(header(":authority", authority));
    }
    headers.extend(header("content-type", "application/grpc"));
    headers.extend(header("te", "trailers"));
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &headers));
    // One empty message: not compressed, length 0.
    bytes.extend(frame(0, END_STREAM, 1, &[0; 5]));
    stream.write_all(&bytes).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        match (head[3], head[4]) {
            (RST_STREAM, _) => {
                return Outcome::Reset(u32::from_be_bytes(payload.try_into().unwrap()));
            }
            (HEADERS, flags) if flags & END_STREAM != 0 => return Outcome::Answered,
            _ => {}
        }
    }
}

async fn outcome(authority: Option<&str>) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubelet.sock");
    let stop = CancellationToken::new();
    let socket = Socket::bind(&path).unwrap();
    let server = tokio::spawn(serve(
        socket,
        RegistrationServer::new(Accepts),
        stop.clone(),
    ));
    let outcome = call_with_authority(&path, authority).await;
    stop.cancel();
    server.await.unwrap().unwrap();
    outcome
}

#[tokio::test]
async fn authority_localhost_is_answered() {
    assert_eq!(outcome(Some("localhost")).await, Outcome::Answered);
}

#[tokio::test]
async fn an_absent_authority_is_answered() {
    assert_eq!(outcome(None).await, Outcome::Answered);
}

#[tokio::test]
async fn a_socket_path_as_authority_is_a_protocol_error() {
    let path = "/var/lib/kubelet/device-plugins/x.sock";
    assert_eq!(outcome(Some(path)).await, Outcome::Reset(PROTOCOL_ERROR));
}

#[tokio::test]
async fn an_escaped_socket_path_as_authority_is_a_protocol_error() {
    let path = "%2Fvar%2Flib%2Fkubelet%2Fx.sock";
    assert_eq!(outcome(Some(path)).await, Outcome::Reset(PROTOCOL_ERROR));
}

#[tokio::test]
async fn an_empty_authority_is_a_protocol_error() {
    assert_eq!(outcome(Some("")).await, Outcome::Reset(PROTOCOL_ERROR));
}
