//! What the kubelet sees of provisioning and of the software fallback.

use crate::{
    fake::Followed,
    plugin::{Node, VF},
};

const FOUR: &str = r#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0"]}}],
    "provision":[{"pf":{"pfNames":["pf0"]},"numVfs":4,"groups":[{"vfs":"3","driver":"vfio-pci"}]}]}"#;
const SLOTS: &str = r#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0"]},"fallback":{"slots":2}}]}"#;

async fn followed(node: &mut Node) -> Followed {
    node.kubelet.start(0);
    node.start();
    let request = node.kubelet.registration().await;
    node.kubelet.follow(&request).await
}

/// Takes PF and VFs out of the node.
fn without_nic(node: &Node) {
    for function in ["0000:01:00.0", VF[0], VF[1]] {
        node.fake.remove(format!("bus/pci/devices/{function}"));
    }
    node.fake.remove("class/net/pf0");
}

#[tokio::test]
async fn vfs_are_offered_only_when_provision_has_made_them_what_they_are_to_be() {
    let mut node = Node::new(false, FOUR);
    node.fake.directory("bus/pci/drivers/vfio-pci");
    let mut pool = followed(&mut node).await;
    // Two VFs are there, four are asked.
    pool.until_shows(&[]).await;
    node.set_vfs(4);
    pool.until_shows(&VF[..3]).await;
    node.fake.set_driver(VF[3], Some("vfio-pci"));
    node.topics.devices.announce();
    pool.until_shows(&VF).await;
}

#[tokio::test]
async fn a_vf_that_a_pod_holds_stays_listed_while_its_pf_waits_for_provision() {
    let mut node = Node::new(false, FOUR);
    node.fake.directory("bus/pci/drivers/vfio-pci");
    node.kubelet.hold(&[("intel.com/net", VF[1])]);
    let mut pool = followed(&mut node).await;
    pool.until_shows(&[VF[1]]).await;
}

#[tokio::test]
async fn a_bad_edit_of_provision_keeps_what_was_asked_before() {
    let mut node = Node::new(false, FOUR);
    node.fake.directory("bus/pci/drivers/vfio-pci");
    let mut pool = followed(&mut node).await;
    pool.until_shows(&[]).await;
    node.configure(
        &FOUR
            .replace("numVfs", "numVf")
            .replace("\"selectors\"", "\"excludeTopology\":true,\"selectors\""),
    );
    node.topics.config.announce();
    node.set_vfs(3);
    node.set_vfs(4);
    pool.until_shows(&VF[..3]).await;
}

#[tokio::test]
async fn a_node_without_nic_offers_slots_and_tells_pods_what_they_got() {
    let mut node = Node::new(false, SLOTS);
    without_nic(&node);
    let mut pool = followed(&mut node).await;
    pool.until_shows(&["software-0", "software-1"]).await;
    let answer = pool.allocate(&["software-1"]).await.unwrap();
    let container = &answer.container_responses[0];
    assert_eq!(container.envs["PCIDEVICE_INTEL_COM_NET"], "software-1");
    assert_eq!(
        container.envs["PCIDEVICE_INTEL_COM_NET_INFO"],
        r#"{"software-1":{"generic":{"deviceID":"software-1"}}}"#
    );
    assert!(container.devices.is_empty());
    let file = node
        .device_info
        .join("intel.com-net-software-1-device.json");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        r#"{"type":"software","version":"1.1.0"}"#
    );
    let unknown = pool.allocate(&["software-2"]).await.unwrap_err();
    assert!(
        unknown.message().contains("has no device \"software-2\""),
        "{unknown}"
    );
}

#[tokio::test]
async fn slots_that_pods_hold_survive_a_restart_and_a_nic_that_comes_later() {
    let mut node = Node::new(false, SLOTS);
    without_nic(&node);
    let mut pool = followed(&mut node).await;
    pool.until_shows(&["software-0", "software-1"]).await;
    node.kubelet.hold(&[("intel.com/net", "software-0")]);
    node.stop().await;
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    pool.until_shows(&["software-0", "software-1"]).await;
    node.set_vfs(2);
    pool.until_shows(&["software-0"]).await;
    node.kubelet.hold(&[]);
    pool.until_shows(&VF[..2]).await;
}
