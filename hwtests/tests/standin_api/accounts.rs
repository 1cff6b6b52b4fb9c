//! The server as a pod reaches it: over TLS, with the token of its service account, within its roles.

use hwtests::standin::api::{Resource, Service};
use k8s_openapi::api::core::v1::Node;
use kube::config::AuthInfo;

use super::*;

/// A client of a pod with this token, that trusts this authority.
fn of_pod(service: &Service, token: &str, authority: &str) -> Client {
    let mut config = Config::new(format!("https://{}", service.address()).parse().unwrap());
    let certificates = authority.split_inclusive("-----END CERTIFICATE-----\n");
    config.root_cert = Some(certificates.map(der).collect());
    config.auth_info = AuthInfo {
        token: Some(token.to_owned().into()),
        ..AuthInfo::default()
    };
    Client::try_from(config).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
    CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

/// A pod of account `a`, which may list pods and patch the status of those in `default`; and its token.
async fn with_pod(server: &ApiServer) -> (Service, String) {
    let service = server.secure(([127, 0, 0, 1], 0).into()).await.unwrap();
    let store = server.store();
    let create =
        |resource, namespace: &str, object| store.create(resource, namespace, object).unwrap();
    create(
        Resource::ServiceAccounts,
        "default",
        json!({"metadata": {"name": "a"}}),
    );
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    create(
        Resource::ClusterRoles,
        "",
        json!({"metadata": {"name": "r"}, "rules": rules}),
    );
    let subjects = json!([{"kind": "ServiceAccount", "name": "a", "namespace": "default"}]);
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": subjects});
    create(Resource::ClusterRoleBindings, "", binding);
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"serviceAccountName": "a", "containers": [{"name": "c", "image": "i"}]},
    });
    let pod = create(Resource::Pods, "default", pod);
    let token = service.token_of(store, &pod).unwrap();
    (service, token)
}

#[tokio::test]
async fn a_pod_may_do_what_its_account_may() {
    let (server, _admin) = cluster().await;
    let (service, token) = with_pod(&server).await;
    let client = of_pod(&service, &token, service.authority());
    let pods: Api<Pod> = Api::all(client.clone());
    assert_eq!(
        pods.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
    let nodes: Api<Node> = Api::all(client.clone());
    let (code, reason) = refusal(nodes.list(&ListParams::default()).await);
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    let here: Api<Pod> = Api::default_namespaced(client);
    let patch = annotate(&json!({"a": "b"}));
    let refused = here
        .patch_status("p", &PatchParams::default(), &patch)
        .await;
    assert_eq!(refusal(refused).0, 403);
}

#[tokio::test]
async fn a_guessed_token_and_one_of_a_pod_that_is_gone_are_refused() {
    let (server, admin) = cluster().await;
    let (service, token) = with_pod(&server).await;
    let list = async |token: &str| {
        let client = of_pod(&service, token, service.authority());
        Api::<Pod>::all(client).list(&ListParams::default()).await
    };
    assert_eq!(refusal(list("guessed").await).0, 401);
    list(&token).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(admin);
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(list(&token).await).0, 401);
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (server, _admin) = cluster().await;
    let (service, token) = with_pod(&server).await;
    let other = server.secure(([127, 0, 0, 1], 0).into()).await.unwrap();
    let client = of_pod(&service, &token, other.authority());
    let answer = Api::<Pod>::all(client).list(&ListParams::default()).await;
    assert!(
        !matches!(answer.unwrap_err(), kube::Error::Api(_)),
        "it was spoken to"
    );
}
