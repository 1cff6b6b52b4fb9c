//! G1–G7: both ways of registration, broken streams, restarts, Allocate.

use std::path::Path;

use proto::{
    deviceplugin::{AllocateRequest, Empty, device_plugin_client::DevicePluginClient},
    pluginregistration::{
        InfoRequest, PluginInfo, RegistrationStatus, registration_client::RegistrationClient,
    },
    uds::dial,
};
use tonic::Code;

use crate::{
    fake::{Followed, LIMIT, shown, until},
    plugin::{NET, Node, VF},
};

const SOCKET: &str = "intel.com_net.sock";

/// What tells a socket from another at the same path.
fn identity(path: &Path) -> Option<(u64, i64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path)
        .ok()
        .map(|found| (found.ino(), found.ctime_nsec()))
}

async fn socket(node: &Node) -> (u64, i64) {
    let path = node.kubelet.registry().join(SOCKET);
    until("a socket in plugins_registry", || identity(&path)).await
}

async fn info(path: &Path) -> PluginInfo {
    let mut client = RegistrationClient::new(dial(path, LIMIT).await.unwrap());
    client.get_info(InfoRequest {}).await.unwrap().into_inner()
}

async fn notify(path: &Path, error: Option<&str>) {
    let mut client = RegistrationClient::new(dial(path, LIMIT).await.unwrap());
    let status = RegistrationStatus {
        plugin_registered: error.is_none(),
        error: error.unwrap_or_default().to_owned(),
    };
    client.notify_registration_status(status).await.unwrap();
}

#[tokio::test]
async fn g1_and_g3_in_watcher_mode_the_socket_is_in_plugins_registry_and_tells_what_it_is() {
    let mut node = Node::new(true, NET);
    node.kubelet.start(0);
    node.start();
    socket(&node).await;
    let path = node.kubelet.registry().join(SOCKET);
    let info = info(&path).await;
    assert_eq!(info.r#type, "DevicePlugin");
    assert_eq!(info.name, "intel.com/net");
    assert_eq!(info.endpoint, path.display().to_string());
    assert_eq!(info.supported_versions, ["v1alpha1", "v1beta1"]);
    assert_eq!(node.kubelet.pending(), 0);
    Followed::connect(&path).await.until_shows(&VF[..2]).await;
}

#[tokio::test]
async fn g1_in_legacy_mode_the_plugin_registers_its_socket_in_device_plugins() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    assert_eq!(request.version, "v1beta1");
    assert_eq!(request.endpoint, SOCKET);
    assert_eq!(request.resource_name, "intel.com/net");
    let mut pool = node.kubelet.follow(&request).await;
    let list = pool.next().await.unwrap();
    assert_eq!(shown(&list), VF[..2]);
    let topology = list.devices[0].topology.as_ref().unwrap();
    assert_eq!(
        topology
            .nodes
            .iter()
            .map(|node| node.id)
            .collect::<Vec<_>>(),
        [0]
    );
    let options = pool
        .client
        .get_device_plugin_options(Empty {})
        .await
        .unwrap()
        .into_inner();
    assert!(!options.pre_start_required && options.get_preferred_allocation_available);
    assert_eq!(request.options, Some(options));
}

#[tokio::test]
async fn g2_a_kubelet_that_is_absent_or_refuses_is_tried_again_until_it_takes_the_pool() {
    let mut node = Node::new(false, NET);
    node.start();
    until("a socket", || {
        identity(&node.kubelet.plugins().join(SOCKET))
    })
    .await;
    node.kubelet.start(2);
    let request = node.kubelet.registration().await;
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
    assert_eq!(node.kubelet.pending(), 0);
}

#[tokio::test]
async fn g3_a_registration_that_succeeds_leaves_the_socket_and_one_that_fails_renews_it() {
    let mut node = Node::new(true, NET);
    node.kubelet.start(0);
    node.start();
    let first = socket(&node).await;
    let path = node.kubelet.registry().join(SOCKET);
    notify(&path, None).await;
    let mut pool = Followed::connect(&path).await;
    pool.until_shows(&VF[..2]).await;
    assert_eq!(identity(&path), Some(first));
    notify(&path, Some("no room")).await;
    pool.until_ended().await;
    until("a new socket", || {
        identity(&path).filter(|now| *now != first)
    })
    .await;
    Followed::connect(&path).await.until_shows(&VF[..2]).await;
}

#[tokio::test]
async fn g4_a_kubelet_that_took_the_pool_and_does_not_follow_it_is_told_again() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    for _ in 0..3 {
        node.kubelet.registration().await;
    }
    let request = node.kubelet.registration().await;
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
}

#[tokio::test]
async fn g4_a_stream_that_the_kubelet_drops_leads_to_a_new_registration_and_the_next_stream_works()
{
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    for _ in 0..3 {
        let request = node.kubelet.registration().await;
        let mut pool = node.kubelet.follow(&request).await;
        pool.until_shows(&VF[..2]).await;
        drop(pool);
    }
}

#[tokio::test]
async fn g4_in_watcher_mode_a_dropped_stream_renews_the_socket() {
    let mut node = Node::new(true, NET);
    node.kubelet.start(0);
    node.start();
    let path = node.kubelet.registry().join(SOCKET);
    let first = socket(&node).await;
    Followed::connect(&path).await.until_shows(&VF[..2]).await;
    until("a new socket", || {
        identity(&path).filter(|now| *now != first)
    })
    .await;
}

#[tokio::test]
async fn g5_a_kubelet_that_restarts_twenty_times_quickly_gets_the_pool_each_time() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    for _ in 0..20 {
        // No stream is open: only the directory tells of the restart.
        node.kubelet.registration().await;
        node.kubelet.start(0);
    }
    let request = node.kubelet.registration().await;
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
}

