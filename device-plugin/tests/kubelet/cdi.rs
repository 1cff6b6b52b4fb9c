//! CDI and the files of held devices, from the flag to the answer that the kubelet gets.

use crate::{
    fake::until,
    plugin::{Node, VF},
};

/// One pool; both VFs are on vfio-pci.
const DPDK: &str = r#"{"resourceList":[{"resourceName":"dpdk","selectors":{"pfNames":["pf0"]}}]}"#;

fn node() -> Node {
    let mut node = Node::new(false, DPDK);
    node.settings.cdi.by_default = true;
    for vf in &VF[..2] {
        node.fake.set_driver(vf, Some("vfio-pci"));
    }
    node.kubelet.start(0);
    node
}

fn specifications(node: &Node) -> Vec<String> {
    host::file::list(&node.settings.cdi.directory).unwrap()
}

#[tokio::test]
async fn g9_with_the_flag_allocate_names_devices_and_their_specifications_are_there() {
    let mut node = node();
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    let answer = pool.allocate(&VF[..2]).await.unwrap();
    let container = &answer.container_responses[0];
    let names: Vec<&str> = container
        .cdi_devices
        .iter()
        .map(|device| device.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "intel.com/net-pci-dpdk=0000:01:10.0",
            "intel.com/net-pci-dpdk=0000:01:10.1"
        ]
    );
    assert_eq!(
        container.annotations["cdi.k8s.io/intel.com_dpdk"],
        names.join(",")
    );
    assert!(container.devices.is_empty());
    assert!(container.envs["PCIDEVICE_INTEL_COM_DPDK_INFO"].contains("/dev/vfio/1"));
    assert_eq!(specifications(&node).len(), 2);
}

#[tokio::test]
async fn g8_files_of_a_held_device_stay_when_the_plugin_stops_and_come_back_after_a_reboot() {
    let mut node = node();
    node.kubelet.hold(&[("intel.com/dpdk", VF[0])]);
    node.start();
    let request = node.kubelet.registration().await;
    let mut pool = node.kubelet.follow(&request).await;
    pool.allocate(&VF[..1]).await.unwrap();
    node.stop().await;
    let specification = "sriov-dp-intel.com-dpdk-0000:01:10.0.json";
    let info = "intel.com-dpdk-0000:01:10.0-device.json";
    let both = |node: &Node| {
        let mut infos = host::file::list(&node.device_info).unwrap();
        // The memory of what pods hold is there, too.
        infos.retain(|name| !name.starts_with('.'));
        (specifications(node), infos)
    };
    let expected = (vec![specification.to_owned()], vec![info.to_owned()]);
    assert_eq!(both(&node), expected);

    // /run is empty after a reboot, and the kubelet does not allocate again.
    host::file::remove_tree(&node.settings.cdi.directory).unwrap();
    host::file::remove_tree(&node.device_info).unwrap();
    node.start();
    until("both files again", || {
        (both(&node) == expected).then_some(())
    })
    .await;
}
