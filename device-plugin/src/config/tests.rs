//! Cases C1–C15 of spec/device-plugin.md §8.2 (C14 is with the command line).

use super::*;

mod kinds;
mod values;
mod watchful;

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
        "line 2, column 19, resourceList: expected a list, found \"junk\""
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
fn a_document_without_a_resource_list_is_refused_because_nobody_means_to_stop_all_pools_so() {
    for text in ["{}", r#"{"resourcelists":[]}"#] {
        let error = load(text.as_bytes(), &defaults()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1, column 1: resourceList is missing: list the pools there, or write [] if none is meant"
        );
    }
}

#[test]
fn c1_an_empty_file_and_plain_text_are_refused() {
    for (text, expected) in [
        ("\n", "line 1, column 1: the document is empty"),
        (
            "junk",
            "line 1, column 1: expected an object, found \"junk\"",
        ),
    ] {
        let error = load(text.as_bytes(), &defaults()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn c1_a_mistake_in_yaml_is_refused_with_line_and_column() {
    let error = load(b"resourceList:\n- resourceName: [a\n", &defaults()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, column 17: not YAML: unclosed bracket '['"
    );
}

#[test]
fn c2_pools_written_in_yaml() {
    let loaded = load_text(
        "# our pools\nresourceList:\n- resourceName: a\n  selectors: {vendors: [8086]}\n- resourceName: b\n  selectors:\n    drivers: [vfio-pci]\n    isRdma: false\n",
    );
    assert_eq!(names(&loaded), ["intel.com/a", "intel.com/b"]);
    assert_eq!(loaded.config.pools[0].objects[0].vendors, [0x8086]);
    assert_eq!(loaded.config.pools[1].objects[0].drivers, ["vfio-pci"]);
}

#[test]
fn c2_samples_of_the_go_plugin_with_comments_and_trailing_commas() {
    let loaded = load_text(
        "{\n // from the README\n \"resourceList\": [{\"resourceName\": \"a\", \"selectors\": {\"vendors\": [\"8086\",],},},]}",
    );
    assert_eq!(names(&loaded), ["intel.com/a"]);
}

#[test]
fn an_empty_resource_list_is_idle_not_wrong() {
    for text in [
        r#"{"resourceList":[]}"#,
        r#"{"resourceList":null}"#,
        "resourceList: []",
    ] {
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
