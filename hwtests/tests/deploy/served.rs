//! The real API server, where `KUBEBUILDER_ASSETS` names a folder with it: it takes every object under strict
//! validation, and the status policy lets a node's daemon write what it must and nothing else.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    matrix::{DIGEST, SWITCHES},
    tools::{self, rendered},
};

/// etcd and kube-apiserver; they end with the value.
struct Server {
    dir: tempfile::TempDir,
    kubectl: PathBuf,
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
    fn start() -> Option<Self> {
        let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
            eprintln!(
                "skipped: KUBEBUILDER_ASSETS names no folder with kube-apiserver, etcd and kubectl"
            );
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let [etcd, peer, port] = [free_port(), free_port(), free_port()];
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
                    "--authorization-mode=RBAC".to_owned(),
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

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(100);
        while !holds() {
            assert!(
                Instant::now() < end,
                "{what}: not in 100 s\n{}",
                tail(&self.dir.path().join("kube-apiserver.log"))
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn kubectl(&self, words: &[&str]) -> Result<String, String> {
        let server = format!("--server={}", self.url);
        let mut all = vec![
            server.as_str(),
            "--insecure-skip-tls-verify",
            "--token=admin-token",
            "--kubeconfig=/dev/null",
        ];
        all.extend(words);
        tools::run(&self.kubectl, &all)
    }

    fn apply(&self, objects: &[Value], more: &[&str]) -> Result<String, String> {
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

    /// A client with another token.
    fn client(&self, token: &str) -> Client {
        let mut config = Config::new(self.url.parse().unwrap());
        config.accept_invalid_certs = true;
        config.root_cert = Some(Vec::new());
        config.auth_info.token = Some(token.to_owned().into());
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

fn openssl(args: &[&str]) {
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

fn pod(name: &str, namespace: &str, node: &str, account: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"keep": "me"}},
        "spec": {"nodeName": node, "serviceAccountName": account, "containers": [{"name": "c", "image": "x"}]},
    })
}

#[tokio::test]
async fn the_real_api_server_takes_every_object_and_the_policy_holds() {
    let Some(server) = Server::start() else {
        return;
    };
    let crds = "deploy/kustomize/crd/network-attachment-definitions.yaml";
    server.kubectl(&["apply", "-f", crds]).unwrap();
    server.until("networks are served", || {
        server.kubectl(&["get", "net-attach-def", "-A"]).is_ok()
    });
    for (switch, options) in SWITCHES {
        let mut all = vec!["--set", DIGEST];
        all.extend(options);
        let Some(mut objects) = rendered("1.36.0", &all) else {
            break;
        };
        // Kinds of other operators.
        objects.retain(|one| {
            !one["apiVersion"]
                .as_str()
                .is_some_and(|group| group.contains("coreos.com"))
        });
        // A dry run makes no namespace.
        if switch != "placed" {
            let taken = server.apply(&objects, &["--dry-run=server"]);
            assert!(taken.is_ok(), "{switch}: {taken:?}");
        }
    }
    for folder in ["base", "status-policy"] {
        server
            .kubectl(&["apply", "-k", &format!("deploy/kustomize/{folder}")])
            .unwrap();
    }
    policy(&server).await;
    // Everything goes but networks and their definition.
    let network = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "a", "namespace": "default"}, "spec": {"config": "{}"}});
    server.apply(&[network], &[]).unwrap();
    for folder in ["status-policy", "base"] {
        server
            .kubectl(&[
                "delete",
                "--wait=false",
                "-k",
                &format!("deploy/kustomize/{folder}"),
            ])
            .unwrap();
    }
    server.kubectl(&["get", "net-attach-def", "a"]).unwrap();
    let left = server
        .kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"])
        .unwrap();
    assert!(!left.contains("ferrovia"), "{left}");
}

async fn policy(server: &Server) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "default"}});
    server.apply(&[account], &[]).unwrap();
    let nodes = ["n1", "n2"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
    server.apply(&nodes, &[]).unwrap();
    let pods = [
        pod("here", "default", "n1", "default"),
        pod("elsewhere", "default", "n2", "default"),
        pod("multus-x", "kube-system", "n1", "multus"),
    ];
    server.apply(&pods, &[]).unwrap();
    let bound = [
        "create",
        "token",
        "multus",
        "-n",
        "kube-system",
        "--bound-object-kind",
        "Pod",
        "--bound-object-name",
        "multus-x",
    ];
    let token = server.kubectl(&bound).unwrap();
    let daemon = server.client(token.trim());
    let unbound = server.kubectl(&bound[..5]).unwrap();
    let unbound = server.client(unbound.trim());

    let status = json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}}});
    let patch = async |client: &Client, name: &str, body: &Value| {
        let api: Api<Pod> = Api::namespaced(client.clone(), "default");
        let patched = api
            .patch_status(name, &PatchParams::default(), &Patch::Merge(body))
            .await;
        patched.map(drop).map_err(|error| error.to_string())
    };
    // A policy holds a moment after it is there.
    let end = Instant::now() + Duration::from_mins(1);
    while patch(&daemon, "elsewhere", &status).await.is_ok() {
        assert!(Instant::now() < end, "the policy never holds");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    patch(&daemon, "here", &status).await.unwrap();
    let refused = [
        (&daemon, "elsewhere", status.clone(), "of another node"),
        (
            &daemon,
            "here",
            json!({"status": {"phase": "Failed"}}),
            "may not write a pod's status",
        ),
        (
            &daemon,
            "here",
            json!({"metadata": {"annotations": {"keep": "no"}}}),
            "any annotation",
        ),
        (
            &daemon,
            "here",
            json!({"metadata": {"annotations": {"keep": null}}}),
            "any annotation",
        ),
        (
            &daemon,
            "here",
            json!({"metadata": {"annotations": {"more": "x"}}}),
            "any annotation",
        ),
        (
            &daemon,
            "here",
            json!({"metadata": {"labels": {"more": "x"}}}),
            "labels",
        ),
        (&unbound, "here", status, "of another node"),
    ];
    for (client, name, body, says) in refused {
        let Err(error) = patch(client, name, &body).await else {
            panic!("{body} of {name} is written");
        };
        assert!(error.contains(says), "{body}: {error}");
    }
    patch(
        &daemon,
        "here",
        &json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": null}}}),
    )
    .await
    .unwrap();
}
