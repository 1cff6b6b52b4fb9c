use cni::raw::Object;
use host::netlink::vf::VlanProtocol;
use serde_json::{Value, json};

use super::*;

mod link;

fn parse_with(extra: &Value, args: &str) -> Result<Config, String> {
    let mut config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "sriov", "deviceID": "0000:af:06.1" });
    for (key, value) in extra.as_object().unwrap() {
        config[key] = value.clone();
    }
    let raw = RawConfig::read(&Object::parse(config.to_string().as_bytes()).unwrap());
    let raw = raw.map_err(|error| error.to_string())?;
    Config::new(raw, &Args::parse(args).unwrap()).map_err(|error| error.to_string())
}

fn parse(extra: &Value) -> Result<Config, String> {
    parse_with(extra, "")
}

/// The error, which must name the key and say what to do.
fn refusal(extra: &Value) -> String {
    parse(extra).unwrap_err()
}

#[test]
fn vlan_rules() {
    let good = [
        (json!({ "vlan": 100 }), (100, 0, VlanProtocol::Dot1Q)),
        (
            json!({ "vlan": 100, "vlanQoS": 7 }),
            (100, 7, VlanProtocol::Dot1Q),
        ),
        (
            json!({ "vlan": 100, "vlanProto": "802.1Q" }),
            (100, 0, VlanProtocol::Dot1Q),
        ),
        (
            json!({ "vlan": 100, "vlanProto": "802.1AD" }),
            (100, 0, VlanProtocol::Dot1Ad),
        ),
        (json!({ "vlan": 4094 }), (4094, 0, VlanProtocol::Dot1Q)),
        (
            json!({ "vlan": 0, "vlanQoS": 0, "vlanProto": "802.1q" }),
            (0, 0, VlanProtocol::Dot1Q),
        ),
    ];
    for (extra, (id, qos, protocol)) in good {
        assert_eq!(
            parse(&extra).unwrap().vlan,
            Some(Vlan { id, qos, protocol }),
            "{extra}"
        );
    }
    let bad = [
        (
            json!({ "vlan": 4095 }),
            "vlan 4095: invalid VLAN id; give 1 to 4094, or 0 for no VLAN",
        ),
        (
            json!({ "vlan": 5000 }),
            "vlan 5000: invalid VLAN id; give 1 to 4094, or 0 for no VLAN",
        ),
        (
            json!({ "vlan": -1 }),
            "vlan -1: invalid VLAN id; give 1 to 4094, or 0 for no VLAN",
        ),
        (
            json!({ "vlan": 100, "vlanQoS": 10 }),
            "vlanQoS 10: invalid priority; give 0 to 7",
        ),
        (
            json!({ "vlan": 100, "vlanQoS": -1 }),
            "vlanQoS -1: invalid priority; give 0 to 7",
        ),
        (
            json!({ "vlan": 100, "vlanProto": "802" }),
            "vlanProto \"802\": give \"802.1q\" or \"802.1ad\"",
        ),
        (
            json!({ "vlan": 0, "vlanQoS": 1 }),
            "vlanQoS 1: cannot be used with vlan 0; set vlan or remove vlanQoS",
        ),
        (
            json!({ "vlan": 0, "vlanProto": "802.1ad" }),
            "vlanProto 802.1ad: cannot be used with vlan 0; set vlan or remove vlanProto",
        ),
        (
            json!({ "vlanQoS": 0 }),
            "vlanQoS 0: needs vlan; add vlan or remove vlanQoS",
        ),
        (
            json!({ "vlanProto": "802.1q" }),
            "vlanProto \"802.1q\": needs vlan; add vlan or remove vlanProto",
        ),
    ];
    for (extra, message) in bad {
        assert_eq!(refusal(&extra), message);
    }
}

#[test]
fn vlan_absent_or_null_leaves_the_vlan_alone() {
    assert_eq!(parse(&json!({})).unwrap().vlan, None);
    assert_eq!(parse(&json!({ "vlan": null })).unwrap().vlan, None);
}

