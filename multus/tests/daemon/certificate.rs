//! Row 56: the certificate that each node has of its own.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::api::State;
use super::node::{Node, report, until};
use super::tls::Authority;

/// What the API server shows of a request, once the daemon has made it.
async fn asked(node: &Node) -> Value {
    node.api
        .until("a certificate is asked for", |state| {
            state
                .calls
                .iter()
                .any(|call| call.starts_with("POST") && call.contains(REQUESTS))
        })
        .await;
    node.api.only(REQUESTS)
}

const REQUESTS: &str = "certificatesigningrequests";

fn issued(pem: &str) -> String {
    let ca = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), ca);
    let asked = rcgen::CertificateSigningRequestParams::from_pem(pem).unwrap();
    asked.signed_by(&issuer).unwrap().pem()
}

fn encode(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn decode(text: &Value) -> String {
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        text.as_str().unwrap(),
    );
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn row_56_a_node_asks_for_its_certificate_stores_it_and_asks_no_second_time() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let config = json!({"perNodeCertificate": {
        "enabled": true, "bootstrapKubeconfig": node.path("kubeconfig"),
        "certDir": node.path("certs"), "certDuration": "2h"
    }});
    node.write_config(&config);
    let daemon = node.start().await;
    let mut request = asked(&node).await;
    let spec = &request["spec"];
    assert_eq!(spec["signerName"], "kubernetes.io/kube-apiserver-client");
    assert_eq!(spec["usages"], json!(["digital signature", "client auth"]));
    assert_eq!(spec["expirationSeconds"], 7200);
    // Meanwhile the bootstrap kubeconfig's rights serve.
    daemon.report(&report("p")).await.ok();
    node.api.until_status("p").await;
    let certificate = issued(&decode(&spec["request"]));
    request["status"] = json!({
        "conditions": [{"type": "Approved", "status": "True"}],
        "certificate": encode(certificate.as_bytes())
    });
    node.api.put(REQUESTS, request);
    let pair = node.path("certs/multus-client-current.pem");
    until("the certificate is stored", async || pair.exists()).await;
    let text = host::file::read_text(&pair).unwrap().unwrap();
    assert!(
        text.starts_with(&certificate) && text.contains("PRIVATE KEY"),
        "{text}"
    );
    let mode = std::fs::metadata(&pair).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    until("its end is told", async || {
        let page = daemon.ask("GET", "/metrics", "").await.text;
        page.contains("multus_certificate_expiration_timestamp_seconds ")
    })
    .await;
    assert!(daemon.stop().await.success());
    let daemon = node.start().await;
    node.api.pod("q", &json!({}));
    daemon.report(&report("q")).await.ok();
    node.api.until_status("q").await;
    let state = node.api.state();
    let asked = state
        .calls
        .iter()
        .filter(|call| call.starts_with("POST") && call.contains(REQUESTS));
    assert_eq!(asked.count(), 1, "{:#?}", state.calls);
}

#[tokio::test]
async fn row_56_the_approver_approves_a_node_and_denies_whoever_takes_its_name() {
    let node = Node::new().await;
    let pem = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let subject = &mut params.distinguished_name;
        subject.push(rcgen::DnType::OrganizationName, "system:multus");
        subject.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap()
    };
    for (name, user) in [("good", "system:node:n1"), ("bad", "system:node:n2")] {
        node.api.put(
            REQUESTS,
            json!({
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                "metadata": {"name": name},
                "spec": {
                    "request": encode(pem("system:multus:n1").as_bytes()),
                    "signerName": "kubernetes.io/kube-apiserver-client",
                    "usages": ["client auth", "digital signature"], "expirationSeconds": 600,
                    "username": user, "groups": ["system:nodes", "system:authenticated"]
                }
            }),
        );
    }
    let approver = node.resident("approve-certificates", &[]);
    for (name, kind) in [("good", "Approved"), ("bad", "Denied")] {
        node.api
            .until(&format!("{name} is {kind}"), |state| {
                state.object(REQUESTS, "", name)["status"]["conditions"][0]["type"] == kind
            })
            .await;
    }
    node.api.until_event("CSRApproved").await;
    let text = node.api.until_event("CSRDenied").await;
    assert!(text.contains("system:multus:n2"), "{text}");
    drop(approver);
}

/// Requests for certificates that nobody has answered.
fn unanswered(state: &State) -> Vec<Value> {
    let all = state.all(REQUESTS);
    all.into_iter()
        .filter(|request| request["status"].is_null())
        .collect()
}

/// Answers the request that waits, with a certificate of that serial number and of these hours from now.
async fn issue(node: &Node, authority: &Authority, serial: u64, hours: std::ops::Range<i32>) {
    node.api
        .until("a certificate is asked for", |state| {
            !unanswered(state).is_empty()
        })
        .await;
    let mut request = unanswered(&node.api.state()).remove(0);
    let asked = decode(&request["spec"]["request"]);
    let certificate = authority.issue(&asked, serial, hours);
    request["status"] = json!({
        "conditions": [{"type": "Approved", "status": "True"}],
        "certificate": encode(certificate.as_bytes())
    });
    node.api.put(REQUESTS, request);
}

#[tokio::test]
async fn row_56_the_nodes_certificate_is_presented_over_tls_asks_for_its_successor_and_gives_way_to_it()
 {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let authority = Authority::new();
    let server = authority.front(&node.api).await;
    node.write(
        "kubeconfig",
        &json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {
                "server": server, "certificate-authority-data": encode(authority.pem().as_bytes())
            }}],
            "users": [{"name": "u", "user": {"token": "bootstrap"}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]
        })
        .to_string(),
    );
    node.write_config(&json!({"perNodeCertificate": {
        "enabled": true, "bootstrapKubeconfig": node.path("kubeconfig"), "certDir": node.path("certs")
    }}));
    let daemon = node.start().await;
    // One that has had most of its life.
    issue(&node, &authority, 1, -20..1).await;
    let pair = node.path("certs/multus-client-current.pem");
    until("the certificate is stored", async || pair.exists()).await;
    node.api.state().only_certified = true;
    let called = |who: &'static str, call: &'static str| {
        let node = &node;
        async move {
            node.api
                .until(&format!("{call} by {who}"), |state| {
                    let mut all = state.certified.iter();
                    all.any(|(by, what)| by == who && what.starts_with(call))
                })
                .await;
        }
    };
    called(
        "system:multus:n1 1",
        "POST /apis/certificates.k8s.io/v1/certificatesigningrequests",
    )
    .await;
    issue(&node, &authority, 2, -1..20).await;
    called("system:multus:n1 1", "GET /apis/certificates.k8s.io").await;
    daemon.report(&report("p")).await.ok();
    node.api.until_status("p").await;
    called(
        "system:multus:n1 2",
        "PATCH /api/v1/namespaces/d/pods/p/status",
    )
    .await;
    // The bootstrap kubeconfig's token is of no use any more, and was not needed.
    assert!(unanswered(&node.api.state()).is_empty());
    assert!(daemon.stop().await.success());
    let daemon = node.start().await;
    called("system:multus:n1 2", "GET /api/v1/pods").await;
    drop(daemon);
}