#[tokio::test]
async fn g5_a_wiped_socket_is_made_again_and_registered_again() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    pool.until_shows(&VF[..2]).await;
    std::fs::remove_file(node.kubelet.plugins().join(SOCKET)).unwrap();
    pool.until_ended().await;
    let request = node.kubelet.registration().await;
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
}

#[tokio::test]
async fn g5_a_socket_directory_that_is_removed_and_made_again_gets_its_sockets_back() {
    let mut node = Node::new(true, NET);
    node.kubelet.start(0);
    node.start();
    let path = node.kubelet.registry().join(SOCKET);
    for _ in 0..3 {
        let mut pool = {
            socket(&node).await;
            Followed::connect(&path).await
        };
        pool.until_shows(&VF[..2]).await;
        std::fs::remove_dir_all(node.kubelet.registry()).unwrap();
        pool.until_ended().await;
        std::fs::create_dir(node.kubelet.registry()).unwrap();
    }
}

#[tokio::test]
async fn g5_a_kubelet_that_restarts_under_an_open_stream_gets_the_pool_again() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    for _ in 0..3 {
        let request = node.kubelet.registration().await;
        let mut pool = node.kubelet.follow(&request).await;
        pool.until_shows(&VF[..2]).await;
        node.kubelet.start(0);
        pool.until_ended().await;
    }
}

/// Waits for another socket than `before` at the path and finds that it stays.
async fn settled(path: &Path, before: (u64, i64)) -> (u64, i64) {
    let now = until("another socket", || {
        identity(path).filter(|now| *now != before)
    })
    .await;
    for _ in 0..20 {
        let mut client = DevicePluginClient::new(dial(path, LIMIT).await.unwrap());
        client.get_device_plugin_options(Empty {}).await.unwrap();
        assert_eq!(identity(path), Some(now), "somebody replaced it again");
    }
    now
}

#[tokio::test]
async fn g5_of_two_generations_the_later_serves_and_the_earlier_takes_its_end_and_not_its_socket() {
    for watcher in [true, false] {
        let mut node = Node::new(watcher, NET);
        node.kubelet.start(0);
        let directory = if watcher {
            node.kubelet.registry()
        } else {
            node.kubelet.plugins()
        };
        let path = directory.join(SOCKET);
        node.start();
        let first = until("a socket", || identity(&path)).await;
        node.start_next();
        let second = settled(&path, first).await;
        node.stop_earlier().await;
        assert_eq!(identity(&path), Some(second));

        node.start_next();
        let third = settled(&path, second).await;
        node.stop().await;
        settled(&path, third).await;
    }
}

#[tokio::test]
async fn g6_fifty_pools_stop_together_and_leave_no_socket() {
    let pools: Vec<String> = (0..50)
        .map(|index| {
            format!(r#"{{"resourceName":"net{index}","selectors":{{"pfNames":["pf0#{index}"]}}}}"#)
        })
        .collect();
    let mut node = Node::new(
        false,
        &format!(r#"{{"resourceList":[{}]}}"#, pools.join(",")),
    );
    node.kubelet.start(0);
    node.start();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let request = node.kubelet.registration().await;
        streams.push(node.kubelet.follow(&request).await);
    }
    node.stop().await;
    let left = host::file::list(&node.kubelet.plugins()).unwrap();
    assert_eq!(left, ["kubelet.sock"]);
    for mut stream in streams {
        stream.until_ended().await;
    }
}

#[tokio::test]
async fn g7_allocate_answers_with_environment_and_writes_device_info() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    let answer = pool.allocate(&[VF[1], VF[0]]).await.unwrap();
    let envs = &answer.container_responses[0].envs;
    assert_eq!(envs["PCIDEVICE_INTEL_COM_NET"], "0000:01:10.1,0000:01:10.0");
    assert_eq!(
        envs["PCIDEVICE_INTEL_COM_NET_INFO"],
        r#"{"0000:01:10.0":{"generic":{"deviceID":"0000:01:10.0"}},"0000:01:10.1":{"generic":{"deviceID":"0000:01:10.1"}}}"#
    );
    let file = node
        .device_info
        .join("intel.com-net-0000:01:10.1-device.json");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:01:10.1"}}"#
    );
}

#[tokio::test]
async fn a15_and_a16_unknown_ids_are_refused_as_a_whole_and_an_empty_request_is_answered_empty() {
    let mut node = Node::new(false, NET);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    let refused = pool.allocate(&[VF[0], "0000:ff:00.0"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(
        refused.message(),
        "intel.com/net has no device \"0000:ff:00.0\""
    );
    assert!(!node.device_info.exists());
    let empty = pool
        .client
        .allocate(AllocateRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(empty.container_responses.is_empty());
}

#[tokio::test]
async fn an_empty_pool_is_registered_with_no_devices() {
    let mut node = Node::new(
        false,
        r#"{"resourceList":[{"resourceName":"none","selectors":{"vendors":["15b3"]}}]}"#,
    );
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    assert_eq!(request.resource_name, "intel.com/none");
    node.kubelet.follow(&request).await.until_shows(&[]).await;
}

#[tokio::test]
async fn a_stale_socket_of_a_plugin_that_crashed_is_replaced() {
    let mut node = Node::new(false, NET);
    std::fs::write(node.kubelet.plugins().join(SOCKET), "left behind").unwrap();
    node.start();
    until("the kubelet's directory is in use", || {
        identity(&node.kubelet.plugins().join(SOCKET))
    })
    .await;
    node.kubelet.start(0);
    let request = node.kubelet.registration().await;
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
}