#[test]
fn spoofchk_and_trust_are_on_or_off_and_nothing_else() {
    for key in ["spoofchk", "trust"] {
        for wrong in ["On", "true", "yes", "of"] {
            assert_eq!(
                refusal(&json!({ key: wrong })),
                format!("{key} {wrong:?}: give \"on\" or \"off\"")
            );
        }
        for (value, expected) in [("on", Some(true)), ("off", Some(false)), ("", None)] {
            let config = parse(&json!({ key: value })).unwrap();
            assert_eq!(
                if key == "trust" {
                    config.trust
                } else {
                    config.spoofchk
                },
                expected
            );
        }
    }
}

#[test]
fn strict_false_takes_typing_errors_for_off_as_upstream_does() {
    let config = parse(&json!({ "strict": false, "spoofchk": "On", "trust": "yes" })).unwrap();
    assert_eq!((config.spoofchk, config.trust), (Some(false), Some(false)));
    assert_eq!(
        config.warnings,
        [
            "spoofchk \"On\" is taken for \"off\"",
            "trust \"yes\" is taken for \"off\""
        ]
    );
}

#[test]
fn link_state_is_one_of_three_words() {
    for (value, expected) in [
        ("auto", Some(LinkState::Auto)),
        ("enable", Some(LinkState::Enable)),
        ("disable", Some(LinkState::Disable)),
        ("", None),
    ] {
        assert_eq!(
            parse(&json!({ "link_state": value })).unwrap().link_state,
            expected
        );
    }
    assert_eq!(
        refusal(&json!({ "link_state": "Enable" })),
        "link_state \"Enable\": give \"auto\", \"enable\" or \"disable\""
    );
}

#[test]
fn rates_are_not_negative_and_the_lowest_is_not_above_the_highest() {
    let config = parse(&json!({ "min_tx_rate": 10, "max_tx_rate": 100 })).unwrap();
    assert_eq!(
        (config.min_tx_rate, config.max_tx_rate),
        (Some(10), Some(100))
    );
    // 0 is "no limit".
    parse(&json!({ "min_tx_rate": 10, "max_tx_rate": 0 })).unwrap();
    assert_eq!(
        refusal(&json!({ "min_tx_rate": -1 })),
        "min_tx_rate -1: give Mbit/s, 0 or more; 0 means no limit"
    );
    assert!(
        refusal(&json!({ "max_tx_rate": 4_294_967_296_i64 }))
            .starts_with("max_tx_rate 4294967296: ")
    );
    assert!(
        refusal(&json!({ "min_tx_rate": 101, "max_tx_rate": 100 }))
            .starts_with("min_tx_rate 101: greater than")
    );
}

#[test]
fn the_address_comes_from_runtime_config_then_cni_args_then_config() {
    let mac = |extra: &Value, args: &str| {
        parse_with(extra, args)
            .unwrap()
            .mac
            .map(|mac| mac.to_string())
    };
    let all =
        json!({ "mac": "02:00:00:00:00:01", "runtimeConfig": { "mac": "02-00-00-00-00-AB" } });
    assert_eq!(
        mac(&all, "MAC=02:00:00:00:00:02").as_deref(),
        Some("02:00:00:00:00:ab")
    );
    let config = json!({ "MAC": "02:00:00:00:00:01" });
    assert_eq!(
        mac(&config, "MAC=02:00:00:00:00:02").as_deref(),
        Some("02:00:00:00:00:02")
    );
    assert_eq!(mac(&config, "").as_deref(), Some("02:00:00:00:00:01"));
    assert_eq!(mac(&json!({ "mac": "" }), ""), None);
    assert_eq!(
        mac(
            &json!({ "args": { "cni": { "mac": "02:00:00:00:00:01" } } }),
            ""
        ),
        None
    );
}

#[test]
fn addresses_that_no_station_can_have_are_refused() {
    for wrong in [
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
    ] {
        assert_eq!(
            refusal(&json!({ "mac": wrong })),
            format!(
                "mac {wrong}: is all zero or a group address; give one station's address, like 02:00:00:12:34:56"
            )
        );
    }
    for wrong in ["02:00:00:00:00", "02:00:00:00:00:00:00:01", "hello"] {
        assert!(
            refusal(&json!({ "mac": wrong }))
                .starts_with(&format!("mac {wrong:?}: is no MAC address"))
        );
    }
}

