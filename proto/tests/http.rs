//! Pages over TCP and over a unix socket, as a probe asks for them.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests fail as the tests do"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixListener,
    path::Path,
    thread,
};

use proto::http::{self, Address, StatusCode, client};

/// A port that nobody listens on now.
fn port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Serves two pages until the end of the test.
fn served(address: &Address) {
    let address = address.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(http::serve(&address, |path| async move {
            match path.as_str() {
                "/good" => http::text(StatusCode::OK, "ok"),
                "/bad" => http::text(StatusCode::SERVICE_UNAVAILABLE, "first\nsecond"),
                _ => http::text(StatusCode::NOT_FOUND, "/good, /bad"),
            }
        }));
    });
}

/// The page, once somebody listens.
fn page(address: &Address, path: &str) -> (u16, String) {
    loop {
        match client::get(address, path) {
            Ok(page) => return page,
            Err(_) => thread::yield_now(),
        }
    }
}

#[test]
fn pages_are_served_over_tcp_and_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    for address in [
        Address::Tcp(port()),
        Address::Unix(dir.path().join("http.sock")),
    ] {
        served(&address);
        assert_eq!(page(&address, "/good"), (200, "ok".to_owned()));
        assert_eq!(page(&address, "/bad"), (503, "first\nsecond".to_owned()));
        assert_eq!(page(&address, "/other").0, 404);
    }
}

#[test]
fn a_page_is_only_read() {
    let listening = port();
    served(&Address::Tcp(listening));
    page(&Address::Tcp(listening), "/good");
    let mut stream = TcpStream::connect(listening).unwrap();
    let body = "POST /good HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: GET\r\n"), "{answer}");
}

#[test]
fn an_address_that_is_taken_is_served_when_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(taken.local_addr().unwrap());
    served(&address);
    drop(taken);
    assert_eq!(page(&address, "/good").0, 200);
}

#[test]
fn who_does_not_speak_http_or_is_not_there_is_told_apart_from_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sock");
    let nobody = Address::Unix(path.clone());
    let error = client::get(&nobody, "/").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let other = answering(&path, "SSH-2.0-x\r\n\r\n");
    let error = client::get(&nobody, "/").unwrap_err();
    assert_eq!(error.to_string(), "this is no answer over HTTP");
    other.join().unwrap();
}

/// Gives one answer to whatever is asked.
fn answering(path: &Path, answer: &'static str) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut chunk) = (String::new(), [0; 256]);
        // All of it: closing before that would break the pipe of who asks.
        while !asked.ends_with("\r\n\r\n") {
            let length = stream.read(&mut chunk).unwrap();
            assert_ne!(length, 0, "the question ends early");
            asked += &String::from_utf8_lossy(&chunk[..length]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
    })
}
