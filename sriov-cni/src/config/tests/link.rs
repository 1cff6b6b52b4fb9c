//! The keys that upstream does not have (spec/sriov-cni.md §1.4).

use host::netlink::address::Detection;

use super::*;

#[test]
fn extra_keys_are_off_unless_they_are_given() {
    for extra in [
        json!({}),
        json!({ "mtu": null, "promisc": null, "allmulti": null, "txQLen": null, "ipv6Dad": null, "announce": null,
                "resetPolicy": null }),
    ] {
        let config = parse(&extra).unwrap();
        assert_eq!(config.interface, Interface::default());
        assert_eq!(config.interface.first_key(), None);
        assert_eq!(
            (config.ipv6_dad, config.announce, config.reset_policy),
            (Detection::Optimistic, true, ResetPolicy::Restore)
        );
    }
}

#[test]
fn extra_keys_are_read_in_any_letter_case_but_for_mtu() {
    let config = parse(&json!({
        "mtu": 9000, "MTU": 1, "PROMISC": true, "allMulti": false, "txqlen": 500, "IPv6DAD": "off", "Announce": false,
        "resetpolicy": "flr",
    }))
    .unwrap();
    let expected = Interface {
        mtu: Some(9000),
        promisc: Some(true),
        allmulti: Some(false),
        tx_queue_len: Some(500),
    };
    assert_eq!(config.interface, expected);
    assert_eq!(
        (config.ipv6_dad, config.announce, config.reset_policy),
        (Detection::Skip, false, ResetPolicy::Flr)
    );
}

#[test]
fn mtu_and_txqlen_have_limits() {
    for mtu in [68, 1500, 65535] {
        let config = parse(&json!({ "mtu": mtu })).unwrap();
        assert_eq!(config.interface.mtu, Some(mtu));
    }
    for wrong in [-1, 0, 67, 65536, 4_294_967_296_i64] {
        assert_eq!(
            refusal(&json!({ "mtu": wrong })),
            format!("mtu {wrong}: give 68 to 65535 bytes")
        );
    }
    for wrong in [-1, 0, 1_000_001] {
        assert_eq!(
            refusal(&json!({ "txQLen": wrong })),
            format!("txQLen {wrong}: give 1 to 1000000 packets")
        );
    }
}

#[test]
fn ipv6dad_and_resetpolicy_are_one_of_three_words() {
    for (word, expected) in [
        ("on", Detection::Normal),
        ("optimistic", Detection::Optimistic),
        ("off", Detection::Skip),
    ] {
        assert_eq!(
            parse(&json!({ "ipv6Dad": word })).unwrap().ipv6_dad,
            expected
        );
    }
    assert_eq!(
        refusal(&json!({ "ipv6Dad": "ON" })),
        "ipv6Dad \"ON\": give \"on\", \"optimistic\" or \"off\""
    );
    for (word, expected) in [
        ("restore", ResetPolicy::Restore),
        ("defaults", ResetPolicy::Defaults),
        ("flr", ResetPolicy::Flr),
    ] {
        assert_eq!(
            parse(&json!({ "resetPolicy": word })).unwrap().reset_policy,
            expected
        );
    }
    assert_eq!(
        refusal(&json!({ "resetPolicy": "reset" })),
        "resetPolicy \"reset\": give \"restore\", \"defaults\" or \"flr\""
    );
}

#[test]
fn extra_keys_of_a_wrong_json_type_are_named() {
    for (key, wrong) in [
        ("mtu", json!("9000")),
        ("promisc", json!("on")),
        ("allmulti", json!(1)),
        ("txQLen", json!(1.5)),
        ("ipv6Dad", json!(false)),
        ("announce", json!("no")),
        ("resetPolicy", json!(true)),
    ] {
        let error = refusal(&json!({ key: wrong }));
        assert!(error.contains(&format!("{key:?}")), "{error}");
    }
}