#[test]
fn the_vf_is_device_id_then_runtime_config_then_pci_bus_id() {
    let vf = |config: &Value| {
        let raw = RawConfig::read(&Object::parse(config.to_string().as_bytes()).unwrap()).unwrap();
        Config::new(raw, &Args::default())
            .map(|config| config.vf.to_string())
            .map_err(|error| error.to_string())
    };
    let mut config = json!({ "name": "net", "deviceID": "0000:AF:06.1", "runtimeConfig": { "deviceID": "0000:af:06.2" },
                             "pciBusID": "0000:af:06.3" });
    assert_eq!(vf(&config).unwrap(), "0000:af:06.1");
    config["deviceID"] = json!("");
    assert_eq!(vf(&config).unwrap(), "0000:af:06.2");
    config["runtimeConfig"] = json!({});
    assert_eq!(vf(&config).unwrap(), "0000:af:06.3");
    config["pciBusID"] = Value::Null;
    assert!(vf(&config).unwrap_err().contains("VF pci addr is required"));
    for wrong in ["af:06.1", "0000:af:06.8", "0000:af:06.1/..", "ens1f0"] {
        config["deviceID"] = json!(wrong);
        let error = vf(&config).unwrap_err();
        assert!(
            error.starts_with(&format!("deviceID {wrong:?}: is no PCI address")),
            "{error}"
        );
    }
}

#[test]
fn a_software_slot_without_fallback_is_refused() {
    let error = refusal(&json!({ "deviceID": "software-3" }));
    assert!(
        error.contains("software-3") && error.contains("no fallback configured"),
        "{error}"
    );
}

#[test]
fn keys_count_in_any_letter_case_and_the_last_one_wins() {
    let text = r#"{"CNIVersion":"0.3.1","Name":"n","DEVICEID":"0000:af:06.1","Vlan":1,"vLAN":2,"RuntimeConfig":{"Mac":"02:00:00:00:00:09"}}"#;
    let raw = RawConfig::read(&Object::parse(text.as_bytes()).unwrap()).unwrap();
    let config = Config::new(raw, &Args::default()).unwrap();
    assert_eq!(config.network.version, Version::V0_3_1);
    assert_eq!(config.vlan.unwrap().id, 2);
    assert_eq!(config.mac.unwrap().to_string(), "02:00:00:00:00:09");
}

#[test]
fn a_wrong_json_type_names_the_key() {
    for (key, wrong) in [
        ("vlan", json!("100")),
        ("vlan", json!(1.5)),
        ("trust", json!(true)),
        ("mac", json!(1)),
        ("ipam", json!([])),
    ] {
        let error = refusal(&json!({ key: wrong }));
        assert!(error.contains(&format!("{key:?}")), "{error}");
    }
}

#[test]
fn internal_state_and_obsolete_keys_are_ignored() {
    let config = parse(
        &json!({ "Master": 1, "VFID": "x", "MTU": {}, "OrigVfState": { "HostIFName": "eth0" }, "dpdk": {},
                                "vf": 3, "if0": "x", "l2enable": true, "sharedvf": 1, "cnidir": "/" }),
    );
    assert_eq!(config.unwrap(), parse(&json!({})).unwrap());
}

#[test]
fn an_empty_ipam_type_is_no_ipam() {
    for ipam in [
        json!({}),
        json!(null),
        json!({ "type": "" }),
        json!({ "subnet": "10.0.0.0/8" }),
    ] {
        assert_eq!(parse(&json!({ "ipam": ipam })).unwrap().network.ipam, None);
    }
    let config = parse(&json!({ "ipam": { "Type": "host-local" } })).unwrap();
    assert_eq!(config.network.ipam.as_deref(), Some("host-local"));
}

#[test]
fn an_unknown_version_is_refused() {
    assert!(refusal(&json!({ "cniVersion": "9.9.9" })).contains("9.9.9"));
}
