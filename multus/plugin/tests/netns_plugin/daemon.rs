//! A daemon that answers what the test tells it to, and remembers what it was asked.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the daemon does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status and body.
    Say(u16, Value),
    /// Takes the request and never answers.
    Hang,
    /// Answers with something that is not HTTP.
    Noise,
}

/// A listening daemon.
pub(crate) struct Daemon {
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Daemon {
    /// Listens on `socket`; every plan and every report gets these replies.
    pub(crate) fn start(socket: &Path, plan: Reply, report: Reply) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            let mut hung = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (path, body) = read(&mut stream);
                let reply = if path == "/plan" { &plan } else { &report };
                seen.lock().unwrap().push((path, body));
                match reply {
                    Reply::Hang => hung.push(stream),
                    Reply::Noise => stream.write_all(b"SSH-2.0-x\r\n").unwrap(),
                    Reply::Say(status, body) => {
                        let body = body.to_string();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                            body.len()
                        );
                        // The plugin may have given up.
                        let _ = stream.write_all((head + &body).as_bytes());
                    }
                }
            }
        });
        Self { asked }
    }

    /// Bodies of the requests to this path so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(p, _)| p == path)
            .map(|(_, body)| body.clone())
            .collect()
    }
}

fn read(stream: &mut UnixStream) -> (String, Value) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).unwrap();
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .unwrap()
            .parse()
            .unwrap();
        if body.len() == length {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            return (path, serde_json::from_str(body).unwrap());
        }
    }
}

/// A reply of success without content.
pub(crate) fn accepted() -> Reply {
    Reply::Say(200, json!({}))
}

/// A plan with these attachments for pod d/p.
pub(crate) fn plan(attachments: &[Value]) -> Reply {
    let pod = json!({"namespace": "d", "name": "p", "uid": "u-of-api"});
    Reply::Say(
        200,
        json!({"version": 1, "pod": pod, "attachments": attachments, "warnings": []}),
    )
}

/// The default network as the daemon plans it.
pub(crate) fn primary() -> Value {
    json!({"name": "cbr0", "default": true, "ifname": "eth0",
        "config": {"cniVersion": "1.0.0", "name": "cbr0", "plugins": [{"type": "primary"}]}})
}

/// A secondary network of delegate `kind` on `ifname`.
pub(crate) fn secondary(kind: &str, ifname: &str) -> Value {
    json!({"name": format!("d/{kind}"), "ifname": ifname,
        "config": {"cniVersion": "1.0.0", "name": kind, "type": kind, "capabilities": {"mac": true}},
        "capabilities": {"mac": "02:00:00:00:00:09", "ips": ["10.0.0.1/24"]}})
}
