//! A node: folders, a kubeconfig, the daemon as a process, and the plugin's side of the socket.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use host::file::{self, Durability};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::api::Api;

pub(crate) const CBR0: &str =
    r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"bridge"},{"type":"portmap"}]}"#;
pub(crate) const MACVLAN: &str = r#"{"cniVersion":"1.0.0","type":"macvlan","master":"eth1"}"#;

/// Long enough for a busy machine; nothing waits for its end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) api: Api,
    dir: tempfile::TempDir,
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
}

/// An answer over the socket.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The answer, which must be a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.code, 200, "{}", self.text);
        self.json()
    }

    /// Message of a CNI error with this reason.
    #[track_caller]
    pub(crate) fn refused(&self, reason: &str) -> String {
        assert_ne!(self.code, 200, "{}", self.text);
        let error = self.json();
        assert_eq!(error["details"], reason, "{error}");
        error["msg"].as_str().unwrap().to_owned()
    }
}

impl Node {
    pub(crate) async fn new() -> Self {
        let node = Self {
            api: Api::start().await,
            dir: tempfile::tempdir().unwrap(),
        };
        for dir in ["net.d", "conf.d", "state", "runtime/results"] {
            file::create_dir(&node.path(dir), 0o700).unwrap();
        }
        node.write("net.d/10-cbr0.conflist", CBR0);
        node.write(
            "kubeconfig",
            &json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "k", "cluster": {"server": node.api.url}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]
            })
            .to_string(),
        );
        node.write_config(&json!({}));
        node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        file::write(
            &self.path(name),
            text.as_bytes(),
            0o600,
            Durability::Process,
        )
        .unwrap();
    }

    /// The daemon's configuration file: the folders, and `more`.
    pub(crate) fn write_config(&self, more: &Value) {
        let mut config = json!({
            "cniDir": self.path("state"), "cniConfigDir": self.path("net.d"), "confDir": self.path("conf.d")
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        self.write("daemon-config.json", &config.to_string());
    }

    /// The plugin's configuration; `more` wins.
    pub(crate) fn conf(&self, more: &Value) -> Value {
        let mut conf = json!({
            "cniVersion": "1.0.0", "name": "multus-cni-network", "type": "multus",
            "clusterNetwork": self.path("net.d/10-cbr0.conflist"),
            "cniDir": self.path("state"), "confDir": self.path("conf.d")
        });
        for (key, value) in more.as_object().unwrap() {
            conf[key] = value.clone();
        }
        conf
    }

    /// A plan request of pod `d/<name>`; the runtime hands over `networks` unless `None`.
    pub(crate) fn request(&self, name: &str, networks: Option<&str>) -> Value {
        let mut request = json!({
            "version": 1, "container_id": format!("cid-{name}"), "netns": "/run/netns/x", "ifname": "eth0",
            "pod": {"namespace": "d", "name": name, "uid": format!("uid-of-{name}")},
            "config": self.conf(&json!({}))
        });
        if let Some(networks) = networks {
            request["annotations"] = json!({"k8s.v1.cni.cncf.io/networks": networks});
        }
        request
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multus-daemon"));
        command
            .env_clear()
            .env("MULTUS_NODE_NAME", "n1")
            .arg("--config")
            .arg(self.path("daemon-config.json"))
            .arg("--socket-dir")
            .arg(self.path("run"))
            .arg("--pod-resources-socket")
            .arg(self.path("kubelet.sock"))
            .arg("--device-checkpoint")
            .arg(self.path("kubelet_internal_checkpoint"))
            .arg("--runtime-cache-dir")
            .arg(self.path("runtime"))
            .arg("--sysfs-root")
            .arg(self.path("sys"))
            .args(["--daemonset", "kube-system/multus"])
            .kill_on_drop(true);
        command
    }

    /// The daemon, serving.
    pub(crate) async fn start(&self) -> Daemon {
        let mut command = self.command();
        let child = command
            .arg("--kubeconfig")
            .arg(self.path("kubeconfig"))
            .spawn()
            .unwrap();
        let daemon = Daemon {
            child,
            socket: self.path("run/multus.sock"),
        };
        // Itself, and not one that was killed a moment ago.
        until("the daemon serves", async || {
            UnixStream::connect(&daemon.socket)
                .await
                .and_then(|stream| stream.peer_cred())
                .is_ok_and(|peer| peer.pid() == Some(daemon.pid().cast_signed()))
        })
        .await;
        daemon
    }

    /// A command that stays, with the node's kubeconfig.
    pub(crate) fn resident(&self, verb: &str, options: &[String]) -> Daemon {
        let child = self
            .command()
            .arg(verb)
            .args(options)
            .arg("--kubeconfig")
            .arg(self.path("kubeconfig"))
            .spawn()
            .unwrap();
        Daemon {
            child,
            socket: PathBuf::new(),
        }
    }

    /// Runs a one-shot command.
    pub(crate) async fn one_shot(&self, verb: &str, arguments: &[&str], input: &Value) -> Output {
        let mut child = self
            .command()
            .arg(verb)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended already.
        let _unread = stdin.write_all(input.to_string().as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }
}

impl Daemon {
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: multus\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            code: head.split(' ').nth(1).unwrap().parse().unwrap(),
            text: text.to_owned(),
        }
    }

    pub(crate) async fn plan(&self, request: &Value) -> Answer {
        self.ask("POST", "/plan", &request.to_string()).await
    }

    pub(crate) async fn report(&self, report: &Value) -> Answer {
        self.ask("POST", "/report", &report.to_string()).await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// SIGTERM, and the exit status.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.pid().cast_signed());
        kill(pid, Signal::SIGTERM).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("the daemon stops").unwrap()
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Polls until `done`.
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let result = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(result.is_ok(), "waited for: {what}");
}

/// A report of a success: eth0 of cbr0, net1 of d/a.
pub(crate) fn report(name: &str) -> Value {
    let result = |ifname: &str, address: &str| {
        json!({
            "cniVersion": "1.1.0",
            "interfaces": [{"name": ifname, "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/x"}],
            "ips": [{"address": address, "interface": 0}]
        })
    };
    json!({
        "version": 1, "pod": {"namespace": "d", "name": name, "uid": format!("uid-of-{name}")},
        "container_id": format!("cid-{name}"), "netns": "/run/netns/x",
        "attachments": [
            {"name": "cbr0", "default": true, "ifname": "eth0", "result": result("eth0", "10.1.0.5/24")},
            {"name": "d/a", "ifname": "net1", "result": result("net1", "10.2.0.5/24")}
        ]
    })
}
