//! Cases C1–C15 of spec/device-plugin.md §8.2, as far as netDevice goes.

use super::*;

fn defaults() -> Defaults {
    Defaults {
        prefix: "intel.com".to_owned(),
        socket_directory: "/var/lib/kubelet/plugins_registry".into(),
    }
}

fn load_text(text: &str) -> Loaded {
    load(text.as_bytes(), &defaults()).unwrap()
}

/// One pool with the given members next to its name.
fn load_pool(members: &str) -> Loaded {
    load_text(&format!(
        r#"{{"resourceList":[{{"resourceName":"a",{members}}},{{"resourceName":"other","selectors":{{}}}}]}}"#
    ))
}

fn pool(members: &str) -> Pool {
    let mut loaded = load_pool(members);
    assert_eq!(loaded.rejected, []);
    loaded.config.pools.remove(0)
}

/// The pool is refused, and the one after it lives.
#[track_caller]
fn assert_rejected(members: &str, text: &str) {
    let loaded = load_pool(members);
    assert_eq!(loaded.config.pools.len(), 1, "{members}");
    assert_eq!(loaded.config.pools[0].name.to_string(), "intel.com/other");
    let message = loaded.rejected[0].to_string();
    assert!(
        message.contains(text),
        "{message:?} does not contain {text:?}"
    );
}

fn names(loaded: &Loaded) -> Vec<String> {
    loaded
        .config
        .pools
        .iter()
        .map(|pool| pool.name.to_string())
        .collect()
}

#[test]
fn c1_junk_is_refused_with_line_and_column() {
    let error = load(b"{\n  \"resourceList\": junk\n}", &defaults()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, column 19: not JSON: expected value"
    );
}

#[test]
fn c1_a_resource_list_of_wrong_type_is_refused_with_its_place() {
    let error = load(b"{\"resourceList\": {}}", &defaults()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 18, resourceList: expected a list, found an object"
    );
}

#[test]
fn c1_text_that_is_not_utf8_is_refused() {
    let error = load(b"{\"a\": \"\xff\"}", &defaults()).unwrap_err();
    assert_eq!(error.to_string(), "line 1, column 8: not UTF-8 text");
}

#[test]
fn an_empty_or_missing_resource_list_is_idle_not_wrong() {
    for text in ["{}", r#"{"resourceList":[]}"#, r#"{"resourceList":null}"#] {
        let loaded = load_text(text);
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.rejected, []);
    }
}

#[test]
fn c2_two_pools_with_object_selectors() {
    let loaded = load_text(
        r#"{"resourceList":[
            {"resourceName":"a","selectors":{"vendors":["8086"]}},
            {"resourceName":"b","deviceType":"netDevice","selectors":{"drivers":["vfio-pci"]}}]}"#,
    );
    assert_eq!(names(&loaded), ["intel.com/a", "intel.com/b"]);
    assert_eq!(loaded.config.pools[0].objects.len(), 1);
    assert_eq!(loaded.config.pools[0].objects[0].vendors, [0x8086]);
    assert_eq!(loaded.config.pools[1].objects[0].drivers, ["vfio-pci"]);
}

#[test]
fn c3_a_list_of_objects_keeps_its_order() {
    let pool = pool(r#""selectors":[{"drivers":["vfio-pci"]},{"isRdma":true}]"#);
    assert_eq!(pool.objects.len(), 2);
    assert_eq!(pool.objects[0].drivers, ["vfio-pci"]);
    assert!(pool.objects[1].rdma);
}

#[test]
fn c4_resource_names() {
    for name in ["invalid.name", "", "a/b", "a b"] {
        let loaded = load_text(&format!(
            r#"{{"resourceList":[{{"resourceName":"{name}","selectors":{{}}}}]}}"#
        ));
        let message = loaded.rejected[0].to_string();
        assert!(
            message.contains("resourceName") && message.contains(name),
            "{message}"
        );
    }
    let loaded = load_text(r#"{"resourceList":[{"resourceName":"sriov-net_0","selectors":{}}]}"#);
    assert_eq!(names(&loaded), ["intel.com/sriov-net_0"]);
}

#[test]
fn c4_a_missing_resource_name_is_rejected() {
    let loaded = load_text(r#"{"resourceList":[{"selectors":{}}]}"#);
    assert!(
        loaded.rejected[0]
            .to_string()
            .contains("resourceName is missing")
    );
}

#[test]
fn c5_a_duplicate_name_is_rejected_and_the_first_pool_goes_on() {
    let loaded = load_text(
        r#"{"resourceList":[{"resourceName":"a","selectors":{}},
            {"resourceName":"a","selectors":{}},{"resourceName":"b","selectors":{}}]}"#,
    );
    assert_eq!(names(&loaded), ["intel.com/a", "intel.com/b"]);
    let message = loaded.rejected[0].to_string();
    assert_eq!(
        message,
        "pool 2 (intel.com/a) rejected: line 2, column 13, resourceList[1]: resource intel.com/a is configured twice: give each pool a name of its own"
    );
}

#[test]
fn c5_one_name_under_two_prefixes_is_accepted() {
    let loaded = load_text(
        r#"{"resourceList":[{"resourceName":"a","selectors":{}},
            {"resourceName":"a","resourcePrefix":"example.org","selectors":{}}]}"#,
    );
    assert_eq!(names(&loaded), ["intel.com/a", "example.org/a"]);
}

