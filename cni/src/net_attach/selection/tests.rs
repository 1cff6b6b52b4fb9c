use proptest::prelude::*;

use super::*;

mod comma_form;
mod json_form;

fn one(text: &str) -> Selection {
    let mut parsed = parse(text, "pod-ns").unwrap();
    assert_eq!(parsed.elements.len(), 1, "{text}");
    assert_eq!(parsed.warnings, [], "{text}");
    parsed.elements.remove(0)
}

fn error(text: &str) -> String {
    parse(text, "pod-ns").unwrap_err().to_string()
}

#[test]
fn an_empty_annotation_asks_for_nothing() {
    assert_eq!(parse("", "ns").unwrap(), Selections::default());
    assert_eq!(parse("[]", "ns").unwrap(), Selections::default());
}

#[test]
fn the_order_of_the_annotation_is_kept_and_a_network_may_come_twice() {
    for text in ["b,a,b", r#"[{"name":"b"},{"name":"a"},{"name":"b"}]"#] {
        let parsed = parse(text, "ns").unwrap();
        let names: Vec<_> = parsed.elements.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "b"]);
    }
}

#[test]
fn two_networks_cannot_have_one_interface() {
    let wanted = "network annotation: two networks have the interface name \"x\"; give one another";
    assert_eq!(error("a@x,b@x"), wanted);
    assert_eq!(
        error(r#"[{"name":"a","interface":"x"},{"name":"b","interfaceRequest":"x"}]"#),
        wanted
    );
}

#[test]
fn a_default_network_is_exactly_one() {
    let (selection, _) = parse_default_network("net1@eth9", "kube-system").unwrap();
    assert_eq!(selection.namespace, "kube-system");
    assert_eq!(selection.interface.as_deref(), Some("eth9"));
    let (selection, _) = parse_default_network(r#"[{"name":"a","namespace":"b"}]"#, "x").unwrap();
    assert_eq!(selection.namespace, "b");
    for (text, count) in [("", 0), ("[]", 0), ("a,b", 2), ("a,b,c", 3)] {
        let error = parse_default_network(text, "x").unwrap_err().to_string();
        assert!(
            error.ends_with(&format!(
                "the default network must be exactly one, not {count}"
            )),
            "{error}"
        );
    }
}

#[test]
fn interfaces_are_named_by_position_unless_a_name_is_wanted() {
    let names = interface_names("eth0", &[None, Some("macvlan1"), None]).unwrap();
    assert_eq!(names, ["eth0", "macvlan1", "net2"]);
    assert_eq!(
        interface_names("eth0", &[Some("wan0"), None]).unwrap(),
        ["wan0", "net1"]
    );
    assert!(interface_names("eth0", &[None, Some("eth0")]).is_err());
    assert!(interface_names("eth0", &[None, Some("net2"), None]).is_err());
}

#[test]
fn a_request_becomes_capabilities_and_cni_args() {
    let selection = one(
        r#"[{"name":"a","mac":"02:00:00:00:00:01","infiniband-guid":"02:00:00:00:00:00:00:01","ips":["10.0.0.2/24","fd00::2"],
            "portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"10.0.0.1"},{"hostPort":1,"containerPort":2}],
            "bandwidth":{"ingressRate":1000,"ingressBurst":100},"deviceID":"0000:3b:02.1"}]"#,
    );
    assert_eq!(
        selection.capability_args().to_string(),
        r#"{"mac":"02:00:00:00:00:01","infinibandGUID":"02:00:00:00:00:00:00:01","ips":["10.0.0.2/24","fd00::2"],"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"10.0.0.1"},{"hostPort":1,"containerPort":2}],"bandwidth":{"ingressRate":1000,"ingressBurst":100,"egressRate":0,"egressBurst":0},"deviceID":"0000:3b:02.1"}"#
    );
    assert_eq!(
        selection.cni_args_pairs(),
        [
            ("MAC", "02:00:00:00:00:01".to_owned()),
            ("IP", "10.0.0.2/24,fd00::2".to_owned())
        ]
    );
    assert!(one("a").capability_args().is_empty());
    assert!(one("a").cni_args_pairs().is_empty());
}

proptest! {
    #[test]
    fn both_forms_say_the_same(items in proptest::collection::vec(("[a-z][a-z0-9]{0,6}", proptest::option::of("[a-z]{1,5}"), proptest::option::of("[a-z]{1,6}[0-9]{1,6}")), 1..5)) {
        let comma: Vec<String> = items.iter().map(|(name, namespace, interface)| {
            let namespace = namespace.as_ref().map_or_else(String::new, |ns| format!("{ns}/"));
            let interface = interface.as_ref().map_or_else(String::new, |i| format!("@{i}"));
            format!("{namespace}{name}{interface}")
        }).collect();
        let json: Vec<serde_json::Value> = items.iter().map(|(name, namespace, interface)| {
            serde_json::json!({"name": name, "namespace": namespace, "interface": interface})
        }).collect();
        let json = serde_json::to_string(&json).unwrap();
        prop_assert_eq!(parse(&comma.join(" , "), "d"), parse(&json, "d"));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\]{}\",:@/a-z0-9. -]{0,40}") {
        let _outcome = parse(&text, "d");
    }
}
