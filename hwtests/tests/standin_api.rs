//! The stand-in API server, seen through the client that our daemons use.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions around the tests fail as the tests do"
)]

use std::time::Duration;

use futures::StreamExt;
use hwtests::standin::api::ApiServer;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[path = "standin_api/accounts.rs"]
mod accounts;
#[path = "standin_api/installation.rs"]
mod installation;
#[path = "standin_api/server.rs"]
mod server;
#[path = "standin_api/watching.rs"]
mod watching;

async fn cluster() -> (ApiServer, Client) {
    let server = ApiServer::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let config = Config::new(server.url().parse().unwrap());
    (server, Client::try_from(config).unwrap())
}

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn pod(name: &str, node: &str) -> Pod {
    typed(json!({
        "metadata": {"name": name, "annotations": {"k8s.v1.cni.cncf.io/networks": "net"}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
    }))
}

async fn create(pods: &Api<Pod>, name: &str, node: &str) -> Pod {
    pods.create(&PostParams::default(), &pod(name, node))
        .await
        .unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> (u16, String) {
    match answer.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("not an answer of the server: {other:?}"),
    }
}

fn annotate(value: &Value) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"annotations": value}}))
}

/// The next item, within a time that only a hang exceeds.
async fn next<S: futures::Stream + Unpin>(stream: &mut S) -> S::Item {
    let waited = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    waited
        .expect("nothing came for 20 s")
        .expect("the stream ended")
}

#[tokio::test]
async fn a_pod_is_created_once_read_listed_and_deleted() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let created = create(&pods, "a", "n").await;
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    assert_eq!(created.namespace().as_deref(), Some("default"));
    let twice = pods.create(&PostParams::default(), &pod("a", "n")).await;
    assert_eq!(refusal(twice), (409, "AlreadyExists".into()));
    assert_eq!(pods.get("a").await.unwrap().uid(), created.uid());
    let elsewhere: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    assert_eq!(refusal(elsewhere.get("a").await), (404, "NotFound".into()));
    assert_eq!(
        elsewhere
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        0
    );
    assert_eq!(
        Api::<Pod>::all(client)
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    pods.delete("a", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    assert!(pods.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_list_is_limited_by_fields_and_labels() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "one").await;
    create(&pods, "b", "two").await;
    let of_one = pods
        .list(&ListParams::default().fields("spec.nodeName=one"))
        .await
        .unwrap();
    assert_eq!(
        of_one
            .items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["a"]
    );
    assert!(of_one.metadata.resource_version.is_some());
    let labelled = pods
        .list(&ListParams::default().labels("app=x"))
        .await
        .unwrap();
    assert!(labelled.items.is_empty());
    let unknown = pods
        .list(&ListParams::default().fields("spec.hostname=x"))
        .await;
    assert_eq!(refusal(unknown), (400, "BadRequest".into()));
}

#[tokio::test]
async fn a_status_patch_writes_annotations_and_status_and_nothing_else() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "n").await;
    let patch = json!({
        "metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}},
        "spec": {"hostNetwork": true}, "status": {"phase": "Running"},
    });
    let patched = pods
        .patch_status("a", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(patched.annotations().len(), 2);
    assert_eq!(patched.spec.unwrap().host_network, None);
    assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Running"));
    let condition = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let patched = pods
        .patch_status("a", &PatchParams::default(), &Patch::Strategic(condition))
        .await
        .unwrap();
    assert_eq!(patched.status.unwrap().conditions.unwrap().len(), 1);
    let gone = pods
        .patch_status("b", &PatchParams::default(), &annotate(&json!({"k": "v"})))
        .await;
    assert_eq!(refusal(gone), (404, "NotFound".into()));
}

#[tokio::test]
async fn a_patch_for_another_incarnation_of_the_pod_is_refused() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let first = create(&pods, "a", "n").await;
    pods.delete("a", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    let second = create(&pods, "a", "n").await;
    let write = |meta: Value| {
        let pods = pods.clone();
        let patch = Patch::Merge(json!({"metadata": meta}));
        async move {
            pods.patch_status("a", &PatchParams::default(), &patch)
                .await
        }
    };
    // Metadata is validated after patching: a real server calls another uid invalid, another version a conflict.
    let by_uid = write(json!({"uid": first.uid(), "annotations": {"k": "v"}})).await;
    assert_eq!(refusal(by_uid), (422, "Invalid".into()));
    let by_version =
        write(json!({"resourceVersion": first.resource_version(), "annotations": {"k": "v"}}))
            .await;
    assert_eq!(refusal(by_version), (409, "Conflict".into()));
    assert_eq!(pods.get("a").await.unwrap().annotations().get("k"), None);
    let right = json!({"uid": second.uid(), "resourceVersion": second.resource_version(), "annotations": {"k": "v"}});
    assert_eq!(write(right).await.unwrap().annotations()["k"], "v");
}

#[tokio::test]
async fn a_replaced_status_must_be_of_this_pod_and_this_version() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let mut pod = create(&pods, "a", "n").await;
    pod.status.as_mut().unwrap().phase = Some("Running".into());
    let stored = pods
        .replace_status("a", &PostParams::default(), &pod)
        .await
        .unwrap();
    assert_eq!(stored.status.unwrap().phase.as_deref(), Some("Running"));
    let stale = pods.replace_status("a", &PostParams::default(), &pod).await;
    assert_eq!(refusal(stale), (409, "Conflict".into()));
    pod.metadata.resource_version = None;
    pod.metadata.uid = Some("another".into());
    let other = pods.replace_status("a", &PostParams::default(), &pod).await;
    assert_eq!(refusal(other), (409, "Conflict".into()));
}

#[tokio::test]
async fn deleting_a_bound_pod_marks_it_until_its_kubelet_is_done() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let pod = create(&pods, "a", "n").await;
    let marked = pods.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(marked.left().unwrap().metadata.deletion_timestamp.is_some());
    assert!(
        pods.get("a")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    let mut of_another = DeleteParams::default().grace_period(0);
    of_another.preconditions = Some(kube::api::Preconditions {
        uid: Some("x".into()),
        resource_version: None,
    });
    assert_eq!(
        refusal(pods.delete("a", &of_another).await),
        (409, "Conflict".into())
    );
    let mut of_this = of_another;
    of_this.preconditions = Some(kube::api::Preconditions {
        uid: pod.uid(),
        resource_version: None,
    });
    pods.delete("a", &of_this).await.unwrap();
    assert_eq!(refusal(pods.get("a").await), (404, "NotFound".into()));
}

#[tokio::test]
async fn network_attachment_definitions_are_served() {
    let (_server, client) = cluster().await;
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition"),
        "network-attachment-definitions",
    );
    let nads: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let nad: DynamicObject = typed(json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "net"}, "spec": {"config": "{\"type\":\"macvlan\"}"},
    }));
    nads.create(&PostParams::default(), &nad).await.unwrap();
    assert_eq!(
        nads.get("net").await.unwrap().data["spec"]["config"],
        "{\"type\":\"macvlan\"}"
    );
    let all: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut stream = watcher(all, watcher::Config::default())
        .applied_objects()
        .boxed();
    assert_eq!(next(&mut stream).await.unwrap().name_any(), "net");
    nads.delete("net", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(nads.get("net").await), (404, "NotFound".into()));
}
