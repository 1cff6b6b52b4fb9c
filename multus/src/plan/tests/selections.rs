//! What a pod asks of its networks: names, addresses, capabilities, arguments, routes.

use serde_json::json;

use super::*;

const PLAIN: &str = r#"{"cniVersion":"0.3.1","type":"macvlan","master":"eth1"}"#;
const ABLE: &str = r#"{"cniVersion":"0.3.1","type":"macvlan","capabilities":{"mac":true,"ips":true,"bandwidth":true,"portMappings":true,"infinibandGUID":true}}"#;

fn world(annotation: &str) -> World {
    World::new()
        .nad("d/a", ABLE)
        .nad("d/b", ABLE)
        .nad("d/plain", PLAIN)
        .networks(annotation)
}

#[test]
fn row_16_both_forms_of_the_annotation_mean_the_same() {
    let comma = world("a@x1, d/b").layout();
    let json = world(r#"[{"name":"a","interface":"x1"},{"name":"b","namespace":"d"}]"#).layout();
    assert_eq!(comma, ["*cbr0 eth0", "d/a x1", "d/b net2"]);
    assert_eq!(json, comma);
}

#[test]
fn row_21_an_interface_is_named_by_its_position_in_the_list() {
    let text = r#"[{"name":"a","interface":"macvlan1"},{"name":"b"}]"#;
    assert_eq!(
        world(text).layout(),
        ["*cbr0 eth0", "d/a macvlan1", "d/b net2"]
    );
}

#[test]
fn row_19_the_older_interface_key_names_the_interface_if_the_newer_does_not() {
    let legacy = r#"[{"name":"a","interfaceRequest":"old0"},{"name":"b","interface":"new0","interfaceRequest":"old1"}]"#;
    assert_eq!(
        world(legacy).layout(),
        ["*cbr0 eth0", "d/a old0", "d/b new0"]
    );
}

#[test]
fn row_17_an_ipam_claim_is_the_delegates_business_and_excludes_addresses() {
    let claim = r#"[{"name":"a","ipam-claim-reference":"c"}]"#;
    let plan = world(claim).plan();
    assert!(plan.attachments[1].capabilities.is_empty() && plan.warnings.is_empty());
    let both = r#"[{"name":"a","ipam-claim-reference":"c","ips":["10.1.1.2/24"]}]"#;
    let (reason, text) = world(both).refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
    has_all(&text, &["ipam-claim-reference", "ips", "d/p"]);
}

#[test]
fn row_20_the_same_network_twice_is_two_attachments() {
    assert_eq!(
        world("a,a").layout(),
        ["*cbr0 eth0", "d/a net1", "d/a net2"]
    );
}

#[test]
fn row_21_two_networks_on_one_interface_are_refused_before_anything_is_attached() {
    for (text, words) in [
        ("a@x,b@x", ["d/p", "networks", "\"x\""]),
        ("a@eth0", ["cbr0", "d/a", "eth0"]),
        ("a@net2,b", ["d/a", "d/b", "net2"]),
    ] {
        let (reason, message) = world(text).refused();
        assert_eq!(reason, Reason::AnnotationInvalid, "{text}");
        has_all(&message, &words);
    }
}

#[test]
fn row_15_bad_annotations_are_refused_with_the_annotations_name_and_the_pod() {
    for text in [
        "root@someIP/root@someOtherIP/root@thirdIP",
        "root@someIP/root@someOtherIP@garbagevalue",
        "root@someIP/root@someOtherIP",
        "a@x@y",
        "default/net1@myIfc Name",
        "default/net1@very_long_interface_name",
        "[{\"name\":",
        "[null]",
        r#"{"name":"a"}"#,
        r#"[{"interface":"x"}]"#,
        r#"[{"name":"a","ips":["10.1.1"]}]"#,
        r#"[{"name":"a","mac":"02:zz"}]"#,
        r#"[{"name":"a","default-route":["nowhere"]}]"#,
        r#"[{"name":"a","ips":["10.0.0.1"],"ipam-claim-reference":"c"}]"#,
    ] {
        let (reason, message) = world(text).refused();
        assert_eq!(reason, Reason::AnnotationInvalid, "{text}");
        has_all(&message, &["k8s.v1.cni.cncf.io/networks", "d/p"]);
    }
}

#[test]
fn row_23_requests_become_capabilities_and_the_older_arguments() {
    let plan =
        world(r#"[{"name":"a","mac":"02:00:00:00:00:01","ips":["10.1.1.2/24","fd00::2/64"]}]"#)
            .plan();
    let a = &plan.attachments[1];
    assert_eq!(capability(a, "mac"), Some(json!("02:00:00:00:00:01")));
    assert_eq!(
        capability(a, "ips"),
        Some(json!(["10.1.1.2/24", "fd00::2/64"]))
    );
    let args: Vec<String> = a.cni_args.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(args, ["MAC=02:00:00:00:00:01", "IP=10.1.1.2/24,fd00::2/64"]);
    assert!(plan.attachments[0].cni_args.is_empty() && plan.attachments[0].capabilities.is_empty());
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn row_24_guid_limits_and_ports_become_capabilities() {
    let plan = world(
        r#"[{"name":"a","infiniband-guid":"02:00:00:00:00:00:00:01",
            "bandwidth":{"ingressRate":8,"ingressBurst":9},
            "portMappings":[{"hostPort":80,"containerPort":8080,"protocol":"tcp"}]}]"#,
    )
    .plan();
    let a = &plan.attachments[1];
    assert_eq!(
        capability(a, "infinibandGUID"),
        Some(json!("02:00:00:00:00:00:00:01"))
    );
    assert_eq!(capability(a, "bandwidth").unwrap()["ingressRate"], 8);
    assert_eq!(
        capability(a, "portMappings").unwrap()[0]["containerPort"],
        8080
    );
    assert!(a.cni_args.is_empty() && plan.warnings.is_empty());
}

#[test]
fn a_capability_that_no_plugin_declares_is_a_warning() {
    let warnings = world(r#"[{"name":"plain","ips":["10.1.1.2/24"]}]"#).warnings();
    assert_eq!(warnings.len(), 1);
    has_all(&warnings[0], &["d/plain", "ips", "capabilities"]);
}

#[test]
fn the_runtimes_capabilities_reach_the_default_network_only_and_all_of_them() {
    let keys = r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist",
        "runtimeConfig":{"portMappings":[{"hostPort":80}],"dns":{"searches":["x"]},"ipRanges":[]}"#;
    let mut world = World::with_conf(keys);
    world = world.nad("d/a", ABLE).networks("a");
    let plan = world.plan();
    let names: Vec<&str> = plan.attachments[0]
        .capabilities
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["dns", "ipRanges", "portMappings"]);
    assert!(plan.attachments[1].capabilities.is_empty());
}

#[test]
fn the_default_networks_own_selection_wins_over_the_runtime() {
    let keys = r#""clusterNetwork":"x","runtimeConfig":{"mac":"02:00:00:00:00:09","dns":{}}"#;
    let plan = World::with_conf(keys)
        .nad("kube-system/a", ABLE)
        .default_network(r#"[{"name":"a","mac":"02:00:00:00:00:01"}]"#)
        .plan();
    let default = &plan.attachments[0];
    assert_eq!(capability(default, "mac"), Some(json!("02:00:00:00:00:01")));
    assert!(capability(default, "dns").is_some());
}

#[test]
fn row_25_cni_args_are_merged_into_every_plugin() {
    let list = r#"{"cniVersion":"1.0.0","plugins":[{"type":"x","args":{"cni":{"old":1,"k":"old"}}},{"type":"y"}]}"#;
    let plan = World::new()
        .nad("d/l", list)
        .networks(r#"[{"name":"l","cni-args":{"k":"new","n":[1]}}]"#)
        .plan();
    let conf = config(&plan.attachments[1]);
    assert_eq!(
        conf["plugins"][0]["args"]["cni"],
        json!({"old":1,"k":"new","n":[1]})
    );
    assert_eq!(
        conf["plugins"][1]["args"]["cni"],
        json!({"k":"new","n":[1]})
    );
}

#[test]
fn row_25_cni_args_that_cannot_be_merged_are_an_error_and_no_crash() {
    let (reason, text) = World::new()
        .nad("d/l", r#"{"type":"x","args":7}"#)
        .networks(r#"[{"name":"l","cni-args":{"k":1}}]"#)
        .refused();
    assert_eq!(reason, Reason::NetworkInvalid);
    has_all(&text, &["d/l", "args"]);
}

/// Gateways and kept families (v4, v6) of each attachment.
fn routes(world: &World) -> Vec<(usize, bool, bool)> {
    let plan = world.plan();
    plan.attachments
        .iter()
        .map(|a| {
            (
                a.gateways.len(),
                a.keep_default_route.v4,
                a.keep_default_route.v6,
            )
        })
        .collect()
}

#[test]
fn without_default_route_everything_stays() {
    assert_eq!(routes(&world("a,b")), [(0, true, true); 3]);
}

#[test]
fn row_26_a_v4_gateway_takes_the_others_v4_route_and_no_v6_route() {
    let text = r#"[{"name":"a","default-route":["10.9.0.1"]},{"name":"b"}]"#;
    assert_eq!(
        routes(&world(text)),
        [(0, false, true), (1, false, true), (0, false, true)]
    );
}

#[test]
fn row_26_a_dual_stack_gateway_takes_both() {
    let text = r#"[{"name":"a","default-route":["10.9.0.1","fd00::1"]}]"#;
    assert_eq!(routes(&world(text)), [(0, false, false), (2, false, false)]);
}

#[test]
fn row_26_an_empty_list_keeps_the_networks_own_route_and_takes_the_others_of_that_family() {
    let of = |ipam: &str| {
        World::new()
            .nad("d/r", &format!(r#"{{"type":"macvlan","ipam":{ipam}}}"#))
            .networks(r#"[{"name":"r","default-route":[]}]"#)
    };
    let v4 = r#"{"type":"host-local","routes":[{"dst":"0.0.0.0/0"},{"dst":"10.0.0.0/8"}]}"#;
    assert_eq!(routes(&of(v4)), [(0, false, true), (0, true, true)]);
    let v6 = r#"{"type":"static","routes":[{"dst":"::/0"}]}"#;
    assert_eq!(routes(&of(v6)), [(0, true, false), (0, true, true)]);
    assert_eq!(
        routes(&of(r#"{"type":"dhcp"}"#)),
        [(0, false, true), (0, true, true)]
    );
}

#[test]
fn row_26_two_networks_with_a_default_route_are_refused_by_name() {
    let text =
        r#"[{"name":"a","default-route":["10.9.0.1"]},{"name":"b","default-route":["fd00::1"]}]"#;
    let (reason, message) = world(text).refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
    has_all(&message, &["default-route"]);
    let both = World::new()
        .nad("kube-system/a", ABLE)
        .nad("d/b", ABLE)
        .default_network(r#"[{"name":"a","default-route":["10.9.0.1"]}]"#)
        .networks(r#"[{"name":"b","default-route":["fd00::1"]}]"#);
    has_all(&both.refused().1, &["kube-system/a", "d/b"]);
}

#[test]
fn row_37_worked_example_c3() {
    let mut world = World::new()
        .nad_with(
            "d/sriov-a",
            r#"{"cniVersion":"1.0.0","type":"sriov"}"#,
            Some("intel.com/r"),
        )
        .nad("d/macvlan-b", ABLE)
        .devices(&[&["0000:3b:02.1"]]);
    world = world.networks(
        r#"[{"name":"sriov-a","interface":"dpdk0"},
            {"name":"macvlan-b","ips":["10.9.0.5/24"],"default-route":["10.9.0.1"]}]"#,
    );
    assert_eq!(
        world.layout(),
        ["*cbr0 eth0", "d/sriov-a dpdk0", "d/macvlan-b net2"]
    );
    let plan = world.plan();
    let sriov = &plan.attachments[1];
    let conf = config(sriov);
    assert_eq!(
        (&conf["deviceID"], &conf["pciBusID"]),
        (&json!("0000:3b:02.1"), &json!("0000:3b:02.1"))
    );
    assert_eq!(capability(sriov, "deviceID"), Some(json!("0000:3b:02.1")));
    let target = "/var/run/k8s.cni.cncf.io/devinfo/cni/d-sriov-a-c1_dpdk0";
    assert_eq!(capability(sriov, "CNIDeviceInfoFile"), Some(json!(target)));
    let files = sriov.device_info.as_ref().unwrap();
    assert_eq!(files.target, Path::new(target));
    let source = "/var/run/k8s.cni.cncf.io/devinfo/dp/intel.com-r-0000:3b:02.1-device.json";
    assert_eq!(files.source.as_deref(), Some(Path::new(source)));
    assert_eq!(
        plan.attachments[2].cni_args,
        [("IP".to_owned(), "10.9.0.5/24".to_owned())]
    );
    assert_eq!(
        routes(&world),
        [(0, false, true), (0, false, true), (1, false, true)]
    );
    assert!(plan.attachments[0].device.is_none());
}
