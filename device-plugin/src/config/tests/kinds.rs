//! What a pool is made of: device types, their own selectors, ways into the container.

use super::*;

const AUX: &str = r#""deviceType":"auxNetDevice""#;

#[test]
fn c7_pools_of_sub_functions_name_their_type() {
    for (selectors, text) in [
        ("{}", "auxTypes is missing or empty"),
        (r#"{"auxTypes":[]}"#, "auxTypes is missing or empty"),
        (
            r#"{"auxTypes":["sf","eth"]}"#,
            "auxTypes \"eth\" is not served",
        ),
        (
            r#"[{"auxTypes":["sf"]},{"auxTypes":["rdma"]}]"#,
            "selectors[1].auxTypes",
        ),
        (
            r#"[{"auxTypes":["sf"]},{}]"#,
            "selectors[1]: auxTypes is missing",
        ),
    ] {
        assert_rejected(&format!(r#"{AUX},"selectors":{selectors}"#), text);
    }
    let pool = pool(&format!(r#"{AUX},"selectors":{{"auxTypes":["sf","sf"]}}"#));
    assert_eq!(pool.device_type, DeviceType::AuxNetDevice);
}

#[test]
fn c8_the_three_device_types() {
    for (kind, expected) in [
        ("", DeviceType::NetDevice),
        ("netDevice", DeviceType::NetDevice),
        ("accelerator", DeviceType::Accelerator),
    ] {
        let pool = pool(&format!(r#""deviceType":"{kind}","selectors":{{}}"#));
        assert_eq!(pool.device_type, expected);
    }
    assert_eq!(pool(r#""selectors":{}"#).device_type, DeviceType::NetDevice);
}

#[test]
fn c6_is_rdma_and_vdpa_type_may_stand_in_two_objects() {
    let pool = pool(r#""selectors":[{"isRdma":true},{"vdpaType":"virtio"},{"vdpaType":""}]"#);
    let told: Vec<_> = pool
        .objects
        .iter()
        .map(|object| (object.rdma, object.vdpa))
        .collect();
    assert_eq!(
        told,
        [(true, None), (false, Some(VdpaType::Virtio)), (false, None)]
    );
}

#[test]
fn a_selector_that_the_device_type_has_nothing_for_is_ignored_with_a_warning() {
    let loaded = load_pool(
        r#""deviceType":"accelerator","selectors":{"pfNames":["pf0"],"isRdma":false,"linkTypes":[],"vendors":["8086"]}"#,
    );
    assert!(loaded.config.pools[0].objects[0].pf_names.is_empty());
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|warning| warning.text.as_str())
        .collect();
    assert_eq!(
        warnings,
        ["pfNames has no meaning for accelerator: it is ignored"]
    );
    let loaded = load_pool(&format!(
        r#"{AUX},"selectors":{{"auxTypes":["sf"],"acpiIndexes":["1"],"vdpaType":"vhost","needVhostNet":true}}"#
    ));
    let object = &loaded.config.pools[0].objects[0];
    assert!(object.vhost_net && object.vdpa.is_none() && object.acpi_indexes.is_empty());
    assert_eq!(loaded.warnings.len(), 2);
    let loaded = load_pool(r#""selectors":{"auxTypes":["sf"]}"#);
    assert!(
        loaded.warnings[0]
            .text
            .starts_with("auxTypes has no meaning for netDevice")
    );
}

#[test]
fn ddp_profiles_are_texts() {
    let pool = pool(r#""selectors":{"ddpProfiles":["GTPv1-C/U IPv4/IPv6 payload"]}"#);
    assert_eq!(
        pool.objects[0].ddp_profiles,
        ["GTPv1-C/U IPv4/IPv6 payload"]
    );
}

#[test]
fn ways_into_the_container_are_chosen_per_pool() {
    let plain = pool(r#""selectors":{}"#);
    assert_eq!((plain.vfio, plain.cdi), (VfioNodes::Both, None));
    let own = pool(r#""selectors":{},"vfioMode":"cdev","cdi":false"#);
    assert_eq!((own.vfio, own.cdi), (VfioNodes::Cdev, Some(false)));
    assert_rejected(
        r#""selectors":{},"vfioMode":"iommufd""#,
        "vfioMode \"iommufd\" is unknown: write group, cdev or both",
    );
    assert_rejected(r#""selectors":{},"cdi":"yes""#, "expected true or false");
}

#[test]
fn what_devlink_must_be_asked_follows_from_the_pools() {
    let asks = |selectors: &str| {
        let config = load_pool(&format!(r#""selectors":{selectors}"#)).config;
        (config.asks_for_rdma(), config.asks_for_ddp())
    };
    assert_eq!(asks("{}"), (false, false));
    assert_eq!(asks(r#"[{},{"isRdma":true}]"#), (true, false));
    assert_eq!(asks(r#"{"ddpProfiles":["x"]}"#), (false, true));
}
