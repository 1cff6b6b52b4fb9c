use proptest::prelude::*;

use super::*;
use crate::result;
use crate::version::Version;

fn add_result(text: &str) -> AddResult {
    result::parse(text.as_bytes(), Version::V1_1_0).unwrap()
}

fn attached(result: &AddResult, default: bool) -> Attached<'_> {
    Attached {
        name: "ns/nad",
        default,
        ifname: "eth0",
        result,
        device_info: None,
        gateways: &[],
    }
}

fn printed(text: &str, default: bool) -> String {
    print(&of_attachment(&attached(&add_result(text), default)))
}

const SEVERAL: &str = r#"{"interfaces":[{"name":"cni0"},{"name":"eth0","mac":"02:00:00:00:00:01","mtu":1500,"sandbox":"/n"},{"name":"eth1","sandbox":"/n"}],
    "ips":[{"interface":2,"address":"10.2.0.2/24","gateway":"10.2.0.1"},{"interface":1,"address":"10.1.0.2/24"},{"address":"10.3.0.2/24"}],
    "routes":[{"dst":"0.0.0.0/0","gw":"10.2.0.1"}]}"#;

#[test]
fn the_text_has_the_exact_bytes_of_multus() {
    let sriov = r#"{"interfaces":[{"name":"net1","mac":"02:00:00:00:00:01","mtu":1500,"sandbox":"/n"}],"ips":[{"interface":0,"address":"10.1.1.2/24","gateway":"10.1.1.1"}],"dns":{"nameservers":["10.0.0.10"],"search":["a.b"]},"routes":[{"dst":"0.0.0.0/0","gw":"10.1.1.1"}]}"#;
    let plain = add_result(r#"{"interfaces":[{"name":"eth0","sandbox":"/n"}]}"#);
    let device_info: DeviceInfo = serde_json::from_str(
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:3b:02.0"}}"#,
    )
    .unwrap();
    let result = add_result(sriov);
    let mut statuses = of_attachment(&Attached {
        name: "cbr0",
        default: true,
        ..attached(&plain, true)
    });
    statuses.extend(of_attachment(&Attached {
        device_info: Some(&device_info),
        ..attached(&result, false)
    }));
    let wanted = r#"[{
    "name": "cbr0",
    "interface": "eth0",
    "default": true,
    "dns": {}
},{
    "name": "ns/nad",
    "interface": "net1",
    "ips": [
        "10.1.1.2"
    ],
    "mac": "02:00:00:00:00:01",
    "mtu": 1500,
    "dns": {
        "nameservers": [
            "10.0.0.10"
        ],
        "search": [
            "a.b"
        ]
    },
    "device-info": {
        "type": "pci",
        "version": "1.1.0",
        "pci": {
            "pci-address": "0000:3b:02.0"
        }
    },
    "gateway": [
        "10.1.1.1"
    ]
}]"#;
    assert_eq!(print(&statuses), wanted);
    assert_eq!(parse(wanted).unwrap(), statuses);
}

#[test]
fn no_attachment_is_an_empty_list() {
    assert_eq!(print(&[]), "[]");
}

#[test]
fn characters_that_go_escapes_are_escaped() {
    let status = NetworkStatus {
        name: "a<b>&\u{2028}".into(),
        ..NetworkStatus::default()
    };
    let text = print(std::slice::from_ref(&status));
    assert!(text.contains(r#""a\u003cb\u003e\u0026\u2028""#), "{text}");
    assert_eq!(parse(&text).unwrap(), [status]);
}

#[test]
fn one_interface_has_all_addresses_whatever_their_index() {
    let text = r#"{"interfaces":[{"name":"net1","sandbox":"/n"}],"ips":[{"address":"10.0.0.2/24"},{"interface":0,"address":"fd00::2/64"},{"interface":7,"address":"10.9.0.2/24"}]}"#;
    let statuses = of_attachment(&attached(&add_result(text), false));
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].ips, ["10.0.0.2", "fd00::2", "10.9.0.2"]);
    assert!(!statuses[0].default);
}

