//! GetPreferredAllocation as the kubelet calls it.

use proto::deviceplugin::{ContainerPreferredAllocationRequest, PreferredAllocationRequest};

use crate::plugin::{NET, Node, VF};

async fn preferred(config: &str, available: &[&str], size: i32) -> Vec<String> {
    let mut node = Node::new(false, config);
    node.set_vfs(4);
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    pool.until_shows(&VF).await;
    let wanted = ContainerPreferredAllocationRequest {
        available_device_i_ds: available.iter().map(|id| (*id).to_owned()).collect(),
        must_include_device_i_ds: Vec::new(),
        allocation_size: size,
    };
    let asked = PreferredAllocationRequest {
        container_requests: vec![wanted],
    };
    let answer = pool.client.get_preferred_allocation(asked).await;
    answer
        .unwrap()
        .into_inner()
        .container_responses
        .remove(0)
        .device_i_ds
}

#[tokio::test]
async fn the_kubelet_is_advised_from_the_devices_that_it_says_are_free() {
    assert_eq!(preferred(NET, &VF[1..], 2).await, &VF[1..3]);
}

#[tokio::test]
async fn a_pool_without_preference_gives_no_advice() {
    let config = NET.replace(
        "\"selectors\"",
        "\"preferredAllocation\":\"none\",\"selectors\"",
    );
    assert!(preferred(&config, &VF, 2).await.is_empty());
}
