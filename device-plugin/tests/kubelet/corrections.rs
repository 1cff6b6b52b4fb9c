//! What running the Go plugin showed to be wrong with it (spec/corrections.md, device-plugin part, D1 to D10),
//! here as it must be. D4 and D6 are with the process, D9 is with CDI.

use std::os::unix::fs::PermissionsExt;

use proto::deviceplugin::{AllocateRequest, ContainerAllocateRequest};
use tonic::Code;

use crate::{
    fake::{Followed, until},
    plugin::{NET, Node, VF, vfs},
};

/// A node with this configuration and these further devices; its one pool is followed.
async fn followed(config: &str, devices: &str) -> (Node, Followed) {
    let mut node = Node::new(false, config);
    node.fake.add(devices);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let pool = node.kubelet.follow(&request).await;
    (node, pool)
}

fn pool(rest: &str) -> String {
    format!(r#"{{"resourceList":[{{"resourceName":"net",{rest}}}]}}"#)
}

const INFO: &str = "PCIDEVICE_INTEL_COM_NET_INFO";

#[tokio::test]
async fn correction_d1_info_is_complete_in_the_first_allocate_of_a_device() {
    let (node, mut pool) = followed(
        &pool(r#""selectors":{"drivers":["vfio-pci"]}"#),
        "pci 0000:02:10.0{8086:10ca, 0200, drv=vfio-pci, iommu=7}",
    )
    .await;
    let first = pool.allocate(&["0000:02:10.0"]).await.unwrap();
    let second = pool.allocate(&["0000:02:10.0"]).await.unwrap();
    let info = |answer: &proto::deviceplugin::AllocateResponse| {
        answer.container_responses[0].envs[INFO].clone()
    };
    assert!(info(&first).contains(r#""dev-mount":"/dev/vfio/7""#));
    assert_eq!(info(&first), info(&second));
    drop(node);
}

#[tokio::test]
async fn correction_d2_a_junk_entry_hides_nothing_and_a_wide_domain_is_offered() {
    let mut node = Node::new(false, &pool(r#""selectors":{"vendors":["8086"]}"#));
    node.fake
        .add("pci 10000:e1:00.0{8086:10ca, 0200, drv=igbvf}")
        .file("bus/pci/devices/0000:03:00.0/vendor", "junk\n")
        .file("bus/pci/devices/0000:03:00.0/modalias", "junk\n")
        .directory("bus/pci/devices/0000:03:00.1");
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    pool.until_shows(&[VF[0], VF[1], "10000:e1:00.0"]).await;
}

#[tokio::test]
async fn correction_d3_a_sub_function_gets_vhost_net_where_its_pool_asks_for_it() {
    let pool =
        pool(r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"],"needVhostNet":true}"#);
    let (node, mut followed) = followed(
        &pool,
        "pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, net=[pf1]}
         aux mlx5_core.sf.4{on=0000:af:00.0, sfnum=7}",
    )
    .await;
    for name in ["vhost-net", "net/tun"] {
        let path = node.settings.dev_root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    followed.until_shows(&["mlx5_core.sf.4"]).await;
    let answer = followed.allocate(&["mlx5_core.sf.4"]).await.unwrap();
    let container = &answer.container_responses[0];
    let paths: Vec<_> = container
        .devices
        .iter()
        .map(|node| node.host_path.as_str())
        .collect();
    assert_eq!(paths, ["/dev/vhost-net", "/dev/net/tun"]);
    assert!(container.envs[INFO].contains(r#""vhost":{"net-mount":"/dev/vhost-net""#));
}

#[tokio::test]
async fn correction_d5_the_vfs_of_a_pf_whose_interface_is_elsewhere_stay() {
    let devices = "pci 0000:05:00.0{8086:1572, 0200, drv=i40e, vfs=8/1, virtfn 0=0000:05:02.0}
        pci 0000:05:02.0{8086:154c, 0200, drv=vfio-pci, iommu=9, pf=0000:05:00.0}";
    let selectors = r#""selectors":{"rootDevices":["0000:05:00.0"]}"#;
    let (_node, mut pool) = followed(&pool(selectors), devices).await;
    pool.until_shows(&["0000:05:02.0"]).await;
}

#[tokio::test]
async fn correction_d7_unknown_ids_fail_as_a_whole_in_pools_of_every_type() {
    for (rest, known) in [
        (r#""selectors":{"pfNames":["pf0"]}"#, VF[0]),
        (
            r#""deviceType":"accelerator","selectors":{}"#,
            "0000:b1:00.0",
        ),
    ] {
        let (_node, mut pool) = followed(
            &pool(rest),
            "pci 0000:b1:00.0{8086:0d5c, 1200, drv=vfio-pci, iommu=40}",
        )
        .await;
        for ids in [&["0000:ff:00.0"][..], &[known, "0000:ff:00.0"]] {
            let refused = pool.allocate(ids).await.unwrap_err();
            assert_eq!(refused.code(), Code::NotFound);
            assert_eq!(
                refused.message(),
                "intel.com/net has no device \"0000:ff:00.0\""
            );
        }
        let nothing = pool.allocate(&[]).await.unwrap();
        let envs = &nothing.container_responses[0].envs;
        assert_eq!(envs["PCIDEVICE_INTEL_COM_NET"], "");
        assert_eq!(envs[INFO], "{}");
    }
}

#[tokio::test]
async fn a16_an_empty_request_is_answered_empty() {
    let (_node, mut pool) = followed(NET, "").await;
    let request = AllocateRequest {
        container_requests: Vec::<ContainerAllocateRequest>::new(),
    };
    let answer = pool.client.allocate(request).await.unwrap().into_inner();
    assert!(answer.container_responses.is_empty());
}

#[tokio::test]
async fn correction_d10_a_stale_file_at_the_sockets_path_is_replaced_by_a_socket() {
    let mut node = Node::new(false, NET);
    let path = node.kubelet.plugins().join("intel.com_net.sock");
    std::fs::write(&path, "stale").unwrap();
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    assert_eq!(request.endpoint, "intel.com_net.sock");
    let mut pool = node.kubelet.follow(&request).await;
    pool.until_shows(&VF[..2]).await;
    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(!found.is_file());
    // The kubelet is root; nobody else may write, and so connect.
    assert_eq!(found.permissions().mode() & 0o022, 0);
}

#[tokio::test]
async fn correction_k6_devices_that_are_gone_are_offered_no_more_whatever_the_direction() {
    let (node, mut pool) = followed(NET, &vfs(4)).await;
    for count in [2, 3, 1, 4] {
        node.set_vfs(count);
        pool.until_shows(&VF[..usize::from(count)]).await;
    }
}

#[tokio::test]
async fn a_document_that_was_cut_to_nothing_keeps_the_pools_and_an_empty_list_stops_them() {
    let (node, mut pool) = followed(NET, "").await;
    pool.until_shows(&VF[..2]).await;
    for cut in ["{}", "", "{\"resourceList\": ["] {
        node.configure(cut);
        // A change after it shows that the pool lives, with its old selectors.
        node.set_vfs(3);
        pool.until_shows(&VF[..3]).await;
        node.set_vfs(2);
        pool.until_shows(&VF[..2]).await;
    }
    node.configure("resourceList: []");
    let socket = node.kubelet.plugins().join("intel.com_net.sock");
    until("the pool's end", || (!socket.exists()).then_some(())).await;
}
