//! Which `:authority` a client may send over a Unix socket: any, as the kubelet's plugin watcher
//! and kubelets before 1.26 send the socket's path, which h2 by itself refuses.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};

use proto::{
    deviceplugin::{
        Empty, RegisterRequest,
        registration_server::{Registration, RegistrationServer},
    },
    uds::{Socket, serve},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::server::UdsConnectInfo};

mod http2;

use http2::{Client, Outcome, Table, header};

const PROTOCOL_ERROR: u32 = 1;

/// Accepts who says who it is, and keeps the `x-mark` headers of each call.
#[derive(Clone, Default)]
struct Accepts(Arc<Mutex<Vec<Vec<String>>>>);

#[tonic::async_trait]
impl Registration for Accepts {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        let peer = request.extensions().get::<UdsConnectInfo>();
        if peer.and_then(|peer| peer.peer_cred).is_none() {
            return Err(Status::unauthenticated("no credentials"));
        }
        let marks = request.metadata().get_all("x-mark").iter();
        let marks = marks.map(|mark| mark.to_str().unwrap().to_owned());
        self.0.lock().unwrap().push(marks.collect());
        Ok(Response::new(Empty {}))
    }
}

struct Server {
    directory: tempfile::TempDir,
    accepts: Accepts,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), proto::uds::Error>>,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let socket = Socket::bind(&directory.path().join("kubelet.sock")).unwrap();
        let accepts = Accepts::default();
        let service = RegistrationServer::new(accepts.clone());
        let task = tokio::spawn(serve(socket, service, stop.clone()));
        Self {
            directory,
            accepts,
            stop,
            task,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.directory.path().join("kubelet.sock")).await
    }

    async fn stop(self) -> Vec<Vec<String>> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        std::mem::take(&mut *self.accepts.0.lock().unwrap())
    }
}

fn block(authority: &[u8], others: &[u8]) -> Vec<u8> {
    [
        &header(":method", "POST"),
        &header(":scheme", "http"),
        &header(":path", "/v1beta1.Registration/Register"),
        authority,
        &header("content-type", "application/grpc"),
        &header("te", "trailers"),
        others,
    ]
    .concat()
}

async fn outcome_of(authority: &[u8]) -> Outcome {
    let server = Server::start();
    let outcome = server.client().await.call(&block(authority, &[])).await;
    server.stop().await;
    outcome
}

async fn outcome(authority: &str) -> Outcome {
    outcome_of(&header(":authority", authority)).await
}

#[tokio::test]
async fn authority_localhost_is_answered() {
    assert_eq!(outcome("localhost").await, Outcome::Answered);
}

#[tokio::test]
async fn an_absent_authority_is_answered() {
    assert_eq!(outcome_of(&[]).await, Outcome::Answered);
}

#[tokio::test]
async fn a_socket_path_as_authority_is_answered() {
    let path = "/var/lib/kubelet/device-plugins/x.sock";
    assert_eq!(outcome(path).await, Outcome::Answered);
}

#[tokio::test]
async fn an_escaped_socket_path_as_authority_is_answered() {
    let path = "%2Fvar%2Flib%2Fkubelet%2Fx.sock";
    assert_eq!(outcome(path).await, Outcome::Answered);
}

#[tokio::test]
async fn a_huffman_coded_socket_path_as_authority_is_answered() {
    // `:authority` by its static index, and `%2Fvar%2Flib%2Fx.sock`, as Go's encoder sends them.
    let header = b"\x41\x90\x54\x58\x7b\x8e\xc5\x45\x86\x83\x46\xa8\xb0\xf9\x5d\x07\x27\x5f";
    assert_eq!(outcome_of(header).await, Outcome::Answered);
}

#[tokio::test]
async fn an_empty_authority_is_answered() {
    assert_eq!(outcome("").await, Outcome::Answered);
    assert_eq!(outcome_of(&[0x81]).await, Outcome::Answered, "static entry");
}

/// The one bad authority that is left to h2; shows also that the client can tell a refusal.
#[tokio::test]
async fn an_empty_authority_that_enters_the_header_table_is_a_protocol_error() {
    let header = b"\x41\x00";
    assert_eq!(outcome_of(header).await, Outcome::Reset(PROTOCOL_ERROR));
}

#[tokio::test]
async fn a_socket_path_in_a_frame_with_padding_and_priority_is_answered() {
    let server = Server::start();
    let block = block(&header(":authority", "/var/lib/x.sock"), &[]);
    let outcome = server.client().await.call_padded(&block).await;
    assert_eq!(outcome, Outcome::Answered);
    server.stop().await;
}

/// Every call adds an authority and a mark to the table and names the oldest of each, which a
/// server that counts otherwise has forgotten or takes for another.
#[tokio::test]
async fn both_header_tables_stay_in_step_after_they_overflow() {
    let server = Server::start();
    let mut client = server.client().await;
    let mut table = Table::default();
    let mut sent = Vec::new();
    for call in 0..300_usize {
        let path = format!("/{}", "%2F".repeat(call % 40));
        let (authority, mark) = if call % 2 == 0 {
            let inserted = table.insert(":authority", &path[..=call % 7 % path.len()]);
            (inserted, format!("{call}{}", "-".repeat(call % 13)))
        } else {
            (table.oldest(":authority").0, format!("{call}"))
        };
        let inserted = table.insert("x-mark", &mark);
        let (reference, oldest) = table.oldest("x-mark");
        sent.push(vec![mark, oldest]);
        let block = block(&authority, &[inserted, reference].concat());
        assert_eq!(client.call(&block).await, Outcome::Answered, "{call}");
    }
    assert!(table.evicted > 300, "{}", table.evicted);
    drop(client);
    assert_eq!(server.stop().await, sent);
}
