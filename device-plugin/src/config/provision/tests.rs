//! The block `provision`.

use super::*;
use crate::config::{Defaults, Loaded, load};

fn load_text(text: &str) -> Loaded {
    let defaults = Defaults {
        prefix: "intel.com".to_owned(),
        socket_directory: "/var/lib/kubelet/plugins_registry".into(),
    };
    load(text.as_bytes(), &defaults).unwrap()
}

/// One entry with these members, in a file with one pool.
fn load_entry(members: &str) -> Loaded {
    load_text(&format!(
        r#"{{"provision":[{{{members}}}],"resourceList":[{{"resourceName":"a","selectors":{{}}}}]}}"#
    ))
}

#[track_caller]
fn entry(members: &str) -> Provision {
    let mut loaded = load_entry(members);
    assert_eq!(loaded.provision_rejected, []);
    loaded.config.provision.remove(0)
}

#[track_caller]
fn assert_rejected(members: &str, text: &str) {
    let loaded = load_entry(members);
    assert_eq!(loaded.config.pools.len(), 1, "pools are not affected");
    let message = loaded.provision_rejected[0].to_string();
    assert!(
        message.starts_with("provision entry 1 rejected: line 1, column "),
        "{message}"
    );
    assert!(message.contains(text), "{message:?} lacks {text:?}");
}

#[test]
fn an_entry_with_everything() {
    let read = entry(
        r#""pf":{"pfNames":["ens1f0"],"vendors":["8086"]},"numVfs":8,"mtu":9000,
            "groups":[{"vfs":"0-3","driver":"default","pool":"intel.com/a"},{"vfs":"4,6-7","driver":"vfio-pci"}],
            "onMismatch":"whenIdle","allowHostNics":["ens1f0"]"#,
    );
    assert_eq!(read.selector.names, ["ens1f0"]);
    assert_eq!(read.selector.vendors, [0x8086]);
    assert_eq!(
        (read.mtu, read.on_mismatch),
        (Some(9000), OnMismatch::WhenIdle)
    );
    assert_eq!(read.allow_host_nics, ["ens1f0"]);
    assert_eq!(read.driver(3), Some(&Driver::Default));
    assert_eq!(read.driver(5), None);
    assert_eq!(read.driver(6), Some(&Driver::Named("vfio-pci".to_owned())));
    let Target::Pf { count, groups } = read.target else {
        panic!("no PF");
    };
    assert_eq!(count, Some(Count::Exactly(8)));
    assert_eq!(groups[0].pool.as_deref(), Some("intel.com/a"));
}

