//! Which device goes to which network.

use super::*;

const SRIOV: &str = r#"{"cniVersion":"1.0.0","type":"sriov"}"#;

fn world(annotation: &str) -> World {
    World::new()
        .nad_with("d/r-net", SRIOV, Some("intel.com/r"))
        .nad_with(
            "d/list",
            r#"{"plugins":[{"type":"sriov"},{"type":"tuning"}]}"#,
            Some("intel.com/r"),
        )
        .nad("d/macvlan", r#"{"type":"macvlan"}"#)
        .networks(annotation)
}

fn ids(world: &World) -> Vec<String> {
    let plan = world.plan();
    let ids = plan.attachments.iter().filter_map(|a| a.device.clone());
    ids.map(|device| device.id).collect()
}

#[test]
fn row_35_worked_example_c2_devices_follow_the_containers() {
    let world = world("r-net,r-net,r-net,r-net").devices(&[&["02.3", "02.1"], &["02.7", "02.0"]]);
    assert_eq!(ids(&world), ["02.1", "02.3", "02.0", "02.7"]);
}

#[test]
fn nothing_is_asked_of_the_kubelet_unless_a_network_has_a_resource() {
    let without = world("macvlan");
    without.plan();
    assert_eq!(without.asked_kubelet.get(), None);
    let with = world("macvlan,r-net").devices(&[&["02.1"]]);
    with.plan();
    assert_eq!(with.asked_kubelet.get(), Some(false));
}

#[test]
fn row_33_the_device_is_written_into_every_plugin_of_a_list() {
    let plan = world("list").devices(&[&["02.1"]]).plan();
    let conf = config(&plan.attachments[1]);
    for index in 0..2 {
        assert_eq!(conf["plugins"][index]["deviceID"], "02.1");
        assert_eq!(conf["plugins"][index]["pciBusID"], "02.1");
    }
}

#[test]
fn one_ledger_serves_default_extra_and_annotation_networks() {
    let keys = r#""clusterNetwork":"r-net","defaultNetworks":["r-net"],"multusNamespace":"d""#;
    let mut world = World::with_conf(keys)
        .nad_with("d/r-net", SRIOV, Some("intel.com/r"))
        .networks("r-net");
    world = world.devices(&[&["02.1", "02.2", "02.3"]]);
    assert_eq!(ids(&world), ["02.1", "02.2", "02.3"]);
    let by_annotation = world.default_network("r-net");
    assert_eq!(ids(&by_annotation), ["02.1", "02.2", "02.3"]);
}

#[test]
fn more_networks_than_devices_is_an_error_that_names_network_and_numbers() {
    let (reason, text) = world("r-net,macvlan,r-net").devices(&[&["02.1"]]).refused();
    assert_eq!(reason, Reason::PoolExhausted);
    has_all(
        &text,
        &["d/r-net", "intel.com/r", "d/p", "has 1", "at least 2"],
    );
}

#[test]
fn row_33_a_default_network_with_a_resource_gets_device_capabilities_and_device_info_too() {
    let plan = world("")
        .default_network("d/r-net")
        .devices(&[&["02.1"]])
        .plan();
    let default = &plan.attachments[0];
    assert!(default.default);
    assert_eq!(config(default)["deviceID"], "02.1");
    assert_eq!(config(default)["pciBusID"], "02.1");
    assert_eq!(capability(default, "deviceID"), Some("02.1".into()));
    let files = default.device_info.as_ref().unwrap();
    assert!(files.source.is_some() && files.target.ends_with("cni/d-r-net-c1_eth0"));
}

#[test]
fn row_33_a_resource_that_no_container_requested_is_an_error_that_names_the_missing_request() {
    let (reason, text) = world("r-net").devices(&[]).refused();
    assert_eq!(reason, Reason::PoolNotRequested);
    has_all(
        &text,
        &["d/r-net", "\"intel.com/r\": 1", "requests and limits"],
    );
}

#[test]
fn a_node_without_a_kubelet_has_no_devices_and_a_silent_one_is_tried_again() {
    let (reason, text) = world("r-net").refused();
    assert_eq!(reason, Reason::DeviceNotAllocated);
    has_all(&text, &["d/r-net", "kubelet"]);
    let mut silent = world("r-net");
    silent.devices = Found::Unknown("connection refused".into());
    let refusal = silent.try_plan().unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.code()),
        (Reason::DaemonNotReady, 11)
    );
}

