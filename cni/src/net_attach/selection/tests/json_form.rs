//! Vectors of spec/multus.md §2.1, JSON form, and the stance of its appendix B.

use super::*;

fn element_error(keys: &str) -> String {
    error(&format!(r#"[{{"name":"a",{keys}}}]"#))
        .strip_prefix("element 0 of the network annotation: ")
        .unwrap()
        .to_owned()
}

fn with(keys: &str) -> Selection {
    one(&format!(r#"[{{"name":"a",{keys}}}]"#))
}

fn warnings(keys: &str) -> Vec<String> {
    let parsed = parse(&format!(r#"[{{"name":"z"}},{{"name":"a",{keys}}}]"#), "ns").unwrap();
    assert!(parsed.warnings.iter().all(|warning| warning.index == 1));
    parsed
        .warnings
        .into_iter()
        .map(|warning| warning.message)
        .collect()
}

#[test]
fn what_is_no_list_of_objects_is_refused() {
    for text in [
        r#"{"name":"a"}"#,
        "[",
        r#""a""#,
        r#"[{"name":"a"}] x"#,
        "a,[b]",
    ] {
        assert!(error(text).contains("not a JSON list of objects"), "{text}");
    }
}

#[test]
fn a_null_element_is_an_error_and_no_crash() {
    let text = r#"[{"name":"a"},null]"#;
    assert_eq!(
        error(text),
        "element 1 of the network annotation: it is null, not an object"
    );
    assert_eq!(
        error(r#"["a"]"#),
        "element 0 of the network annotation: it is \"a\", not an object"
    );
}

#[test]
fn a_name_is_required_and_must_be_one() {
    assert_eq!(
        error("[{}]"),
        "element 0 of the network annotation: it has no \"name\""
    );
    assert!(error(r#"[{"name":""}]"#).ends_with("it has no \"name\""));
    assert!(error(r#"[{"name":"../x"}]"#).contains("\"../x\""));
    assert!(error(r#"[{"name":7}]"#).contains("key \"name\" has value 7"));
    assert_eq!(one(r#"[{"name":"with.dots-0"}]"#).name, "with.dots-0");
}

#[test]
fn namespace_defaults_to_the_pods() {
    assert_eq!(one(r#"[{"name":"a"}]"#).namespace, "pod-ns");
    assert_eq!(with(r#""namespace":"""#).namespace, "pod-ns");
    assert_eq!(with(r#""namespace":"other""#).namespace, "other");
    assert!(element_error(r#""namespace":"a/b""#).contains("\"a/b\""));
}

#[test]
fn the_older_interface_key_counts_only_without_the_newer() {
    assert_eq!(
        with(r#""interfaceRequest":"old""#).interface.as_deref(),
        Some("old")
    );
    let both = with(r#""interface":"new","interfaceRequest":"old""#);
    assert_eq!(both.interface.as_deref(), Some("new"));
    assert_eq!(with(r#""interface":"""#).interface, None);
    assert!(element_error(r#""interface":"a/b""#).contains("interface name \"a/b\" is invalid"));
}

#[test]
fn a_mac_has_six_bytes_in_any_of_three_notations() {
    for mac in [
        "02:00:00:00:00:01",
        "02-00-00-00-00-01",
        "0200.0000.0001",
        "AA:bb:CC:dd:EE:ff",
    ] {
        assert_eq!(with(&format!(r#""mac":"{mac}""#)).mac.as_deref(), Some(mac));
    }
    for (mac, wanted) in [
        ("02:00:00:00:00:00:00:01", "has 8 bytes, not 6"),
        (
            "00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01",
            "has 20 bytes, not 6",
        ),
        ("02:00:00:00:00", "has 5 bytes, not 6"),
        ("0200.0000", "has 4 bytes, not 6"),
        ("020000000001", "is not a hardware address"),
        ("02:00:00:00:00:0g", "is not a hardware address"),
        ("02:00-00:00:00:01", "is not a hardware address"),
        ("2:0:0:0:0:1", "is not a hardware address"),
        ("CA:FE", "has 2 bytes, not 6"),
    ] {
        let error = element_error(&format!(r#""mac":"{mac}""#));
        assert_eq!(error, format!("mac \"{mac}\" {wanted}"));
    }
}

#[test]
fn a_guid_has_eight_bytes() {
    let guid = "24:8a:07:03:00:8d:ae:2e";
    assert_eq!(
        with(&format!(r#""infiniband-guid":"{guid}""#))
            .infiniband_guid
            .as_deref(),
        Some(guid)
    );
    let error = element_error(r#""infiniband-guid":"02:00:00:00:00:01""#);
    assert_eq!(
        error,
        "infiniband-guid \"02:00:00:00:00:01\" has 6 bytes, not 8"
    );
}

#[test]
fn ips_are_addresses_with_or_without_prefix() {
    let ips = with(r#""ips":["10.0.0.1","10.0.0.1/24","fd00::1","fd00::1/64"]"#).ips;
    assert_eq!(ips.len(), 4);
    for bad in [
        "10.0.0.256",
        "10.0.0.1/33",
        "fd00::1/129",
        "x",
        "",
        "10.0.0.1/",
    ] {
        assert!(
            element_error(&format!(r#""ips":["{bad}"]"#))
                .contains(&format!("ips {bad:?} is neither")),
            "{bad}"
        );
    }
    assert!(element_error(r#""ips":"10.0.0.1""#).contains("key \"ips\""));
}

#[test]
fn ips_and_an_ipam_claim_exclude_each_other() {
    let claim = with(r#""ipam-claim-reference":"c","ips":[]"#);
    assert_eq!(claim.ipam_claim_reference.as_deref(), Some("c"));
    let error = element_error(r#""ipam-claim-reference":"c","ips":["10.0.0.1"]"#);
    assert_eq!(
        error,
        "ips and ipam-claim-reference exclude each other; give one of them"
    );
}

#[test]
fn cni_args_keep_their_bytes_and_must_be_an_object() {
    let args = with(r#""cni-args":{"n":1.0e5, "s":"\u0041"}"#)
        .cni_args
        .unwrap();
    assert_eq!(args.to_string(), r#"{"n":1.0e5,"s":"\u0041"}"#);
    assert!(element_error(r#""cni-args":[1]"#).contains("key \"cni-args\" has value [1]"));
    assert_eq!(with(r#""cni-args":null"#).cni_args, None);
}

#[test]
fn a_default_route_may_be_absent_empty_single_or_dual() {
    assert_eq!(one("a").default_route, None);
    assert_eq!(with(r#""default-route":[]"#).default_route, Some(vec![]));
    assert_eq!(
        with(r#""default-route":["10.0.0.1"]"#)
            .default_route
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        with(r#""default-route":["fd00::1","10.0.0.1"]"#)
            .default_route
            .unwrap()
            .len(),
        2
    );
    assert!(element_error(r#""default-route":["10.0.0.0/8"]"#).contains("is not an IP address"));
    assert!(element_error(r#""default-route":[""]"#).contains("is not an IP address"));
}

#[test]
fn two_gateways_of_one_family_are_refused() {
    for gateways in [
        r#"["10.0.0.1","10.0.0.2"]"#,
        r#"["fd00::1","10.0.0.1","fd00::2"]"#,
    ] {
        let error = error(&format!(r#"[{{"name":"a","default-route":{gateways}}}]"#));
        assert!(
            error.contains("multus does not support ECMP for default-route"),
            "{error}"
        );
    }
}

#[test]
fn only_one_network_can_have_gateways() {
    let error = error(
        r#"[{"name":"a","default-route":["10.0.0.1"]},{"name":"b","default-route":["fd00::1"]}]"#,
    );
    assert!(
        error.contains("default-route is given for a and for b"),
        "{error}"
    );
    let text = r#"[{"name":"a","default-route":["10.0.0.1"]},{"name":"b","default-route":[]}]"#;
    assert!(parse(text, "ns").is_ok());
}

#[test]
fn ports_out_of_range_and_unknown_protocols_are_warnings() {
    assert!(
        warnings(r#""portMappings":[{"hostPort":1,"containerPort":65535,"protocol":"SCTP"}]"#)
            .is_empty()
    );
    assert_eq!(
        warnings(r#""portMappings":[{"hostPort":0,"containerPort":65536,"protocol":"icmp"}]"#),
        [
            "portMappings: hostPort 0 is not between 1 and 65535",
            "portMappings: containerPort 65536 is not between 1 and 65535",
            "portMappings: protocol \"icmp\" is not tcp, udp or sctp",
        ]
    );
    assert!(element_error(r#""portMappings":[{"hostPort":"80"}]"#).contains("key \"hostPort\""));
    assert!(element_error(r#""portMappings":[null]"#).contains("key \"portMappings\""));
    assert!(element_error(r#""portMappings":{}"#).contains("key \"portMappings\""));
}

#[test]
fn a_burst_without_rate_and_limits_of_zero_are_warnings() {
    assert!(
        warnings(r#""bandwidth":{"ingressRate":1,"ingressBurst":1,"egressRate":2}"#).is_empty()
    );
    assert_eq!(
        warnings(r#""bandwidth":{"ingressBurst":1,"egressRate":0}"#),
        [
            "bandwidth: ingressBurst needs ingressRate",
            "bandwidth: egressRate must be more than 0"
        ]
    );
    assert!(element_error(r#""bandwidth":{"ingressRate":"1M"}"#).contains("key \"ingressRate\""));
    assert!(element_error(r#""bandwidth":7"#).contains("key \"bandwidth\""));
}

#[test]
fn unknown_keys_are_ignored_and_letter_case_does_not_count() {
    let selection = one(r#"[{"Name":"a","MAC":"02:00:00:00:00:01","x-future":{"y":1}}]"#);
    assert_eq!(selection.mac.as_deref(), Some("02:00:00:00:00:01"));
}