#[test]
fn max_is_a_number_of_vfs_and_refuse_the_policy_if_none_is_named() {
    let read = entry(r#""pf":{"vendors":["8086"]},"numVfs":"max""#);
    assert_eq!(read.on_mismatch, OnMismatch::Refuse);
    assert!(matches!(
        read.target,
        Target::Pf {
            count: Some(Count::Max),
            ..
        }
    ));
}

#[test]
fn yaml_is_read_alike() {
    let loaded = load_text(
        "resourceList: []\nprovision:\n  - pf: {pfNames: [ens1f0], vendors: [8086]}\n    numVfs: max\n    groups:\n      - {vfs: 0-3, driver: vfio-pci}\n      - {vfs: 4}\n  - pf: {drivers: [igb]}\n    numVfs: 7\n    mtu: 1500\n",
    );
    assert_eq!(loaded.provision_rejected, []);
    let [first, second] = &loaded.config.provision[..] else {
        panic!("{loaded:?}");
    };
    assert_eq!(first.driver(4), Some(&Driver::Default));
    assert_eq!(second.mtu, Some(1500));
}

#[test]
fn functions_that_a_vm_was_given_are_selected_themselves() {
    let read = entry(r#""functions":{"acpiIndexes":["3"]},"driver":"vfio-pci""#);
    assert_eq!(
        read.target,
        Target::Itself(Driver::Named("vfio-pci".to_owned()))
    );
    assert_rejected(
        r#""functions":{"acpiIndexes":["3"]},"numVfs":4"#,
        "numVfs goes with pf",
    );
    assert_rejected(
        r#""pf":{"drivers":["igb"]},"driver":"vfio-pci""#,
        "belongs into groups",
    );
    assert_rejected(
        r#""numVfs":4"#,
        "either pf, whose VFs are meant, or functions",
    );
}

#[test]
fn an_unknown_key_is_an_error_because_a_selector_that_is_lost_selects_more() {
    assert_rejected(
        r#""pf":{"pfName":["ens1f0"],"vendors":["8086"]}"#,
        r#"provision[0].pf.pfName: key "pfName" is unknown here: known are vendors, devices"#,
    );
    assert_rejected(
        r#""pf":{"drivers":["igb"]},"numvf":4"#,
        r#"key "numvf" is unknown"#,
    );
    assert_rejected(
        r#""pf":{"drivers":["igb"]},"groups":[{"vfs":"0","drivers":"x"}]"#,
        r#"key "drivers" is unknown"#,
    );
    assert_rejected(
        r#""pf":{},"numVfs":4"#,
        "selects every function of the node",
    );
}

#[test]
fn groups_that_overlap_or_reach_beyond_the_vfs_are_rejected() {
    let groups =
        |groups: &str| format!(r#""pf":{{"drivers":["igb"]}},"numVfs":6,"groups":[{groups}]"#);
    assert_rejected(
        &groups(r#"{"vfs":"0-3"},{"vfs":"3-5"}"#),
        "provision[0].groups[1]: vfs 3 are in an earlier group",
    );
    assert_rejected(
        &groups(r#"{"vfs":"4-7"}"#),
        "vfs 4-7 reach beyond numVfs: the last of 6 VFs has index 5",
    );
    assert_rejected(&groups(r#"{"vfs":"3-1"}"#), "range \"3-1\" is impossible");
    assert_rejected(&groups(r#"{"driver":"vfio-pci"}"#), "vfs is missing");
}

#[test]
fn values_that_cannot_be_are_rejected() {
    for (members, text) in [
        (r#""numVfs":-1"#, "expected a number of VFs or \"max\""),
        (r#""numVfs":"all""#, "expected a number of VFs or \"max\""),
        (r#""mtu":20"#, "no interface has an MTU of 20"),
        (r#""onMismatch":"wait""#, "write refuse, whenIdle or force"),
        (
            r#""groups":[{"vfs":"0","driver":"../../x"}]"#,
            "is no name of a driver",
        ),
    ] {
        assert_rejected(&format!(r#""pf":{{"drivers":["igb"]}},{members}"#), text);
    }
    assert_rejected(
        r#""pf":{"pfNames":["ens1f0#0-3"]}"#,
        "VFs are told apart in groups",
    );
}

fn pool_with_fallback(members: &str) -> Loaded {
    load_text(&format!(
        r#"{{"provision":[{{"pf":{{"drivers":["igb"]}},"groups":[{{"vfs":"0-3","driver":"vfio-pci","pool":"intel.com/dpdk"}}]}}],
            "resourceList":[{{{members}}},{{"resourceName":"other","selectors":{{}}}}]}}"#
    ))
}

#[test]
fn slots_of_the_software_fallback_are_a_number_in_an_object() {
    let loaded = pool_with_fallback(r#""resourceName":"a","selectors":{},"fallback":{"slots":16}"#);
    assert_eq!(loaded.config.pools[0].fallback, Some(16));
    assert_eq!(loaded.config.pools[1].fallback, None);
}

#[test]
fn pools_for_vfio_rdma_vdpa_or_other_kinds_reject_the_software_fallback() {
    for (members, text) in [
        (
            r#""selectors":{"drivers":["iavf","vfio-pci"]}"#,
            "devices of driver vfio-pci",
        ),
        (
            r#""selectors":[{},{"drivers":["uio_pci_generic"]}]"#,
            "devices of driver uio_pci_generic",
        ),
        (r#""selectors":{"isRdma":true}"#, "RDMA"),
        (r#""selectors":{"vdpaType":"vhost"}"#, "vDPA"),
        (
            r#""deviceType":"accelerator","selectors":{}"#,
            "accelerators",
        ),
        (
            r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"]}"#,
            "sub-functions",
        ),
    ] {
        let loaded = pool_with_fallback(&format!(
            r#""resourceName":"a","fallback":{{"slots":4}},{members}"#
        ));
        let message = loaded.rejected[0].to_string();
        assert!(
            message.contains(&format!("fallback cannot stand in for {text}")),
            "{message}"
        );
        assert_eq!(loaded.config.pools.len(), 1, "the other pool goes on");
    }
}

#[test]
fn a_pool_that_provision_gives_vfio_devices_rejects_the_software_fallback() {
    let loaded = pool_with_fallback(
        r#""resourceName":"dpdk","selectors":{"pfNames":["a#0-3"]},"fallback":{"slots":4}"#,
    );
    let message = loaded.rejected[0].to_string();
    assert!(
        message.contains("devices of driver vfio-pci, which provision gives this pool"),
        "{message}"
    );
}

#[test]
fn a_fallback_that_says_nothing_sensible_is_rejected_with_its_place() {
    for (fallback, text) in [
        (r#"{"slots":0}"#, "0 slots are not possible: 1 to 1024"),
        (
            r#"{"slots":"4"}"#,
            "fallback.slots: expected a whole number",
        ),
        (r"{}", "slots is missing"),
        (r#"{"slot":4}"#, "key \"slot\" is unknown here"),
        ("16", "fallback: expected an object"),
    ] {
        let loaded = pool_with_fallback(&format!(
            r#""resourceName":"a","selectors":{{}},"fallback":{fallback}"#
        ));
        let message = loaded.rejected[0].to_string();
        assert!(message.contains(text), "{message}");
    }
}
