//! The real API server, where `KUBEBUILDER_ASSETS` names a folder with it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kube::{Client, Config, config::AuthInfo};
use serde_json::{Value, json};

use super::tools;

/// etcd and kube-apiserver; they end with the value.
pub(super) struct Server {
    dir: tempfile::TempDir,
    kubectl: PathBuf,
    assets: PathBuf,
    url: String,
    running: Vec<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.running.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    pub(super) fn start() -> Option<Self> {
        let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
            eprintln!(
                "skipped: KUBEBUILDER_ASSETS names no folder with kube-apiserver, etcd and kubectl"
            );
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let [etcd, peer, port] = [free_port(), free_port(), free_port()];
        authority(&dir);
        let key = path("sa.key");
        openssl(&["genrsa", "-out", &key, "2048"]);
        openssl(&["rsa", "-in", &key, "-pubout", "-out", &path("sa.pub")]);
        fs::write(
            path("tokens.csv"),
            "admin-token,admin,admin-uid,\"system:masters\"\n",
        )
        .unwrap();
        let etcd = format!("http://127.0.0.1:{etcd}");
        let running = vec![
            spawn(
                &assets,
                "etcd",
                &dir,
                &[
                    format!("--data-dir={}", path("etcd")),
                    format!("--listen-client-urls={etcd}"),
                    format!("--advertise-client-urls={etcd}"),
                    format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                    "--unsafe-no-fsync".to_owned(),
                ],
            ),
            spawn(
                &assets,
                "kube-apiserver",
                &dir,
                &[
                    format!("--etcd-servers={etcd}"),
                    "--bind-address=127.0.0.1".to_owned(),
                    "--advertise-address=10.99.0.1".to_owned(),
                    format!("--secure-port={port}"),
                    format!("--cert-dir={}", path("certs")),
                    format!("--token-auth-file={}", path("tokens.csv")),
                    format!("--client-ca-file={}", path("ca.crt")),
                    "--authorization-mode=Node,RBAC".to_owned(),
                    "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
                    "--endpoint-reconciler-type=none".to_owned(),
                    "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                    format!("--service-account-key-file={}", path("sa.pub")),
                    format!("--service-account-signing-key-file={key}"),
                ],
            ),
        ];
        let server = Self {
            kubectl: assets.join("kubectl"),
            assets,
            url: format!("https://127.0.0.1:{port}"),
            dir,
            running,
        };
        server.until("the API server is ready", || {
            server.kubectl(&["get", "--raw", "/readyz"]).is_ok()
        });
        server.until("its namespaces are there", || {
            server
                .kubectl(&["get", "namespace", "default", "kube-system"])
                .is_ok()
        });
        Some(server)
    }

    pub(super) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(100);
        while !holds() {
            assert!(
                Instant::now() < end,
                "{what}: not in 100 s\n{}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub(super) fn kubectl(&self, words: &[&str]) -> Result<String, String> {
        self.kubectl_as(&["--token=admin-token"], words)
    }

    /// As who these options say.
    pub(super) fn kubectl_as(&self, who: &[&str], words: &[&str]) -> Result<String, String> {
        let server = format!("--server={}", self.url);
        let mut all = vec![
            server.as_str(),
            "--insecure-skip-tls-verify",
            "--kubeconfig=/dev/null",
        ];
        all.extend(who);
        all.extend(words);
        tools::run(&self.kubectl, &all)
    }

    /// A file of this server's folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// A kubeconfig for it with the credentials of one user; its path.
    pub(super) fn kubeconfig(&self, name: &str, user: &Value) -> String {
        let path = self.path(name);
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": self.url, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        });
        fs::write(&path, content.to_string()).unwrap();
        path
    }

    /// Signs what is approved, as the controller manager of a cluster does.
    pub(super) fn sign(&mut self) {
        let kubeconfig = self.kubeconfig("signer", &json!({"token": "admin-token"}));
        let signer = spawn(
            &self.assets,
            "kube-controller-manager",
            &self.dir,
            &[
                format!("--kubeconfig={kubeconfig}"),
                "--controllers=certificatesigningrequest-signing-controller".to_owned(),
                format!("--cluster-signing-cert-file={}", self.path("ca.crt")),
                format!("--cluster-signing-key-file={}", self.path("ca.key")),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
            ],
        );
        self.running.push(signer);
    }

    fn logs(&self) -> String {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let logs = entries.map(|entry| entry.unwrap().path());
        logs.filter(|path| path.extension().is_some_and(|end| end == "log"))
            .map(|path| format!("{}:\n{}", path.display(), tail(&path)))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A program that ends with the server.
    pub(super) fn beside(&mut self, mut command: Command, log: &str) {
        let log = fs::File::create(self.path(log)).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.running.push(child);
    }

    pub(super) fn apply(&self, objects: &[Value], more: &[&str]) -> Result<String, String> {
        let path = self.dir.path().join("objects.json");
        fs::write(
            &path,
            json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string(),
        )
        .unwrap();
        let mut words = vec![
            "apply",
            "--server-side",
            "--validate=strict",
            "--force-conflicts",
            "-f",
        ];
        let path = path.to_string_lossy().into_owned();
        words.push(&path);
        words.extend(more);
        self.kubectl(&words)
    }

    /// A client with other credentials.
    pub(super) fn client(&self, credentials: AuthInfo) -> Client {
        let mut config = Config::new(self.url.parse().unwrap());
        config.accept_invalid_certs = true;
        config.root_cert = Some(Vec::new());
        config.auth_info = credentials;
        Client::try_from(config).unwrap()
    }
}

fn spawn(assets: &Path, name: &str, dir: &tempfile::TempDir, args: &[String]) -> Child {
    let log = fs::File::create(dir.path().join(format!("{name}.log"))).unwrap();
    Command::new(assets.join(name))
        .args(args)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A CA whose certificates the server knows its clients by.
fn authority(dir: &tempfile::TempDir) {
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (key, certificate) = (path("ca.key"), path("ca.crt"));
    let args = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca",
    ];
    openssl(&[&args[..], &["-keyout", &key, "-out", &certificate]].concat());
}

pub(super) fn openssl(args: &[&str]) {
    let status = Command::new("openssl")
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "openssl {args:?}");
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