#[test]
fn one_interface_of_the_host_lends_neither_name_nor_mac() {
    let text = r#"{"interfaces":[{"name":"veth1","mac":"02:00:00:00:00:01","mtu":1500}],"ips":[{"address":"10.0.0.2/24"}]}"#;
    assert_eq!(
        printed(text, false),
        "[{\n    \"name\": \"ns/nad\",\n    \"ips\": [\n        \"10.0.0.2\"\n    ],\n    \"dns\": {}\n}]"
    );
}

#[test]
fn a_result_without_interface_gives_no_element_except_for_the_default_network() {
    let text = r#"{"ips":[{"address":"10.0.0.2/24"}]}"#;
    assert_eq!(printed(text, false), "[]");
    let statuses = of_attachment(&attached(&add_result(text), true));
    assert_eq!(statuses.len(), 1);
    assert_eq!(
        (statuses[0].interface.as_str(), statuses[0].default),
        ("eth0", true)
    );
    assert_eq!(statuses[0].ips, ["10.0.0.2"]);
}

#[test]
fn several_interfaces_give_one_element_for_each_in_the_pod() {
    let statuses = of_attachment(&attached(&add_result(SEVERAL), true));
    assert_eq!(statuses.len(), 2);
    assert_eq!(statuses[0].interface, "eth0");
    assert_eq!(statuses[0].ips, ["10.1.0.2"]);
    assert_eq!(statuses[0].mtu, 1500);
    assert_eq!(statuses[1].ips, ["10.2.0.2", "10.3.0.2"]);
    assert_eq!(statuses[0].gateway, ["10.2.0.1"]);
    assert_eq!(statuses[1].gateway, ["10.2.0.1"]);
}

#[test]
fn the_interface_with_the_first_gateway_is_the_default() {
    let defaults = |text: &str, default| -> Vec<bool> {
        of_attachment(&attached(&add_result(text), default))
            .iter()
            .map(|s| s.default)
            .collect()
    };
    assert_eq!(defaults(SEVERAL, true), [false, true]);
    assert_eq!(defaults(SEVERAL, false), [false, false]);
    let no_gateway = SEVERAL.replace(r#","gateway":"10.2.0.1""#, "");
    assert_eq!(defaults(&no_gateway, true), [true, false]);
    let on_the_host = SEVERAL.replace(r#""interface":2"#, r#""interface":0"#);
    assert_eq!(defaults(&on_the_host, true), [true, false]);
}

#[test]
fn several_interfaces_of_the_host_only_are_like_none() {
    let text = r#"{"interfaces":[{"name":"a"},{"name":"b"}]}"#;
    assert_eq!(printed(text, false), "[]");
    assert_eq!(of_attachment(&attached(&add_result(text), true)).len(), 1);
}

#[test]
fn gateways_come_from_default_routes_that_have_one() {
    let text = r#"{"interfaces":[{"name":"net1","sandbox":"/n"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"},{"gw":"10.0.0.1"},{"dst":"10.0.0.0/8","gw":"10.0.0.9"}]}"#;
    let result = add_result(text);
    assert_eq!(
        of_attachment(&attached(&result, false))[0].gateway,
        ["fd00::1", "10.0.0.1"]
    );
}

#[test]
fn gateways_that_default_route_set_are_told_instead() {
    let result = add_result(SEVERAL);
    let gateways = ["10.254.0.1".parse().unwrap()];
    let statuses = of_attachment(&Attached {
        gateways: &gateways,
        ..attached(&result, false)
    });
    assert_eq!(statuses[0].gateway, ["10.254.0.1"]);
}

proptest! {
    #[test]
    fn printed_statuses_are_read_back(name in ".{0,12}", ips in proptest::collection::vec("[0-9.]{1,8}", 0..3), mtu in 0..3u32, default in any::<bool>(), domain in ".{0,4}") {
        let dns = Dns { domain, ..Dns::default() };
        let status = NetworkStatus { name, ips, mtu, default, dns, ..NetworkStatus::default() };
        let statuses = [status.clone(), NetworkStatus::default(), status];
        prop_assert_eq!(parse(&print(&statuses)).unwrap(), statuses);
    }
}
