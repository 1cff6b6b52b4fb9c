//! What is special to one kind of object, and what the server says about itself.

use hwtests::standin::api::ApiFault;
use k8s_openapi::api::core::v1::{Event, Namespace, Node};
use k8s_openapi::api::events::v1::Event as NewEvent;
use kube::core::GroupVersionKind;

use super::*;

#[tokio::test]
async fn an_event_can_be_written_in_one_group_and_read_in_the_other() {
    let (_server, client) = cluster().await;
    let new: Api<NewEvent> = Api::default_namespaced(client.clone());
    let event: NewEvent = typed(json!({
        "metadata": {"generateName": "a."}, "reason": "PoolExhausted", "note": "no VF is free", "type": "Warning",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "1"}, "action": "Add",
        "reportingController": "multus", "reportingInstance": "multus-n", "eventTime": "2026-01-01T00:00:00.000000Z",
    }));
    new.create(&PostParams::default(), &event).await.unwrap();
    let core: Api<Event> = Api::default_namespaced(client);
    let about = ListParams::default().fields("involvedObject.name=a,reason=PoolExhausted");
    let found = core.list(&about).await.unwrap().items;
    assert_eq!(found[0].message.as_deref(), Some("no VF is free"));
    assert_eq!(found[0].involved_object.uid.as_deref(), Some("1"));
    assert_eq!(
        new.list(&ListParams::default()).await.unwrap().items[0]
            .note
            .as_deref(),
        Some("no VF is free")
    );
}

#[tokio::test]
async fn a_binding_says_where_a_pod_runs() {
    let (server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "").await;
    let bind = async |node: &str| {
        let binding = json!({"target": {"kind": "Node", "name": node}}).to_string();
        let request = hyper::Request::post("/api/v1/namespaces/default/pods/a/binding")
            .body(binding.into_bytes());
        let config = Config::new(server.url().parse().unwrap());
        Client::try_from(config)
            .unwrap()
            .request::<Value>(request.unwrap())
            .await
    };
    bind("n").await.unwrap();
    assert_eq!(
        pods.get("a")
            .await
            .unwrap()
            .spec
            .unwrap()
            .node_name
            .as_deref(),
        Some("n")
    );
    assert_eq!(refusal(bind("m").await), (409, "Conflict".into()));
}

#[tokio::test]
async fn the_server_describes_itself() {
    let (server, client) = cluster().await;
    assert_eq!(client.apiserver_version().await.unwrap().minor, "33");
    let groups = client.list_api_groups().await.unwrap().groups;
    assert!(groups.iter().any(|group| group.name == "k8s.cni.cncf.io"));
    let kinds = client
        .list_core_api_resources("v1")
        .await
        .unwrap()
        .resources;
    assert!(kinds.iter().any(|kind| kind.name == "pods/status"));
    let kind = GroupVersionKind::gvk("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition");
    let discovery = kube::discovery::pinned_kind(&client, &kind).await;
    assert_eq!(
        discovery.unwrap().0.plural,
        "network-attachment-definitions"
    );
    let ready = hyper::Request::get("/readyz").body(Vec::new()).unwrap();
    assert_eq!(client.request_text(ready).await.unwrap(), "ok");
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    let namespaces: Api<Namespace> = Api::all(Client::try_from(config).unwrap());
    assert_eq!(
        namespaces
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

#[tokio::test]
async fn methods_and_formats_that_are_not_served_are_refused() {
    let (_server, client) = cluster().await;
    let send = async |method: &str, path: &str, kind: &str, body: &str| {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind);
        refusal(
            client
                .request::<Value>(request.body(body.as_bytes().to_vec()).unwrap())
                .await,
        )
        .0
    };
    let pods = "/api/v1/namespaces/default/pods";
    assert_eq!(send("POST", pods, "application/json", "{").await, 400);
    assert_eq!(
        send("POST", "/api/v1/pods", "application/json", "{}").await,
        405
    );
    assert_eq!(
        send(
            "PATCH",
            &format!("{pods}/a"),
            "application/apply-patch+yaml",
            "{}"
        )
        .await,
        415
    );
    assert_eq!(
        send(
            "POST",
            &format!("{pods}?dryRun=All"),
            "application/json",
            "{}"
        )
        .await,
        400
    );
    assert_eq!(send("GET", "/apis/batch/v1/jobs", "", "").await, 404);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20));
    assert_eq!(send("POST", pods, "application/json", &large).await, 413);
}

#[tokio::test]
async fn a_node_keeps_its_status_apart() {
    let (_server, client) = cluster().await;
    let nodes: Api<Node> = Api::all(client);
    nodes
        .create(
            &PostParams::default(),
            &typed(json!({"metadata": {"name": "n"}})),
        )
        .await
        .unwrap();
    let capacity = Patch::Merge(json!({"status": {"capacity": {"intel.com/sriov_net": "7"}}}));
    nodes
        .patch_status("n", &PatchParams::default(), &capacity)
        .await
        .unwrap();
    nodes
        .patch(
            "n",
            &PatchParams::default(),
            &Patch::Merge(json!({"status": {"capacity": null}})),
        )
        .await
        .unwrap();
    let node = nodes.get("n").await.unwrap();
    assert_eq!(
        node.status.unwrap().capacity.unwrap()["intel.com/sriov_net"].0,
        "7"
    );
}

#[tokio::test]
async fn the_planted_fault_writes_the_status_of_the_wrong_pod() {
    let (server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "n").await;
    create(&pods, "b", "n").await;
    server.set_fault(ApiFault::StatusOfWrongPod);
    pods.patch_status(
        "b",
        &PatchParams::default(),
        &annotate(&json!({"status": "of b"})),
    )
    .await
    .unwrap();
    assert_eq!(
        pods.get("b").await.unwrap().annotations().get("status"),
        None
    );
    assert_eq!(pods.get("a").await.unwrap().annotations()["status"], "of b");
    server.clear_fault();
    pods.patch_status(
        "b",
        &PatchParams::default(),
        &annotate(&json!({"status": "of b"})),
    )
    .await
    .unwrap();
    assert_eq!(pods.get("b").await.unwrap().annotations()["status"], "of b");
}
