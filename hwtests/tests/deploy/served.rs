//! The real API server, where `KUBEBUILDER_ASSETS` names a folder with it: it takes every object under strict
//! validation, and the status policy lets a node's daemon write what it must and nothing else.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    config::AuthInfo,
};
use serde_json::{Value, json};

use super::{
    matrix::{DIGEST, SWITCHES},
    server::Server,
    tools::rendered,
};

pub(super) fn pod(name: &str, namespace: &str, node: &str, account: &str) -> Value {
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

/// Merges a body into a pod of the namespace `default`, as a daemon writes its status.
pub(super) async fn patch(client: &Client, name: &str, body: &Value) -> Result<(), String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), "default");
    let patched = api
        .patch_status(name, &PatchParams::default(), &Patch::Merge(body))
        .await;
    patched.map(drop).map_err(|error| error.to_string())
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
    let by = |token: &str| {
        let token = Some(token.trim().to_owned().into());
        server.client(AuthInfo {
            token,
            ..AuthInfo::default()
        })
    };
    let daemon = by(&token);
    let unbound = by(&server.kubectl(&bound[..5]).unwrap());

    let status = json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}}});
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
