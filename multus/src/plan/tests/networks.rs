//! Which networks, from where, in which order, and the refusals of bad ones.

use super::*;

const MACVLAN: &str =
    r#"{"cniVersion":"0.3.1","type":"macvlan","master":"eth1","x-unknown":{"b":1,"a":[1e400]}}"#;

#[test]
fn a_pod_without_wishes_gets_the_cluster_network_on_cni_ifname() {
    assert_eq!(World::new().layout(), ["*cbr0 eth0"]);
    let mut world = World::new();
    world.ifname = "ens5".into();
    assert_eq!(world.layout(), ["*cbr0 ens5"]);
}

#[test]
fn an_empty_annotation_asks_for_nothing() {
    assert_eq!(World::new().networks("").layout(), ["*cbr0 eth0"]);
}

#[test]
fn row_31_a_configuration_passes_through_byte_for_byte_but_for_an_injected_name() {
    let named =
        r#"{ "cniVersion":"0.3.1", "name":"own", "type":"macvlan","big":12345678901234567890 }"#;
    let world = World::new()
        .nad("d/a", named)
        .nad("d/b", MACVLAN)
        .networks("a,b");
    let plan = world.plan();
    assert_eq!(plan.attachments[1].config.get(), named);
    let text = plan.attachments[2].config.get();
    has_all(
        text,
        &[r#""name":"b""#, r#""x-unknown":{"b":1,"a":[1e400]}"#],
    );
}

#[test]
fn row_31_an_inline_list_is_a_list() {
    let list = r#"{"cniVersion":"1.0.0","plugins":[{"type":"macvlan"},{"type":"tuning"}]}"#;
    let plan = World::new().nad("d/a", list).networks("a").plan();
    let conf = config(&plan.attachments[1]);
    assert_eq!(conf["name"], "a");
    assert_eq!(conf["plugins"][1]["type"], "tuning");
}

#[test]
fn row_31_an_empty_nad_means_the_file_of_its_name() {
    let world = World::new()
        .nad("d/disk", "")
        .file(
            "disk",
            r#"{"cniVersion":"0.4.0","name":"disk","type":"ipvlan"}"#,
        )
        .networks("disk");
    assert_eq!(world.layout(), ["*cbr0 eth0", "d/disk net1"]);
    assert_eq!(config(&world.plan().attachments[1])["type"], "ipvlan");
}

#[test]
fn an_empty_nad_without_a_file_says_where_one_was_looked_for() {
    let (reason, text) = World::new().nad("d/disk", "").networks("disk").refused();
    assert_eq!(reason, Reason::NetworkNotFound);
    has_all(&text, &["d/disk", "/etc/cni/multus/net.d", "spec.config"]);
}

#[test]
fn a_bad_file_in_the_configuration_folder_is_named_with_its_fault() {
    let world = World::new()
        .nad("d/disk", "")
        .file("disk", "{")
        .networks("disk");
    let (reason, text) = world.refused();
    assert_eq!(reason, Reason::NetworkInvalid);
    has_all(&text, &["disk", "/etc/cni/multus/net.d"]);
}

#[test]
fn a_missing_nad_is_named_with_what_to_do() {
    let (reason, text) = World::new().networks("d2/gone").refused();
    assert_eq!(reason, Reason::NetworkNotFound);
    has_all(&text, &["d2/gone", "create it"]);
}

#[test]
fn a_nad_that_cannot_be_looked_up_is_tried_again_and_not_left_out() {
    let mut world = World::new().networks("a");
    world.api_down = true;
    let refusal = world.try_plan().unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.code()),
        (Reason::DaemonNotReady, 11)
    );
    has_all(&refusal.to_string(), &["d/a", "connection refused"]);
}

