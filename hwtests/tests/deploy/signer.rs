//! Certificates of nodes as the chart installs them, on the real API server and with the real signer: the approver's and
//! the daemons' rights are the chart's, and no more is needed.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use kube::config::AuthInfo;
use serde_json::{Value, json};

use super::{
    matrix::DIGEST,
    served::{patch, pod},
    server::{Server, openssl},
    tools::{self, of_kind, rendered},
};

/// The kubelet's certificate of a node, signed by the server's CA.
fn kubelet(server: &Server, node: &str) -> Value {
    let [key, request, certificate] =
        ["key", "csr", "crt"].map(|end| server.path(&format!("{node}.{end}")));
    let subject = format!("/O=system:nodes/CN=system:node:{node}");
    let new = [
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject,
    ];
    openssl(&[&new[..], &["-keyout", &key, "-out", &request]].concat());
    let (ca, ca_key) = (server.path("ca.crt"), server.path("ca.key"));
    // As the API server's signer does: without extensions it would be a certificate of version 1.
    let extensions = server.path("extensions");
    fs::write(
        &extensions,
        "keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n",
    )
    .unwrap();
    let sign = [
        "x509",
        "-req",
        "-days",
        "1",
        "-CAcreateserial",
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
    ];
    openssl(
        &[
            &sign[..],
            &[
                "-extfile",
                &extensions,
                "-in",
                &request,
                "-out",
                &certificate,
            ],
        ]
        .concat(),
    );
    json!({"client-certificate": certificate, "client-key": key})
}

/// The daemon's configuration as the chart writes it, but for folders of this test.
fn configuration(server: &Server, objects: &[Value], bootstrap: &str) -> String {
    let map = of_kind(objects, "ConfigMap")
        .find(|one| one["metadata"]["name"] == "multus-daemon-config")
        .unwrap();
    let text = map["data"]["daemon-config.json"].as_str().unwrap();
    let mut config: Value = serde_json::from_str(text).unwrap();
    assert_eq!(config["perNodeCertificate"]["enabled"], true);
    assert_eq!(config["perNodeCertificate"]["certDuration"], "24h");
    config["perNodeCertificate"]["bootstrapKubeconfig"] = json!(bootstrap);
    config["perNodeCertificate"]["certDir"] = json!(server.path("certs-of-n1"));
    for (key, folder) in [
        ("cniDir", "state"),
        ("cniConfigDir", "net.d"),
        ("confDir", "conf.d"),
        ("socketDir", "run"),
    ] {
        let folder = server.path(folder);
        fs::create_dir_all(&folder).unwrap();
        config[key] = json!(folder);
    }
    let primary = r#"{"cniVersion":"1.0.0","name":"p","plugins":[{"type":"bridge"}]}"#;
    fs::write(server.path("net.d/10-p.conflist"), primary).unwrap();
    let path = server.path("daemon-config.json");
    fs::write(&path, config.to_string()).unwrap();
    path
}

fn prepare(server: &Server) -> Option<Vec<Value>> {
    let crds = "deploy/kustomize/crd/network-attachment-definitions.yaml";
    server.kubectl(&["apply", "-f", crds]).unwrap();
    server.until("networks are served", || {
        server.kubectl(&["get", "net-attach-def", "-A"]).is_ok()
    });
    let certificates = "multus.certificates.enabled=true";
    let objects = rendered("1.36.0", &["--set", DIGEST, "--set", certificates])?;
    server.apply(&objects, &[]).unwrap();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "default"}});
    let node = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    server
        .apply(&[account, node("n1"), node("n2")], &[])
        .unwrap();
    let pods = [
        pod("here", "default", "n1", "default"),
        pod("elsewhere", "default", "n2", "default"),
    ];
    server.apply(&pods, &[]).unwrap();
    Some(objects)
}

