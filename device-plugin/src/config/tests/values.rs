//! Values of single keys: C11 to C15, hexadecimal numbers, ranges, additional information, edits.

use super::*;

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
