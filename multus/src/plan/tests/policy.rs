//! What a node's configuration forbids: plugin types, wishes that would be met in part only.

use super::*;

const ALLOWED: &str = r#""allowedPlugins":["bridge","portmap","macvlan","host-local"]"#;

fn world(keys: &str) -> World {
    World::with_conf(&format!(
        r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist",{keys}"#
    ))
}

#[test]
fn row_68_a_nad_of_a_type_that_is_not_allowed_is_refused_with_type_and_list() {
    for nad in [
        r#"{"type":"evil"}"#,
        r#"{"type":"macvlan","ipam":{"type":"evil"}}"#,
        r#"{"plugins":[{"type":"macvlan"},{"type":"evil"}]}"#,
    ] {
        let (reason, text) = world(ALLOWED).nad("d/x", nad).networks("x").refused();
        assert_eq!(reason, Reason::NetworkInvalid, "{nad}");
        has_all(&text, &["d/x", "\"evil\"", "macvlan", "allowedPlugins"]);
        world(r#""strict":true"#)
            .nad("d/x", nad)
            .networks("x")
            .plan();
    }
    let good = r#"{"type":"macvlan","ipam":{"type":"host-local"}}"#;
    world(ALLOWED).nad("d/x", good).networks("x").plan();
}

#[test]
fn row_68_the_list_holds_for_every_way_to_a_nad() {
    let evil = r#"{"type":"evil"}"#;
    let named = r#"{"name":"x","type":"evil"}"#;
    let by_default_annotation = world(ALLOWED).nad("d/x", evil).default_network("d/x");
    let by_cluster_network =
        World::with_conf(&format!(r#""clusterNetwork":"x",{ALLOWED}"#)).nad("kube-system/x", evil);
    let by_default_networks =
        world(&format!(r#""defaultNetworks":["x"],{ALLOWED}"#)).nad("kube-system/x", evil);
    let by_namespace = world(&format!(r#""namespaceDefaults":true,{ALLOWED}"#))
        .nad("d/x", evil)
        .namespace("x", "");
    let by_file = world(ALLOWED).nad("d/x", "").file("x", named).networks("x");
    for world in [
        by_default_annotation,
        by_cluster_network,
        by_default_networks,
        by_namespace,
        by_file,
    ] {
        assert_eq!(world.refused().0, Reason::NetworkInvalid, "{}", world.conf);
    }
}

#[test]
fn row_68_the_nodes_own_files_and_delegates_need_no_permission() {
    world(r#""allowedPlugins":[]"#).plan();
    World::with_conf(r#""delegates":[{"name":"a","type":"x"}],"allowedPlugins":[]"#).plan();
}

const PARTLY: [(&str, &str); 3] = [
    (r#"[{"name":"a","mac":"02:00:00:00:00:01"}]"#, "mac"),
    (
        r#"[{"name":"a","portMappings":[{"hostPort":70000,"containerPort":1}]}]"#,
        "70000",
    ),
    (
        r#"[{"name":"a","deviceID":"0000:00:02.0"}]"#,
        "0000:00:02.0",
    ),
];

#[test]
fn row_69_what_is_met_in_part_only_is_a_warning_and_strictly_a_refusal() {
    for (annotation, word) in PARTLY {
        let of = |keys: &str| {
            world(keys)
                .nad("d/a", r#"{"type":"macvlan"}"#)
                .networks(annotation)
        };
        let warnings = of(r#""strict":false"#).warnings();
        assert!(
            warnings.iter().any(|text| text.contains(word)),
            "{annotation}: {warnings:?}"
        );
        let (_, text) = of(r#""strict":true"#).refused();
        has_all(&text, &["strict"]);
    }
    let (reason, text) = world(r#""strict":true"#)
        .nad("d/a", r#"{"type":"macvlan"}"#)
        .networks(PARTLY[0].0)
        .refused();
    assert_eq!(reason, Reason::NetworkInvalid);
    has_all(&text, &["d/a", "mac", "capabilities"]);
}

#[test]
fn row_69_a_wish_that_is_met_passes_strictly_too() {
    let declared = r#"{"type":"macvlan","capabilities":{"mac":true}}"#;
    world(r#""strict":true"#)
        .nad("d/a", declared)
        .networks(PARTLY[0].0)
        .plan();
}

#[test]
fn row_69_a_missing_device_is_an_error_strict_or_not() {
    for strict in [true, false] {
        let world = world(&format!(r#""strict":{strict}"#))
            .nad_with("d/a", r#"{"type":"sriov"}"#, Some("intel.com/r"))
            .networks("a")
            .devices(&[]);
        assert_eq!(world.refused().0, Reason::PoolNotRequested);
    }
}