#[test]
fn row_68_invalid_nads_are_refused_with_name_and_fault() {
    for (text, fault) in [
        ("{\"type\":", "spec.config"),
        ("null", "spec.config"),
        ("[]", "spec.config"),
        (r#"{"name":"x"}"#, "type"),
        (r#"{"name":"x","type":""}"#, "type"),
        (r#"{"name":"x","type":"../../bin/sh"}"#, "../../bin/sh"),
        (r#"{"name":"x","type":"/bin/sh"}"#, "/bin/sh"),
        (r#"{"name":"x","plugins":[]}"#, "plugins"),
        (r#"{"name":"x","plugins":[null]}"#, "null"),
        (
            r#"{"name":"x","plugins":[{"type":"a"},{"ipam":{}}]}"#,
            "type",
        ),
        (r#"{"name":"bad name","type":"a"}"#, "bad name"),
    ] {
        let (reason, message) = World::new().nad("d/a", text).networks("a").refused();
        assert_eq!(reason, Reason::NetworkInvalid, "{text}");
        has_all(&message, &["d/a", fault, "correct"]);
    }
}

#[test]
fn multus_never_delegates_to_itself() {
    for kind in ["multus", "multus-shim"] {
        let nad = format!(r#"{{"name":"x","plugins":[{{"type":"tuning"}},{{"type":"{kind}"}}]}}"#);
        let (reason, text) = World::new().nad("d/a", &nad).networks("a").refused();
        assert_eq!(reason, Reason::NetworkInvalid);
        has_all(&text, &["d/a", kind]);
    }
}

#[test]
fn row_9_the_cluster_network_is_a_nad_of_the_multus_namespace_first() {
    let world = World::with_conf(r#""clusterNetwork":"flannel""#)
        .nad("kube-system/flannel", MACVLAN)
        .file("flannel", CBR0);
    assert_eq!(world.layout(), ["*kube-system/flannel eth0"]);
    let other = World::with_conf(r#""clusterNetwork":"flannel","multusNamespace":"net""#)
        .nad("net/flannel", MACVLAN);
    assert_eq!(other.layout(), ["*net/flannel eth0"]);
}

#[test]
fn row_7_the_cluster_network_is_a_name_in_conf_dir_second_also_when_the_api_is_down() {
    let mut world = World::with_conf(r#""clusterNetwork":"cbr0""#).file("cbr0", CBR0);
    assert_eq!(world.layout(), ["*cbr0 eth0"]);
    world.api_down = true;
    assert_eq!(world.layout(), ["*cbr0 eth0"]);
}

#[test]
fn row_7_a_cluster_network_that_is_nowhere_is_not_ready_and_tried_again() {
    let refusal = World::with_conf(r#""clusterNetwork":"cbr0""#)
        .try_plan()
        .unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.code()),
        (Reason::PrimaryNotReady, 11)
    );
    has_all(
        &refusal.to_string(),
        &["clusterNetwork", "kube-system/cbr0"],
    );
    let path = World::with_conf(r#""clusterNetwork":"/etc/cni/net.d/gone.conf""#);
    assert_eq!(path.refused().0, Reason::PrimaryNotReady);
}

#[test]
fn the_default_network_as_the_plugin_found_it_on_the_host_counts() {
    let mut world = World::with_conf(r#""clusterNetwork":"/host/only/x.conflist""#);
    world.primary = Some(multus_plugin::wire::ResolvedNetwork {
        name: "cbr0".into(),
        config: RawValue::from_string(CBR0.into()).unwrap(),
    });
    assert_eq!(world.layout(), ["*cbr0 eth0"]);
    assert_eq!(world.plan().attachments[0].config.get(), CBR0);
}

#[test]
fn row_6_delegates_are_attached_in_their_order_and_default_networks_are_then_ignored() {
    let world = World::with_conf(
        r#""delegates":[{"name":"a","type":"x"},{"name":"b","plugins":[{"type":"y"}]}],"defaultNetworks":["z"]"#,
    );
    assert_eq!(world.layout(), ["*a eth0", "b net1"]);
}

#[test]
fn a_delegate_without_a_name_or_type_is_refused_before_anything_is_executed() {
    let nameless = World::with_conf(r#""delegates":[{"type":"x"}]"#).refused();
    assert_eq!(nameless.0, Reason::NetworkInvalid);
    has_all(&nameless.1, &["delegates[0]", "name"]);
    let typeless = World::with_conf(r#""delegates":[{"name":"a","typ":"x"}]"#).refused();
    has_all(&typeless.1, &["delegates[0]", "type"]);
}

#[test]
fn no_delegates_and_no_cluster_network_is_an_error_that_names_both() {
    let (reason, text) = World::with_conf(r#""delegates":[]"#).refused();
    assert_eq!(reason, Reason::NetworkInvalid);
    has_all(&text, &["clusterNetwork", "delegates"]);
}

#[test]
fn row_8_default_networks_come_between_the_cluster_network_and_the_annotation() {
    let conf = r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist","defaultNetworks":["extra","/x/y.conf"]"#;
    let world = World::with_conf(conf)
        .nad("kube-system/extra", MACVLAN)
        .file("/x/y.conf", r#"{"name":"y","type":"ipvlan"}"#)
        .nad("d/a", MACVLAN)
        .networks("a");
    let expected = ["*cbr0 eth0", "kube-system/extra net1", "y net2", "d/a net3"];
    assert_eq!(world.layout(), expected);
}

#[test]
fn row_8_system_namespaces_get_no_default_networks() {
    let conf = r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist","defaultNetworks":["extra"],"systemNamespaces":["d"]"#;
    assert_eq!(World::with_conf(conf).layout(), ["*cbr0 eth0"]);
}

#[test]
fn row_18_the_default_network_annotation_replaces_the_default_network_in_both_modes() {
    for conf in [
        r#""clusterNetwork":"/nowhere/needed.conf""#,
        r#""delegates":[{"name":"a","type":"x"}]"#,
    ] {
        let world = World::with_conf(conf)
            .nad("kube-system/other", MACVLAN)
            .default_network("other");
        assert_eq!(world.layout(), ["*kube-system/other eth0"], "{conf}");
    }
    let named = World::new()
        .nad("d/other", MACVLAN)
        .default_network(r#"[{"name":"other","namespace":"d","interface":"up0"}]"#);
    assert_eq!(named.layout(), ["*d/other up0"]);
}

#[test]
fn row_18_a_default_network_annotation_names_exactly_one_network() {
    for text in ["", "a,b", "[]"] {
        let (reason, message) = World::new().default_network(text).refused();
        assert_eq!(reason, Reason::AnnotationInvalid, "{text:?}");
        has_all(&message, &["v1.multus-cni.io/default-network", "d/p"]);
    }
}

#[test]
fn a_request_for_the_default_network_alone_ignores_the_annotations() {
    let mut world = World::new().networks("root@a@b").default_network("");
    world.primary_only = true;
    assert_eq!(world.layout(), ["*cbr0 eth0"]);
}

const ISOLATED: &str =
    r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist","namespaceIsolation":true"#;

#[test]
fn row_10_isolation_allows_the_own_namespace_and_default_and_refuses_others_by_name() {
    let world = || {
        World::with_conf(ISOLATED)
            .nad("d/a", MACVLAN)
            .nad("default/b", MACVLAN)
            .nad("other/c", MACVLAN)
    };
    assert_eq!(world().networks("a,default/b").layout().len(), 3);
    let (reason, text) = world().networks("other/c").refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
    has_all(
        &text,
        &[
            "other/c",
            "namespaceIsolation",
            "d, default",
            "globalNamespaces",
        ],
    );
}

#[test]
fn global_namespaces_replace_the_implicit_default() {
    let conf = format!(r#"{ISOLATED},"globalNamespaces":"other, more""#);
    let world = || {
        World::with_conf(&conf)
            .nad("default/b", MACVLAN)
            .nad("other/c", MACVLAN)
    };
    assert_eq!(world().networks("other/c").layout().len(), 2);
    assert_eq!(
        world().networks("default/b").refused().0,
        Reason::AnnotationInvalid
    );
}

#[test]
fn row_10_isolation_holds_for_the_default_network_annotation_too_but_for_the_multus_namespace() {
    let world = || {
        World::with_conf(ISOLATED)
            .nad("kube-system/ok", MACVLAN)
            .nad("other/c", MACVLAN)
    };
    assert_eq!(world().default_network("ok").layout().len(), 1);
    let (reason, text) = world().default_network("other/c").refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
    has_all(&text, &["other/c", "kube-system"]);
    // The multus namespace is exempt for the default network only.
    assert_eq!(
        world().networks("kube-system/ok").refused().0,
        Reason::AnnotationInvalid
    );
}

#[test]
fn row_10_isolation_is_for_wishes_and_not_for_what_the_nodes_configuration_names() {
    let keys = r#""clusterNetwork":"cluster","defaultNetworks":["extra"],"namespaceIsolation":true,"globalNamespaces":"none""#;
    let world = World::with_conf(keys)
        .nad("kube-system/cluster", MACVLAN)
        .nad("kube-system/extra", MACVLAN);
    assert_eq!(
        world.layout(),
        ["*kube-system/cluster eth0", "kube-system/extra net1"]
    );
    for annotation in [
        "kube-system/extra",
        r#"[{"name":"extra","namespace":"kube-system"}]"#,
        "default/extra",
    ] {
        let world = World::with_conf(keys)
            .nad("kube-system/cluster", MACVLAN)
            .nad("kube-system/extra", MACVLAN)
            .nad("default/extra", MACVLAN)
            .networks(annotation);
        assert_eq!(world.refused().0, Reason::AnnotationInvalid, "{annotation}");
    }
}

#[test]
fn row_60_the_auxiliary_chain_is_added_by_the_plugin_and_not_planned() {
    let conf =
        r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist","auxiliaryCNIChainName":"vendor""#;
    assert_eq!(World::with_conf(conf).layout(), ["*cbr0 eth0"]);
}