#[test]
fn c5_a_prefix_of_its_own_that_equals_the_default_makes_a_duplicate() {
    let loaded = load_text(
        r#"{"resourceList":[{"resourceName":"a","selectors":{}},
            {"resourceName":"a","resourcePrefix":"intel.com","selectors":{}}]}"#,
    );
    assert_eq!(names(&loaded), ["intel.com/a"]);
    assert_eq!(loaded.rejected.len(), 1);
}

#[test]
fn c6_is_rdma_and_vdpa_type_exclude_each_other_in_any_object() {
    let text = "vdpaType and isRdma exclude each other";
    assert_rejected(r#""selectors":{"isRdma":true,"vdpaType":"vhost"}"#, text);
    assert_rejected(
        r#""selectors":[{"isRdma":true},{"isRdma":true,"vdpaType":"virtio"}]"#,
        text,
    );
}

#[test]
fn c8_unknown_device_types_and_other_cases_are_rejected_and_other_pools_go_on() {
    for kind in ["gpu", "netdevice"] {
        assert_rejected(
            &format!(r#""deviceType":"{kind}","selectors":{{}}"#),
            &format!("resourceList[0].deviceType: deviceType \"{kind}\" is unknown"),
        );
    }
}

#[test]
fn device_types_and_selectors_of_later_versions_say_so() {
    for members in [
        r#""deviceType":"accelerator","selectors":{}"#,
        r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"]}"#,
        r#""selectors":{"vdpaType":"vhost"}"#,
        r#""selectors":{"ddpProfiles":["GTPv1-C/U IPv4/IPv6 payload"]}"#,
    ] {
        assert_rejected(members, "is not supported by this version");
    }
}

#[test]
fn c9_selectors_that_are_missing_or_of_wrong_type_reject_the_pool_only() {
    assert_rejected(r#""deviceType":"netDevice""#, "selectors is missing");
    assert_rejected(r#""selectors":null"#, "selectors is missing");
    assert_rejected(r#""selectors":[]"#, "selectors is an empty list");
    assert_rejected(
        r#""selectors":"x""#,
        "resourceList[0].selectors: expected an object, found a string",
    );
    assert_rejected(
        r#""selectors":{"vendors":"8086"}"#,
        "line 1, column 61, resourceList[0].selectors.vendors: expected a list, found a string",
    );
    assert_rejected(
        r#""selectors":[{},null]"#,
        "resourceList[0].selectors[1]: a selector object is null",
    );
    assert_rejected(
        r#""selectors":{"vendors":["8086",15]}"#,
        "selectors.vendors[1]: expected a string, found a number",
    );
}

#[test]
fn a_pool_that_is_no_object_is_rejected_and_other_pools_go_on() {
    let loaded = load_text(r#"{"resourceList":[7,{"resourceName":"b","selectors":{}}]}"#);
    assert_eq!(names(&loaded), ["intel.com/b"]);
    let message = loaded.rejected[0].to_string();
    assert_eq!(
        message,
        "pool 1 rejected: line 1, column 18, resourceList[0]: expected an object, found a number"
    );
}

#[test]
fn c10_keys_match_in_any_case_and_unknown_keys_are_ignored() {
    let pool = pool(
        r#""SelectorObj":null,"EXCLUDETOPOLOGY":true,"Selectors":{"IsRdma":true,"NEEDVHOSTNET":true,
            "pciaddresses":["0000:18:02.0"],"whatever":[1]}"#,
    );
    let object = &pool.objects[0];
    assert!(object.rdma && object.vhost_net && !pool.topology);
    assert_eq!(object.addresses, ["0000:18:02.0".parse().unwrap()]);
}

#[test]
fn a_later_duplicate_key_wins_and_null_is_absent() {
    let pool = pool(r#""selectors":{"vendors":["8086"],"Vendors":["15b3"],"devices":null}"#);
    assert_eq!(pool.objects[0].vendors, [0x15b3]);
    assert!(pool.objects[0].devices.is_empty());
}

#[test]
fn c11_an_unknown_vdpa_type_is_rejected() {
    assert_rejected(
        r#""selectors":{"vdpaType":"foo"}"#,
        "vdpaType \"foo\" is unknown",
    );
}

#[test]
fn c12_impossible_ranges_are_rejected_with_the_item_that_is_wrong() {
    for (entry, text) in [
        ("a#1#2", "has a second #"),
        ("a#x", "\"x\" is no index"),
        (
            "a#3-1",
            "range \"3-1\" is impossible, its first index is above its last: write 1-3",
        ),
        ("a#1-2-3", "\"1-2-3\" is no index"),
        ("a#-1", "\"-1\" is no index"),
        ("a# 1", "\" 1\" is no index"),
        ("a#0, 2", "\" 2\" is no index"),
        ("a#", "\"\" is no index"),
        ("a#+1", "\"+1\" is no index"),
        ("a#4294967296", "\"4294967296\" is no index"),
        ("#1", "names no device before #"),
    ] {
        assert_rejected(
            &format!(r#""selectors":{{"pfNames":["ok","{entry}"]}}"#),
            text,
        );
        assert_rejected(
            &format!(r#""selectors":{{"pfNames":["ok","{entry}"]}}"#),
            "resourceList[0].selectors.pfNames[1]",
        );
    }
    assert_rejected(
        r#""selectors":{"rootDevices":["0000:18:00.0#7-0"]}"#,
        "range \"7-0\" is impossible",
    );
    assert_rejected(
        r#""selectors":{"rootDevices":["ens1f0"]}"#,
        "\"ens1f0\" is no PCI address",
    );
}

#[test]
fn c13_a_configuration_made_by_the_operator() {
    let loaded = load_text(
        r#"{"resourceList":[
          {"resourceName":"nic1","selectors":{"vendors":["8086"],"pfNames":["ens1f0#0-3"],
           "rootDevices":["0000:18:00.0"],"linkTypes":["ether"],"IsRdma":false,"NeedVhostNet":false},
           "SelectorObjs":null},
          {"resourceName":"nic2","selectors":{"drivers":["vfio-pci"],"pfNames":["ens1f0#4-7"],
           "IsRdma":false,"NeedVhostNet":true},"SelectorObj":null}]}"#,
    );
    assert_eq!(loaded.rejected, []);
    assert_eq!(names(&loaded), ["intel.com/nic1", "intel.com/nic2"]);
    let first = &loaded.config.pools[0].objects[0];
    assert_eq!(first.pf_names[0].indexes, Some(vec![0..=3]));
    assert!(!first.rdma && !first.vhost_net);
    assert!(loaded.config.pools[1].objects[0].vhost_net);
}

#[test]
fn c15_names_that_kubernetes_or_the_socket_cannot_take_are_rejected() {
    let long = "a".repeat(64);
    for (name, prefix, text) in [
        (long.as_str(), "intel.com", "1 to 63 letters"),
        ("a-", "intel.com", "letter or digit at both ends"),
        ("_a", "intel.com", "letter or digit at both ends"),
        ("a", "a/b", "resourcePrefix \"a/b\" is impossible"),
        (
            "a",
            "Intel.com",
            "resourcePrefix \"Intel.com\" is impossible",
        ),
        ("a", "intel..com", "resourcePrefix"),
    ] {
        let loaded = load_text(&format!(
            r#"{{"resourceList":[{{"resourceName":"{name}","resourcePrefix":"{prefix}","selectors":{{}}}}]}}"#
        ));
        let message = loaded.rejected[0].to_string();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn c15_a_socket_path_of_107_bytes_is_possible_and_of_108_is_not() {
    let directory = defaults().socket_directory;
    let fixed = directory.join("intel.com_.sock").as_os_str().len();
    let longest = "a".repeat(107 - fixed);
    assert!(ResourceName::new("intel.com", &longest, &directory).is_ok());
    let error = ResourceName::new("intel.com", &format!("{longest}a"), &directory).unwrap_err();
    assert!(error.contains("108 bytes"), "{error}");
}

#[test]
fn hexadecimal_ids_and_addresses_are_normalised() {
    let pool = pool(
        r#""selectors":{"vendors":["15B3","0x15b3"],"devices":["0X101E"],
           "pciAddresses":["0000:3B:02.A"],"rootDevices":["3b:00.0#1"]}"#
            .replace("02.A", "02.1")
            .as_str(),
    );
    let object = &pool.objects[0];
    assert_eq!(object.vendors, [0x15b3, 0x15b3]);
    assert_eq!(object.devices, [0x101e]);
    assert_eq!(object.addresses, ["0000:3b:02.1".parse().unwrap()]);
    assert_eq!(
        object.root_devices[0].parent,
        "0000:3b:00.0".parse().unwrap()
    );
}

#[test]
fn values_that_are_no_ids_are_rejected_where_they_stand() {
    assert_rejected(
        r#""selectors":{"vendors":["8086","intel"]}"#,
        "vendors[1]: \"intel\" is not a PCI id",
    );
    assert_rejected(
        r#""selectors":{"devices":["10154c"]}"#,
        "\"10154c\" is not a PCI id",
    );
    assert_rejected(
        r#""selectors":{"pciAddresses":["18:02"]}"#,
        "\"18:02\" is no PCI address",
    );
    assert_rejected(r#""selectors":{"pKeys":["0xg"]}"#, "\"0xg\" is not a P_Key");
}

#[test]
fn s20_p_keys_are_numbers_without_the_membership_bit() {
    let pool = pool(r#""selectors":{"pKeys":["0x1","0x8001","0xABCD"]}"#);
    assert_eq!(pool.objects[0].p_keys, [1, 1, 0x2bcd]);
}

#[test]
fn l6_several_entries_of_one_pf_are_kept_with_a_warning() {
    let loaded = load_pool(r#""selectors":{"pfNames":["pf0#0","PF0#2","pf1"]}"#);
    assert_eq!(loaded.rejected, []);
    assert_eq!(loaded.warnings.len(), 1);
    let warning = loaded.warnings[0].to_string();
    assert!(
        warning.contains("pf0 more than once: the entries add up"),
        "{warning}"
    );
}

#[test]
fn a12_additional_info_of_one_device_stands_over_that_for_all() {
    let pool = pool(
        r#""selectors":{},"additionalInfo":{"*":{"token":"x","site":"s"},"0000:18:02.0":{"token":"y"}}"#,
    );
    let info = pool.additional_info.unwrap();
    let facts = |address: &str| info.of(address.parse().unwrap());
    assert_eq!(facts("0000:18:02.0")["token"], "y");
    assert_eq!(facts("0000:18:02.0")["site"], "s");
    assert_eq!(facts("0000:18:02.1")["token"], "x");
}

#[test]
fn additional_info_that_is_no_text_or_names_no_device_rejects_the_pool() {
    assert_rejected(
        r#""selectors":{},"additionalInfo":{"*":{"n":1}}"#,
        "additionalInfo.*.n: expected a string",
    );
    assert_rejected(
        r#""selectors":{},"additionalInfo":{"eth0":{}}"#,
        "key \"eth0\" is neither",
    );
}

#[test]
fn a_pool_whose_edit_is_wrong_goes_on_as_it_was_and_keeps_its_place() {
    let before = load_text(
        r#"{"resourceList":[{"resourceName":"a","selectors":{}},{"resourceName":"b","selectors":{"drivers":["igbvf"]}},
            {"resourceName":"c","selectors":{}}]}"#,
    );
    let mut edited = load_text(
        r#"{"resourceList":[{"resourceName":"new!","selectors":{}},{"resourceName":"a","selectors":{}},
            {"resourceName":"b","selectors":{"pfNames":["x#2-1"]}},{"resourceName":"c","selectors":{}}]}"#,
    );
    let kept = edited.keep_last_good(&before.config);
    assert_eq!(kept, [before.config.pools[1].name.clone()]);
    assert_eq!(edited.config.pools, before.config.pools);
}
