//! PodResources.

use std::time::Duration;

use hwtests::standin::kubelet::Rate;
use proto::podresources::pod_resources_lister_client::PodResourcesListerClient;
use proto::podresources::{
    AllocatableResourcesRequest, GetPodResourcesRequest, ListPodResourcesRequest, NumaNode,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::bench::{Bench, NET};
use crate::plugin::FakePlugin;

async fn client(bench: &Bench) -> PodResourcesListerClient<Channel> {
    let socket = bench.root().join("pod-resources/kubelet.sock");
    PodResourcesListerClient::new(
        proto::uds::dial(&socket, Duration::from_secs(10))
            .await
            .unwrap(),
    )
}

fn of(pod_name: &str) -> GetPodResourcesRequest {
    GetPodResourcesRequest {
        pod_name: pod_name.into(),
        pod_namespace: "default".into(),
    }
}

#[tokio::test]
async fn what_pods_hold_is_told() {
    let bench = Bench::start().await;
    let plugin = FakePlugin::serve(
        &bench.root().join("plugins_registry/net.sock"),
        &["a", "b", "c"],
    );
    bench.counts(3, 3).await;
    bench.create(Bench::manifest("p", 2));
    bench.phase("p", "Running").await;
    let mut client = client(&bench).await;
    let list = client
        .list(ListPodResourcesRequest {})
        .await
        .unwrap()
        .into_inner()
        .pod_resources;
    assert_eq!(
        (
            list.len(),
            list[0].name.as_str(),
            list[0].namespace.as_str()
        ),
        (1, "p", "default")
    );
    let container = &list[0].containers[0];
    assert_eq!(container.name, "main");
    let mut ids: Vec<String> = container
        .devices
        .iter()
        .flat_map(|entry| entry.device_ids.clone())
        .collect();
    let mut allocated = plugin.asked().allocated[0].clone();
    ids.sort();
    allocated.sort();
    assert_eq!(ids, allocated);
    assert!(
        container
            .devices
            .iter()
            .all(|entry| entry.resource_name == NET)
    );
    assert_eq!(
        container.devices[0].topology.as_ref().unwrap().nodes,
        [NumaNode { id: 0 }]
    );
    let one = client
        .get(of("p"))
        .await
        .unwrap()
        .into_inner()
        .pod_resources
        .unwrap();
    assert_eq!(one.containers.len(), 1);
    assert_eq!(client.get(of("q")).await.unwrap_err().code(), Code::Unknown);
    let all = client
        .get_allocatable_resources(AllocatableResourcesRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.devices.len(), 3);
}

#[tokio::test]
async fn what_a_deleted_pod_held_is_told_no_more() {
    let bench = Bench::start().await;
    let _plugin = FakePlugin::serve(&bench.root().join("plugins_registry/net.sock"), &["a"]);
    bench.counts(1, 1).await;
    bench.create(Bench::manifest("p", 1));
    bench.phase("p", "Running").await;
    bench.delete("p");
    bench.gone("p").await;
    let list = client(&bench)
        .await
        .list(ListPodResourcesRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(list.pod_resources.is_empty());
}

#[tokio::test]
async fn too_many_calls_are_refused() {
    // So slow that the test cannot outlast the refill.
    let bench = Bench::with_rate(Rate {
        per_second: 0,
        burst: 3,
    })
    .await;
    let mut client = client(&bench).await;
    for _ in 0..2 {
        client.list(ListPodResourcesRequest {}).await.unwrap();
    }
    // One limit for all methods.
    assert_eq!(client.get(of("p")).await.unwrap_err().code(), Code::Unknown);
    let refusal = client.list(ListPodResourcesRequest {}).await.unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.message()),
        (Code::ResourceExhausted, "rejected by rate limit")
    );
}