#[tokio::test]
async fn a_node_gets_its_certificate_from_the_real_signer_and_may_with_it_what_the_chart_gives() {
    let Some(program) = tools::built("multus-daemon") else {
        return;
    };
    let Some(mut server) = Server::start() else {
        return;
    };
    let Some(objects) = prepare(&server) else {
        return;
    };
    server.sign();
    let token = server
        .kubectl(&["create", "token", "multus-approver", "-n", "kube-system"])
        .unwrap();
    let approver = server.kubeconfig("approver", &json!({"token": token.trim()}));
    let mut command = Command::new(&program);
    command.args(["approve-certificates", "--kubeconfig", &approver]);
    server.beside(command, "approver.log");

    let bootstrap = server.kubeconfig("bootstrap", &kubelet(&server, "n1"));
    let config = configuration(&server, &objects, &bootstrap);
    let daemon = |more: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--config", &config, "--node-name=n1"]);
        command.args(["--runtime-cache-dir", &server.path("runtime")]);
        command.args(["--pod-resources-socket", &server.path("kubelet.sock")]);
        command.args(more);
        command
    };
    let serving = daemon(&["--daemonset=kube-system/kube-multus-ds"]);
    let mut ready = daemon(&["probe", "ready"]);
    server.beside(serving, "daemon.log");
    let pair = server.path("certs-of-n1/multus-client-current.pem");
    server.until("the node has its certificate", || Path::new(&pair).exists());
    server.until("the daemon serves with it", || {
        ready.output().unwrap().status.success()
    });
    as_the_node(&server, &pair).await;
    another_nodes_name_is_denied(&server);
}

/// What the certificate lets its owner do.
async fn as_the_node(server: &Server, pair: &str) {
    let [certificate, key] = ["certificate", "key"].map(|what| format!("--client-{what}={pair}"));
    let who = [certificate.as_str(), key.as_str()];
    let as_node = |words: &[&str]| server.kubectl_as(&who, words);
    let whoami = as_node(&[
        "auth",
        "whoami",
        "-o",
        "jsonpath={.status.userInfo.username}",
    ]);
    assert_eq!(whoami.unwrap(), "system:multus:n1");
    as_node(&["get", "net-attach-def", "-A"]).unwrap();
    let client = server.client(AuthInfo {
        client_certificate: Some(pair.to_owned()),
        client_key: Some(pair.to_owned()),
        ..AuthInfo::default()
    });
    let status = json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}}});
    // A policy holds a moment after it is there.
    let end = Instant::now() + Duration::from_mins(1);
    while patch(&client, "elsewhere", &status).await.is_ok() {
        assert!(Instant::now() < end, "the policy never holds");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let other = json!({"metadata": {"annotations": {"keep": "no"}}});
    for (pod, body, says) in [
        ("elsewhere", &status, "of another node"),
        ("here", &other, "any annotation"),
    ] {
        let refused = patch(&client, pod, body).await.unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    patch(&client, "here", &status).await.unwrap();
    let secrets = as_node(&["get", "secrets", "-A"]).unwrap_err();
    assert!(secrets.contains("system:multus:n1"), "{secrets}");
}

/// The kubelet of one node asks in the name of another one's daemon.
fn another_nodes_name_is_denied(server: &Server) {
    let [key, request] = ["stolen.key", "stolen.csr"].map(|name| server.path(name));
    let subject = "/O=system:multus/CN=system:multus:n2";
    let new = [
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject,
    ];
    openssl(&[&new[..], &["-keyout", &key, "-out", &request]].concat());
    let encoded = Command::new("base64")
        .args(["-w0", &request])
        .output()
        .unwrap();
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "stolen"},
        "spec": {
            "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["digital signature", "client auth"],
            "expirationSeconds": 3600, "request": String::from_utf8(encoded.stdout).unwrap(),
        },
    });
    let path = server.path("stolen.json");
    fs::write(&path, object.to_string()).unwrap();
    let [certificate, key] = ["crt", "key"].map(|end| server.path(&format!("n1.{end}")));
    let who = [
        format!("--client-certificate={certificate}"),
        format!("--client-key={key}"),
    ];
    let who: Vec<&str> = who.iter().map(String::as_str).collect();
    server.kubectl_as(&who, &["create", "-f", &path]).unwrap();
    server.until("the request is decided", || {
        let decided = "jsonpath={.status.conditions[*].type}";
        let found = server.kubectl(&["get", "csr", "stolen", "-o", decided]);
        found.is_ok_and(|kind| kind == "Denied")
    });
}
