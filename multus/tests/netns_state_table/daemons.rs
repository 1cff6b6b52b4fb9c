//! The daemons that the table's nodes talk to: the shipped one three times, each with another API server, and one of an
//! earlier protocol. None of them changes a node's folders; what the daemon does there is in [`crate::life`].

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::netlink::Netlink;
use host::netlink::link::LinkChange;
use serde_json::json;

use crate::api::Api as ApiServer;
use crate::axes::{Api, Daemon};

const NADS: [(&str, &str); 4] = [
    ("d/one", "one"),
    ("d/two", "two"),
    ("kube-system/one", "one"),
    ("kube-system/two", "two"),
];

/// All of them, until dropped.
#[derive(Debug)]
pub(crate) struct Daemons {
    dir: tempfile::TempDir,
    children: Vec<Child>,
    _api: tokio::runtime::Runtime,
}

impl Daemons {
    pub(crate) fn start() -> Self {
        loopback_up();
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let api = runtime.block_on(ApiServer::start());
        for (nad, kind) in NADS {
            api.nad(nad, &nad_text(kind), None);
        }
        api.pod("p", &json!({}));
        api.pod("asks", &json!({"k8s.v1.cni.cncf.io/networks": "one,two"}));
        let mut daemons = Self {
            dir,
            children: Vec::new(),
            _api: runtime,
        };
        for (name, url) in [
            ("ok", api.url.clone()),
            ("unauthorized", refusing()),
            ("down", nobody()),
        ] {
            daemons.serve(name, &url);
        }
        old_protocol(&daemons.folder("old"));
        let deadline = Instant::now() + Duration::from_secs(20);
        for name in ["ok", "unauthorized", "down"] {
            while !daemons.folder(name).join("multus.sock").exists() {
                assert!(Instant::now() < deadline, "daemon {name} serves");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        daemons
    }

    /// Folder of the socket at which this daemon answers.
    pub(crate) fn socket_folder(&self, daemon: Daemon, api: Api) -> PathBuf {
        self.folder(match (daemon, api) {
            (Daemon::Up, Api::Ok) => "ok",
            (Daemon::Up, Api::Unauthorized) => "unauthorized",
            (Daemon::Up, Api::Down) => "down",
            (Daemon::OldProtocol, _) => "old",
            (Daemon::Down, _) => "nobody",
        })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn serve(&mut self, name: &str, url: &str) {
        let dir = self.folder(name);
        let write = |below: &str, text: &str| {
            let path = dir.join(below);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("net.d/10-primary.conflist", crate::place::PRIMARY_TEXT);
        // From the time when the API server was there.
        for (nad, kind) in NADS {
            write(
                &format!("state/nads/{nad}.json"),
                &json!({"config": nad_text(kind)}).to_string(),
            );
        }
        write(
            "config.json",
            &json!({"cniDir": dir.join("state"), "cniConfigDir": dir.join("net.d")}).to_string(),
        );
        write(
            "kubeconfig",
            &json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "k", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]
            })
            .to_string(),
        );
        let child = Command::new(env!("CARGO_BIN_EXE_multus-daemon"))
            .env_clear()
            .env("MULTUS_NODE_NAME", "n1")
            .arg("--config")
            .arg(dir.join("config.json"))
            .arg("--kubeconfig")
            .arg(dir.join("kubeconfig"))
            .arg("--socket-dir")
            .arg(&dir)
            .args(["--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.children.push(child);
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

fn nad_text(kind: &str) -> String {
    json!({"cniVersion": "1.0.0", "name": kind, "type": kind}).to_string()
}

/// The namespace of these tests has nothing but a loopback.
fn loopback_up() {
    let mut netlink = Netlink::open().unwrap();
    let loopback = netlink.link_by_name("lo").unwrap().unwrap();
    let up = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    netlink.change_link(loopback.index, &up).unwrap();
}

/// An API server that knows nobody any more.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _request = stream.read(&mut [0; 8192]);
                let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}"#;
                let _gone = write!(
                    stream,
                    "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    url
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A daemon of before this protocol: whatever it is asked, it answers in version 0.
fn old_protocol(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    let listener = UnixListener::bind(dir.join("multus.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _request = stream.read(&mut [0; 8192]);
                let plan = json!({"version": 0, "pod": {"namespace": "d", "name": "p"}, "attachments": []}).to_string();
                let _gone = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{plan}",
                    plan.len()
                );
            });
        }
    });
}
