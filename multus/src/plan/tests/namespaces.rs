//! Networks that a namespace gives to its pods.

use super::*;

const MACVLAN: &str = r#"{"type":"macvlan"}"#;

/// Every namespace may give networks; NADs `a` and `b` of the pod's namespace, `a` of the multus namespace.
fn world(keys: &str) -> World {
    let keys = format!(
        r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist","namespaceDefaults":["d"],{keys}"multusNamespace":"ops""#
    );
    World::with_conf(&keys)
        .nad("d/a", MACVLAN)
        .nad("d/b", MACVLAN)
        .nad("ops/a", MACVLAN)
        .nad("other/x", MACVLAN)
}

#[test]
fn row_67_a_namespace_is_not_asked_unless_the_configuration_says_so() {
    let world = World::new().nad("d/a", MACVLAN).namespace("a", "a");
    assert_eq!(world.layout(), ["*cbr0 eth0"]);
    assert!(!world.asked_namespace.get());
    let mut system = super::namespaces::world(r#""systemNamespaces":["d"],"#).namespace("a", "a");
    assert_eq!(system.layout(), ["*cbr0 eth0"]);
    assert!(!system.asked_namespace.get());
    system = super::namespaces::world("").namespace("a", "a");
    system.primary_only = true;
    assert_eq!(system.layout(), ["*cbr0 eth0"]);
    assert!(!system.asked_namespace.get());
}

#[test]
fn row_67_networks_of_the_namespace_come_between_default_networks_and_those_of_the_pod() {
    let world = world(r#""defaultNetworks":["a"],"#)
        .namespace("a", "")
        .networks("b@own,b");
    assert_eq!(
        world.layout(),
        [
            "*cbr0 eth0",
            "ops/a net1",
            "d/a net2",
            "d/b own",
            "d/b net4"
        ]
    );
}

#[test]
fn row_67_a_namespace_may_replace_the_default_network_and_the_pod_may_replace_that() {
    let world = world("").namespace("", "d/b");
    assert_eq!(world.layout(), ["*d/b eth0"]);
    assert_eq!(world.default_network("d/a").layout(), ["*d/a eth0"]);
}

#[test]
fn row_67_wishes_of_a_namespace_have_both_forms_of_the_annotation() {
    let world = world("").namespace(r#"[{"name":"a","interface":"tenant0"}]"#, "");
    assert_eq!(world.layout(), ["*cbr0 eth0", "d/a tenant0"]);
}

#[test]
fn row_67_a_bad_annotation_of_the_namespace_is_refused_by_the_namespaces_name() {
    let (reason, text) = world("").namespace("a@b@c", "").refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
    has_all(
        &text,
        &["namespace d", "k8s.v1.cni.cncf.io/networks", "a@b@c"],
    );
    let (reason, text) = world("").namespace("", "a,b").refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
    has_all(&text, &["namespace d", "v1.multus-cni.io/default-network"]);
}

#[test]
fn row_67_isolation_holds_for_the_annotations_of_a_namespace_too() {
    let isolated = || world(r#""namespaceIsolation":true,"#);
    for (networks, default) in [("other/x", ""), ("", "other/x")] {
        let (reason, text) = isolated().namespace(networks, default).refused();
        assert_eq!(reason, Reason::AnnotationInvalid);
        has_all(&text, &["other/x", "namespaceIsolation"]);
    }
    assert_eq!(
        isolated().namespace("a", "ops/a").layout(),
        ["*ops/a eth0", "d/a net1"]
    );
    let (reason, _) = isolated().namespace("ops/a", "").refused();
    assert_eq!(reason, Reason::AnnotationInvalid);
}

#[test]
fn row_67_a_namespace_that_cannot_be_asked_is_tried_again_and_its_networks_not_left_out() {
    let mut world = world("");
    world.namespace = Found::Unknown("connection refused".into());
    let refusal = world.try_plan().unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.code()),
        (Reason::DaemonNotReady, 11)
    );
    has_all(&refusal.to_string(), &["namespace d", "connection refused"]);
    world.namespace = Found::Missing;
    assert_eq!(world.layout(), ["*cbr0 eth0"]);
}

#[test]
fn row_18_a_default_network_without_namespace_is_the_multus_namespaces_else_the_pods() {
    assert_eq!(world("").default_network("a").layout(), ["*ops/a eth0"]);
    assert_eq!(world("").default_network("b").layout(), ["*d/b eth0"]);
    assert_eq!(
        world("").default_network(r#"[{"name":"b"}]"#).layout(),
        ["*d/b eth0"]
    );
}

#[test]
fn row_18_a_default_network_that_is_nowhere_is_refused_with_both_names_that_were_tried() {
    let (reason, text) = world("").default_network("gone").refused();
    assert_eq!(reason, Reason::NetworkNotFound);
    has_all(&text, &["ops/gone", "d/gone", "create one of them"]);
    let (reason, text) = world("").default_network("ops/b").refused();
    assert_eq!(reason, Reason::NetworkNotFound);
    assert!(
        !text.contains("d/b"),
        "a namespace that was named counts alone: {text}"
    );
}
