//! What pods hold, across restarts of either side and between Allocate and PodResources.

use std::time::Duration;

use crate::{
    fake::Followed,
    plugin::{NET, Node, VF},
};

async fn follow(node: &mut Node) -> Followed {
    let request = node.kubelet.registration().await;
    node.kubelet.follow(&request).await
}

async fn started(config: &str) -> (Node, Followed) {
    let mut node = Node::new(false, config);
    node.kubelet.start(0);
    node.start();
    let mut pool = follow(&mut node).await;
    pool.until_shows(&VF[..2]).await;
    (node, pool)
}

#[tokio::test]
async fn g11_across_a_restart_a_held_vf_that_was_created_again_stays_unhealthy_until_its_pod_ends()
{
    let (mut node, mut pool) = started(NET).await;
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.topics.devices.announce();
    node.set_vfs(0);
    let unhealthy = format!("{}!", VF[1]);
    pool.until_shows(&[&unhealthy]).await;
    node.set_vfs(2);
    pool.until_shows(&[VF[0], &unhealthy]).await;
    for _ in 0..2 {
        node.stop().await;
        node.start();
        pool = follow(&mut node).await;
        let first = pool.next().await.unwrap();
        assert_eq!(
            crate::fake::shown(&first),
            [VF[0], &unhealthy],
            "from the first list on"
        );
    }
    node.kubelet.hold(&[]);
    node.topics.devices.announce();
    pool.until_shows(&VF[..2]).await;
}

#[tokio::test]
async fn g11_a_vf_that_was_just_allocated_and_vanishes_before_its_pod_is_shown_stays_listed() {
    let (mut node, mut pool) = started(NET).await;
    pool.allocate(&[VF[1]]).await.unwrap();
    node.set_vfs(0);
    let unhealthy = format!("{}!", VF[1]);
    pool.until_shows(&[&unhealthy]).await;
    node.stop().await;
    node.start();
    let mut pool = follow(&mut node).await;
    let first = pool.next().await.unwrap();
    assert_eq!(crate::fake::shown(&first), [unhealthy.as_str()]);
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.set_vfs(1);
    pool.until_shows(&[VF[0], &unhealthy]).await;
    node.kubelet.hold(&[]);
    node.topics.devices.announce();
    pool.until_shows(&VF[..1]).await;
}

#[tokio::test]
async fn g10_an_allocated_device_stays_in_its_pool_when_the_pool_is_edited_away() {
    let (mut node, mut pool) = started(NET).await;
    pool.allocate(&[VF[1]]).await.unwrap();
    node.configure(&NET.replace("\"net\"", "\"other\""));
    let unhealthy = format!("{}!", VF[1]);
    pool.until_shows(&[&unhealthy]).await;
    let mut other = follow(&mut node).await;
    other.until_shows(&VF[..1]).await;
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.topics.devices.announce();
    node.set_vfs(3);
    other.until_shows(&[VF[0], VF[2]]).await;
    node.kubelet.hold(&[]);
    node.topics.devices.announce();
    pool.until_ended().await;
    other.until_shows(&VF[..3]).await;
}

#[tokio::test]
async fn a_refused_allocation_holds_nothing() {
    let (mut node, mut pool) = started(NET).await;
    node.fake.set_driver(VF[1], Some("vfio-pci"));
    pool.allocate(&[VF[0], VF[1]]).await.unwrap_err();
    node.set_vfs(0);
    pool.until_shows(&[]).await;
    node.stop().await;
}

#[tokio::test]
async fn a_kubelet_that_just_started_and_knows_no_pod_yet_sets_nothing_free() {
    let mut node = Node::new(false, NET);
    node.settings.warm_up = Duration::from_hours(1);
    node.kubelet.start(0);
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    node.start();
    let mut pool = follow(&mut node).await;
    pool.until_shows(&VF[..2]).await;
    node.kubelet.hold(&[]);
    node.set_vfs(1);
    let unhealthy = format!("{}!", VF[1]);
    pool.until_shows(&[VF[0], &unhealthy]).await;
}

#[tokio::test]
async fn g10_a_pf_that_is_renamed_takes_its_vfs_to_the_pool_that_has_its_new_name() {
    let mut node = Node::new(
        false,
        r#"{"resourceList":[{"resourceName":"new","selectors":{"pfNames":["uplink"]}},
            {"resourceName":"old","selectors":{"pfNames":["pf0"]}}]}"#,
    );
    node.kubelet.start(0);
    node.start();
    let mut pools = Vec::new();
    for _ in 0..2 {
        let request = node.kubelet.registration().await;
        let pool = node.kubelet.follow(&request).await;
        pools.push((request.resource_name, pool));
    }
    pools.sort_by(|one, two| one.0.cmp(&two.0));
    pools[0].1.until_shows(&[]).await;
    pools[1].1.until_shows(&VF[..2]).await;
    let interfaces = "bus/pci/devices/0000:01:00.0/net";
    node.fake.remove(format!("{interfaces}/pf0"));
    node.fake.directory(format!("{interfaces}/uplink"));
    node.topics.devices.announce();
    pools[0].1.until_shows(&VF[..2]).await;
    pools[1].1.until_shows(&[]).await;
}