#[test]
fn row_36_a_device_of_another_pod_is_refused_however_it_is_named() {
    let taken = "0000:3b:02.1";
    for (nad, annotation) in [
        (r#"{"type":"sriov","deviceID":"0000:3b:02.1"}"#, "x"),
        (r#"{"type":"sriov","DeviceId":"0000:3B:02.1"}"#, "x"),
        (r#"{"type":"host-device","pciBusID":"0000:3b:02.1"}"#, "x"),
        (
            r#"{"type":"x","runtimeConfig":{"deviceID":"0000:3b:02.1"}}"#,
            "x",
        ),
        (
            r#"{"plugins":[{"type":"a"},{"type":"b","deviceID":"0000:3b:02.1"}]}"#,
            "x",
        ),
        (
            r#"{"type":"sriov"}"#,
            r#"[{"name":"x","deviceID":"0000:3b:02.1"}]"#,
        ),
    ] {
        let world = World::new()
            .nad("d/x", nad)
            .networks(annotation)
            .devices(&[&["0000:3b:02.2"]])
            .of_others(&[taken, "0000:3b:02.2"]);
        let (reason, text) = world.refused();
        assert_eq!(reason, Reason::DeviceNotAllocated, "{nad} {annotation}");
        has_all(&text, &["d/x", "02.1", "d/p"]);
        assert_eq!(world.asked_kubelet.get(), Some(true));
    }
}

#[test]
fn a_second_name_for_a_device_counts_too_whatever_the_first_one_is() {
    for nad in [
        r#"{"type":"host-device","deviceID":"0000:00:1f.0","pciBusID":"0000:3b:02.1"}"#,
        r#"{"type":"host-device","pciBusID":"0000:00:1f.0","PCIBUSID":"0000:3b:02.1"}"#,
        r#"{"type":"sriov","pciBusID":"","deviceID":"0000:3b:02.1"}"#,
    ] {
        let world = World::new()
            .nad("d/x", nad)
            .networks("x")
            .devices(&[&["0000:3b:02.2"]])
            .of_others(&["0000:3b:02.1"]);
        assert_eq!(world.refused().0, Reason::DeviceNotAllocated, "{nad}");
    }
}

#[test]
fn a_device_named_by_a_path_is_refused() {
    for id in [
        "../devices/0000:3b:02.1",
        "0000:3b:02.1/",
        "./0000:3b:02.1",
        "0000:3b:02.1\0",
    ] {
        for key in ["deviceID", "pciBusID"] {
            let nad = serde_json::json!({"type": "host-device", key: id}).to_string();
            let world = World::new()
                .nad("d/x", &nad)
                .networks("x")
                .devices(&[])
                .of_others(&["0000:3b:02.1"]);
            assert_eq!(world.refused().0, Reason::DeviceNotAllocated, "{nad}");
        }
    }
}

#[test]
fn an_interface_of_another_pods_device_is_refused_by_name_address_and_path() {
    let path = "/sys/devices/pci0000:3a/0000:3b:00.0/virtfn1";
    for (nad, naming) in [
        (
            r#"{"type":"host-device","device":"vf1"}"#,
            Naming::Interface("vf1".into()),
        ),
        (
            r#"{"type":"host-device","HWADDR":"02:00:00:00:00:aa"}"#,
            Naming::HardwareAddress("02:00:00:00:00:aa".into()),
        ),
        (
            r#"{"plugins":[{"type":"tuning"},{"type":"host-device","kernelpath":"/sys/devices/pci0000:3a/0000:3b:00.0/virtfn1"}]}"#,
            Naming::Path(path.into()),
        ),
    ] {
        for resource in [None, Some("intel.com/r")] {
            let world = World::new()
                .nad_with("d/x", nad, resource)
                .interface(naming.clone(), "0000:3b:02.1")
                .networks("x")
                .devices(&[&["0000:3b:02.2"]])
                .of_others(&["0000:3b:02.1", "0000:3b:02.2"]);
            let (reason, text) = world.refused();
            assert_eq!(reason, Reason::DeviceNotAllocated, "{nad}");
            has_all(&text, &["d/x", "0000:3b:02.1", "d/p"]);
        }
    }
}

#[test]
fn an_interface_that_is_no_pci_function_is_not_asked_about_at_the_kubelet() {
    let world = World::new()
        .nad("d/x", r#"{"type":"host-device","device":"dummy0"}"#)
        .networks("x");
    assert!(world.warnings().is_empty());
    assert_eq!(world.asked_kubelet.get(), None);
}

#[test]
fn a_device_that_no_pool_knows_passes_with_a_warning() {
    let world = World::new()
        .nad("d/x", r#"{"type":"sriov","deviceID":"0000:3b:02.1"}"#)
        .networks("x")
        .devices(&[])
        .of_others(&["0000:3b:02.7"]);
    has_all(&world.warnings()[0], &["d/x", "0000:3b:02.1"]);
}

#[test]
fn row_36_a_requested_device_of_the_pod_is_a_capability_and_not_written_into_the_configuration() {
    let world = World::new()
        .nad("d/x", SRIOV)
        .networks(r#"[{"name":"x","deviceID":"0000:3b:02.1"}]"#)
        .devices(&[&["0000:3b:02.1"]])
        .of_others(&["0000:3b:02.1"]);
    let plan = world.plan();
    let x = &plan.attachments[1];
    assert!(x.device.as_ref().unwrap().requested);
    assert_eq!(capability(x, "deviceID"), Some("0000:3b:02.1".into()));
    assert!(config(x).get("deviceID").is_none());
    assert_eq!(x.device_info.as_ref().unwrap().source, None);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn one_device_is_never_used_by_two_networks() {
    let world = world(r#"[{"name":"r-net"},{"name":"x","deviceID":"02.1"}]"#)
        .nad("d/x", SRIOV)
        .devices(&[&["02.1"]])
        .of_others(&["02.1"]);
    let (reason, text) = world.refused();
    assert_eq!(reason, Reason::DeviceNotAllocated);
    has_all(&text, &["d/r-net", "d/x", "02.1"]);
}

#[test]
fn the_kubelets_device_wins_over_a_requested_one_with_a_warning() {
    let world = world(r#"[{"name":"r-net","deviceID":"02.9"}]"#).devices(&[&["02.1"]]);
    assert_eq!(ids(&world), ["02.1"]);
    has_all(&world.warnings()[0], &["02.9", "02.1"]);
}

#[test]
fn a_device_in_the_nads_text_is_replaced_by_the_resources_device() {
    let world = World::new()
        .nad_with(
            "d/x",
            r#"{"type":"sriov","deviceId":"02.9"}"#,
            Some("intel.com/r"),
        )
        .networks("x")
        .devices(&[&["02.1"]]);
    let text = world.plan().attachments[1].config.get().to_owned();
    assert!(text.contains("02.1") && !text.contains("02.9"), "{text}");
}

#[test]
fn a_software_slot_is_for_plugin_type_sriov_only() {
    let of = |nad: &str| {
        World::new()
            .nad_with("d/x", nad, Some("intel.com/r"))
            .networks("x")
            .devices(&[&["software-3"]])
    };
    assert_eq!(
        ids(&of(r#"{"type":"sriov","fallback":{"type":"macvlan"}}"#)),
        ["software-3"]
    );
    let (reason, text) = of(r#"{"type":"host-device"}"#).refused();
    assert_eq!(reason, Reason::NetworkInvalid);
    has_all(&text, &["d/x", "software-3", "host-device"]);
}

#[test]
fn a_software_slot_cannot_be_asked_for_by_text() {
    let (reason, _) = World::new()
        .nad("d/x", r#"{"type":"sriov","deviceID":"software-1"}"#)
        .networks("x")
        .refused();
    assert_eq!(reason, Reason::DeviceNotAllocated);
}
