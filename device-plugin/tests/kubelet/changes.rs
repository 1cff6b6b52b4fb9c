//! G10, G11 and bad input: what changes on a running node, and what the kubelet sees of it.

use proto::deviceplugin::RegisterRequest;

use crate::{
    fake::{Followed, until},
    plugin::{NET, Node, VF},
};

/// A node whose one pool is followed by the kubelet.
async fn followed(config: &str) -> (Node, Followed) {
    let mut node = Node::new(false, config);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let pool = node.kubelet.follow(&request).await;
    (node, pool)
}

/// The pool's stream, from as many registrations as there are pools.
async fn follow_all(node: &mut Node, count: usize) -> Vec<(RegisterRequest, Followed)> {
    let mut pools = Vec::new();
    for _ in 0..count {
        let request = node.kubelet.registration().await;
        let pool = node.kubelet.follow(&request).await;
        pools.push((request, pool));
    }
    pools.sort_by(|one, two| one.0.resource_name.cmp(&two.0.resource_name));
    pools
}

#[tokio::test]
async fn g10_a_changed_number_of_vfs_reaches_the_kubelet() {
    let (node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    node.set_vfs(0);
    // The PF itself has no VFs now, but belongs to no PF.
    pool.until_shows(&[]).await;
    node.set_vfs(4);
    pool.until_shows(&VF).await;
    node.set_vfs(1);
    pool.until_shows(&VF[..1]).await;
}

#[tokio::test]
async fn g10_a_sub_function_that_is_added_is_offered_and_one_that_is_deleted_is_not() {
    let config = r#"{"resourceList":[{"resourceName":"sf","deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"]}}]}"#;
    let (node, mut pool) = followed(config).await;
    pool.until_shows(&[]).await;
    for number in [4, 5] {
        node.fake.add(&format!(
            "aux mlx5_core.sf.{number}{{on=0000:01:00.0, sfnum={number}}}"
        ));
    }
    node.topics.devices.announce();
    pool.until_shows(&["mlx5_core.sf.4", "mlx5_core.sf.5"])
        .await;
    node.fake.unplug("auxiliary", "mlx5_core.sf.4");
    node.topics.devices.announce();
    pool.until_shows(&["mlx5_core.sf.5"]).await;
}

#[tokio::test]
async fn g10_a_device_that_changes_its_driver_changes_its_pool() {
    let mut node = Node::new(
        false,
        r#"{"resourceList":[{"resourceName":"dpdk","selectors":{"drivers":["vfio-pci"]}},
            {"resourceName":"net","selectors":{"drivers":["igbvf"]}}]}"#,
    );
    node.kubelet.start(0);
    node.start();
    let mut pools = follow_all(&mut node, 2).await;
    pools[0].1.until_shows(&[]).await;
    pools[1].1.until_shows(&VF[..2]).await;
    node.fake.set_driver(VF[1], Some("vfio-pci"));
    node.topics.devices.announce();
    pools[0].1.until_shows(&VF[1..2]).await;
    pools[1].1.until_shows(&VF[..1]).await;
    let answer = pools[0].1.allocate(&[VF[1]]).await.unwrap();
    let nodes: Vec<_> = answer.container_responses[0]
        .devices
        .iter()
        .map(|spec| spec.host_path.as_str())
        .collect();
    assert_eq!(nodes, ["/dev/vfio/vfio", "/dev/vfio/1"]);
}

