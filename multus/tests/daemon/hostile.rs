//! NADs and annotations of somebody who wants more than is his: refused with a reason, and never a call to the API,
//! a file or a device that is not his.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::kubelet;
use super::node::{MACVLAN, Node, until};

const PCI: &str = "0000:3b:02.5";

#[tokio::test]
async fn a_nad_that_names_a_program_by_a_path_is_refused_before_it_is_planned() {
    let node = Node::new().await;
    let types = ["../evil", "/bin/sh", "a/b", "", ".", "..", "x\0y", "bin/"];
    for (index, kind) in types.iter().enumerate() {
        for (form, config) in [
            ("conf", json!({"name": "n", "type": kind})),
            (
                "list",
                json!({"name": "n", "plugins": [{"type": "tuning"}, {"type": kind}]}),
            ),
            (
                "fold",
                json!({"name": "n", "type": "macvlan", "TYPE": kind}),
            ),
        ] {
            node.api
                .nad(&format!("d/{form}{index}"), &config.to_string(), None);
        }
    }
    let daemon = node.start().await;
    for (index, kind) in types.iter().enumerate() {
        for form in ["conf", "list", "fold"] {
            let answer = daemon
                .plan(&node.request("p", Some(&format!("{form}{index}"))))
                .await;
            let text = answer.refused("NetworkInvalid");
            assert!(
                text.contains(&format!("d/{form}{index}")),
                "{kind:?}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_network_name_that_would_lead_out_of_a_folder_is_refused() {
    let node = Node::new().await;
    let names = [
        "../x",
        "a/b",
        "..",
        ".hidden",
        "/etc/passwd",
        "a\0b",
        "a b",
        "-x",
    ];
    for (index, name) in names.iter().enumerate() {
        let config = json!({"cniVersion": "1.0.0", "name": name, "plugins": [{"type": "macvlan"}]});
        node.api
            .nad(&format!("d/n{index}"), &config.to_string(), None);
    }
    let daemon = node.start().await;
    for (index, name) in names.iter().enumerate() {
        let answer = daemon
            .plan(&node.request("p", Some(&format!("n{index}"))))
            .await;
        let text = answer.refused("NetworkInvalid");
        assert!(text.contains(&format!("d/n{index}")), "{name:?}: {text}");
    }
}

#[tokio::test]
async fn an_annotation_whose_names_are_paths_reaches_neither_the_api_nor_the_disk() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    let copy = node.path("state/nads/d/a.json");
    until("the NAD is on disk", async || copy.exists()).await;
    // The same answer when the copy on disk is all there is.
    for down in [false, true] {
        node.api.set_down(down);
        let before = node.api.state().calls.len();
        let names = [
            "../../secrets/x",
            "a?x=y",
            "a#x",
            "a%2f..",
            "a\u{0}",
            "..",
            "A",
            "a/status",
            "",
        ];
        for name in names {
            for wish in [
                json!([{"name": name}]),
                json!([{"name": "a", "namespace": format!("../{name}")}]),
            ] {
                let answer = daemon
                    .plan(&node.request("p", Some(&wish.to_string())))
                    .await;
                answer.refused("AnnotationInvalid");
                let mut request = node.request("p", Some(""));
                request["annotations"]["v1.multus-cni.io/default-network"] =
                    json!(wish.to_string());
                daemon.plan(&request).await.refused("AnnotationInvalid");
            }
        }
        for comma in ["../x", "d/../x", "..", "a@../x", "a@x/y", "a@a:b", "a@."] {
            daemon
                .plan(&node.request("p", Some(comma)))
                .await
                .refused("AnnotationInvalid");
        }
        let wish = json!([{"name": "a", "interface": "x\u{0}y"}]).to_string();
        daemon
            .plan(&node.request("p", Some(&wish)))
            .await
            .refused("AnnotationInvalid");
        let calls = node.api.state().calls.split_off(before);
        let looked: Vec<_> = calls
            .iter()
            .filter(|c| c.contains("/network-attachment-definitions/"))
            .collect();
        assert!(looked.is_empty(), "{looked:#?}");
    }
}

#[tokio::test]
async fn isolation_holds_in_every_way_to_a_network_of_another_namespace() {
    let node = Node::new().await;
    node.api.nad("other/a", MACVLAN, None);
    node.api.nad("d/own", MACVLAN, None);
    let wish = json!({"k8s.v1.cni.cncf.io/networks": "other/a"});
    node.api.pod("watched", &wish);
    node.write_config(&json!({"namespaceIsolation": true}));
    let daemon = node.start().await;
    let copy = node.path("state/nads/other/a.json");
    until("the NAD is on disk", async || copy.exists()).await;
    daemon.plan(&node.request("p", Some("own"))).await.ok();
    // The annotations of the runtime, those of the API, the annotation of the default network, both forms; from the
    // watch and from the copy on disk.
    for down in [false, true] {
        node.api.set_down(down);
        let mut requests = vec![
            node.request("p", Some("other/a")),
            node.request("p", Some(r#"[{"name":"a","namespace":"other"}]"#)),
            node.request("watched", None),
        ];
        for text in ["other/a", r#"[{"name":"a","namespace":"other"}]"#] {
            let mut request = node.request("p", Some(""));
            request["annotations"]["v1.multus-cni.io/default-network"] = json!(text);
            requests.push(request);
        }
        for mut request in requests {
            // The pod's own plugin configuration does not soften the node's policy.
            request["config"]["namespaceIsolation"] = json!(false);
            let text = daemon.plan(&request).await.refused("AnnotationInvalid");
            assert!(
                text.contains("namespaceIsolation") && text.contains("other/a"),
                "{text}"
            );
        }
    }
    drop(daemon);
    node.api.set_down(false);
    let mut request = node.request("p", Some("other/a"));
    request["config"]["kubeconfig"] = json!(node.path("kubeconfig"));
    let output = node.one_shot("plan", &[], &request).await;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["details"], "AnnotationInvalid", "{answer}");
}

#[tokio::test]
async fn the_device_of_another_pod_is_not_had_by_any_name_for_it() {
    let node = Node::new().await;
    kubelet::start(
        &node.path("kubelet.sock"),
        &[("p", &["0000:3b:02.1"]), ("q", &[PCI])],
    );
    let vf = node.path("sys/devices/pci0000:3a/0000:3b:02.5");
    host::file::create_dir(&vf.join("net/vf5"), 0o700).unwrap();
    host::file::create_dir(&node.path("sys/class/net"), 0o700).unwrap();
    symlink(vf.join("net/vf5"), node.path("sys/class/net/vf5")).unwrap();
    symlink("../../../0000:3b:02.5", vf.join("net/vf5/device")).unwrap();
    node.write(
        "sys/devices/pci0000:3a/0000:3b:02.5/net/vf5/address",
        "02:00:00:00:00:aa\n",
    );
    let texts = [
        json!({"deviceID": PCI}),
        json!({"pciBusID": PCI}),
        json!({"deviceID": "0000:00:1f.6", "pciBusID": PCI}),
        json!({"DEVICEID": "0000:3B:02.5"}),
        json!({"pciBusID": format!("../devices/{PCI}")}),
        json!({"runtimeConfig": {"deviceID": PCI}}),
        json!({"device": "vf5"}),
        json!({"hwaddr": "02:00:00:00:00:AA"}),
        json!({"kernelpath": "/sys/devices/pci0000:3a/0000:3b:02.5"}),
    ];
    for (index, text) in texts.iter().enumerate() {
        let mut nad = json!({"cniVersion": "1.0.0", "name": "n", "type": "host-device"});
        nad.as_object_mut()
            .unwrap()
            .extend(text.as_object().unwrap().clone());
        node.api.nad(&format!("d/n{index}"), &nad.to_string(), None);
    }
    node.api
        .nad("d/r", r#"{"type":"sriov"}"#, Some("intel.com/r"));
    let daemon = node.start().await;
    for (index, text) in texts.iter().enumerate() {
        let answer = daemon
            .plan(&node.request("p", Some(&format!("n{index}"))))
            .await;
        let refusal = answer.refused("DeviceNotAllocated");
        assert!(
            refusal.contains(&format!("d/n{index}")),
            "{text}: {refusal}"
        );
    }
    // Its owner may name it.
    daemon.plan(&node.request("q", Some("n6"))).await.ok();
    let wish = json!([{"name": "r"}, {"name": "n0", "deviceID": PCI}]).to_string();
    daemon
        .plan(&node.request("p", Some(&wish)))
        .await
        .refused("DeviceNotAllocated");
    // A resource of one's own does not help to the device of another.
    node.api.nad(
        "d/both",
        r#"{"type":"host-device","device":"vf5"}"#,
        Some("intel.com/r"),
    );
    until("the NAD is known", async || {
        let answer = daemon.plan(&node.request("p", Some("both"))).await;
        answer.json()["details"] == "DeviceNotAllocated"
    })
    .await;
}