#[tokio::test]
async fn d5_a_device_without_a_driver_leaves_and_comes_back_with_one() {
    let (node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    node.fake.set_driver(VF[0], None);
    node.topics.devices.announce();
    pool.until_shows(&VF[1..2]).await;
    node.fake.set_driver(VF[0], Some("igbvf"));
    node.topics.devices.announce();
    pool.until_shows(&VF[..2]).await;
}

#[tokio::test]
async fn an_allocation_that_finds_the_node_changed_is_refused_and_brings_a_new_list() {
    let (node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    // No event announces this one.
    node.fake.set_driver(VF[0], None);
    let refused = pool.allocate(&[VF[0]]).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "allocate 0000:01:10.0: its driver is none now, the pool offered it with igbvf"
    );
    pool.until_shows(&VF[1..2]).await;
}

#[tokio::test]
async fn g10_an_edited_configuration_is_followed() {
    let (mut node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    node.configure(
        r#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0#1"]}},
            {"resourceName":"rest","selectors":{"pfNames":["pf0"]}}]}"#,
    );
    pool.until_shows(&VF[1..2]).await;
    let request = node.kubelet.registration().await;
    assert_eq!(request.resource_name, "intel.com/rest");
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..1])
        .await;
    node.configure(r#"{"resourceList":[]}"#);
    pool.until_ended().await;
    until("the sockets are gone", || {
        let left = host::file::list(&node.kubelet.plugins()).unwrap();
        (left == ["kubelet.sock"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn g10_a_config_map_that_swaps_its_link_is_followed() {
    let mut node = Node::new(false, NET);
    let directory = node.config.parent().unwrap().to_owned();
    let version = |name: &str, config: &str| {
        std::fs::create_dir(directory.join(name)).unwrap();
        std::fs::write(directory.join(name).join("config.json"), config).unwrap();
        std::os::unix::fs::symlink(name, directory.join("..data_tmp")).unwrap();
        std::fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    };
    std::fs::remove_file(&node.config).unwrap();
    version("..1", NET);
    std::os::unix::fs::symlink("..data/config.json", &node.config).unwrap();
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    pool.until_shows(&VF[..2]).await;
    version("..2", &NET.replace("pf0", "pf0#0"));
    pool.until_shows(&VF[..1]).await;
}

#[tokio::test]
async fn g10_an_invalid_edit_keeps_the_last_good_configuration() {
    let (mut node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    for bad in [
        "junk",
        r#"{"resourceList":{}}"#,
        r#"{"resourceList":[{"resourceName":"net","deviceType":"gpu","selectors":{}}]}"#,
        r#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0#1-0"]}}]}"#,
    ] {
        node.configure(bad);
        // The next list comes from the last good configuration.
        node.set_vfs(4);
        pool.until_shows(&VF).await;
        node.set_vfs(2);
        pool.until_shows(&VF[..2]).await;
    }
    std::fs::remove_file(&node.config).unwrap();
    node.set_vfs(4);
    pool.until_shows(&VF).await;
    node.configure(&NET.replace("pf0", "pf0#0"));
    pool.until_shows(&VF[..1]).await;
    assert_eq!(node.kubelet.pending(), 0);
}

#[tokio::test]
async fn a_configuration_that_comes_late_or_is_bad_at_first_is_waited_for() {
    let mut node = Node::new(false, "not json");
    node.kubelet.start(0);
    node.start();
    node.configure(NET);
    let request = node.kubelet.registration().await;
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
}

#[tokio::test]
async fn bad_pools_do_not_stop_good_ones() {
    let mut node = Node::new(
        false,
        r#"{"resourceList":[
            {"resourceName":"a","deviceType":"gpu","selectors":{}},
            {"resourceName":"b","selectors":{"pfNames":["pf0#7-2"]}},
            {"resourceName":"net","selectors":{"pfNames":["pf0"]}},
            {"resourceName":"net","selectors":{"pfNames":["pf0"]}},
            {"resourceName":"c"}]}"#,
    );
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    assert_eq!(request.resource_name, "intel.com/net");
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&VF[..2])
        .await;
    assert_eq!(node.kubelet.pending(), 0);
}

#[tokio::test]
async fn g11_a_held_vf_that_is_removed_stays_listed_unhealthy_until_its_pod_ends() {
    let (node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.set_vfs(0);
    let unhealthy = format!("{}!", VF[1]);
    pool.until_shows(&[&unhealthy]).await;
    // A VF that is created again at its address is not the one the pod holds.
    node.set_vfs(2);
    pool.until_shows(&[VF[0], &unhealthy]).await;
    let refused = pool.allocate(&[VF[1]]).await.unwrap_err();
    assert!(
        refused.message().contains("is unhealthy"),
        "{}",
        refused.message()
    );
    node.kubelet.hold(&[]);
    node.topics.devices.announce();
    pool.until_shows(&VF[..2]).await;
}

#[tokio::test]
async fn g11_across_a_restart_a_held_vf_that_is_gone_is_still_listed_unhealthy() {
    let (mut node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.stop().await;
    node.set_vfs(1);
    node.start();
    let request = node.kubelet.registration().await;
    let unhealthy = format!("{}!", VF[1]);
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&[VF[0], &unhealthy])
        .await;
}

#[tokio::test]
async fn a_kubelet_that_turned_the_question_away_is_asked_again_without_a_change() {
    let (mut node, mut pool) = followed(NET).await;
    pool.until_shows(&VF[..2]).await;
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.stop().await;
    node.set_vfs(1);
    node.kubelet.turn_away(2);
    node.start();
    let request = node.kubelet.registration().await;
    let unhealthy = format!("{}!", VF[1]);
    node.kubelet
        .follow(&request)
        .await
        .until_shows(&[VF[0], &unhealthy])
        .await;
}

#[tokio::test]
async fn g8_the_device_info_of_a_pod_goes_when_the_pod_does() {
    let (node, mut pool) = followed(NET).await;
    pool.allocate(&[VF[0]]).await.unwrap();
    let file = node
        .device_info
        .join("intel.com-net-0000:01:10.0-device.json");
    assert!(file.exists());
    node.kubelet.hold(&[("intel.com/net", VF[0])]);
    node.fake.set_driver(VF[1], None);
    node.topics.devices.announce();
    pool.until_shows(&VF[..1]).await;
    assert!(file.exists());
    node.kubelet.hold(&[]);
    node.topics.devices.announce();
    until("the file is gone", || (!file.exists()).then_some(())).await;
}
