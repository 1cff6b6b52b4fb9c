//! What gets no software slot.

use super::*;

#[test]
fn a_forgotten_resource_request_is_an_error_and_no_fallback() {
    let mut world = world();
    let error = world
        .add("c1", NETNS, &asked(&json!({ "deviceID": "" })))
        .unwrap_err();
    assert!(
        text(&error).contains("VF pci addr is required"),
        "{}",
        text(&error)
    );
    assert_eq!(world.delegate_calls(), [""; 0]);
}

#[test]
fn a_vf_that_is_missing_is_an_error_and_no_fallback() {
    let mut world = world();
    world.machine.function = crate::node::Found::Nothing;
    let error = world
        .add("c1", NETNS, &asked(&json!({ "deviceID": VF })))
        .unwrap_err();
    assert_eq!(error.code(), 100);
    assert_eq!(world.delegate_calls(), [""; 0]);
}

#[test]
fn a_slot_without_fallback_or_with_a_wrong_one_is_refused_with_what_to_do() {
    let mut world = world();
    for (extra, said) in [
        (
            json!({ "fallback": null }),
            "deviceID software-3: is a software slot, and this network has no fallback configured; run the pod on a node with VFs",
        ),
        (
            json!({ "fallback": { "master": "eth1" } }),
            "fallback.type is missing: give \"macvlan\" or \"ipvlan\"",
        ),
        (
            json!({ "fallback": { "type": "bridge" } }),
            "fallback.type \"bridge\": give \"macvlan\" or \"ipvlan\"",
        ),
        (
            json!({ "fallback": { "type": "macvlan", "ipam": {} } }),
            "fallback has ipam: ipam is the network's own: remove it from fallback",
        ),
        (
            json!({ "deviceID": "software-03" }),
            "deviceID \"software-03\": is no software slot; they are called software-0, software-1, …",
        ),
        // On a VF, too: it must not wait for a node without NIC to be noticed.
        (
            json!({ "deviceID": VF, "fallback": { "type": "bridge" } }),
            "fallback.type \"bridge\": give \"macvlan\" or \"ipvlan\"",
        ),
    ] {
        let error = world.add("c1", NETNS, &asked(&extra)).unwrap_err();
        assert_eq!((text(&error).as_str(), error.code()), (said, 7));
    }
    assert_eq!(
        (world.delegate_calls(), world.leftovers()),
        (vec![], vec![])
    );
}

#[test]
fn a_result_that_cannot_be_told_in_an_old_version_is_refused_before_anything_is_done() {
    let mut world = world();
    let error = world
        .add(
            "c1",
            NETNS,
            &asked(&json!({ "cniVersion": "0.2.0", "ipam": {} })),
        )
        .unwrap_err();
    assert!(
        text(&error).contains("cannot convert: no valid IP addresses"),
        "{}",
        text(&error)
    );
    assert_eq!(world.delegate_calls(), [""; 0]);
}

#[test]
fn a_master_that_does_not_exist_is_named_before_the_plugin_is_called() {
    let mut world = super::world();
    let fallback = |keys: &Value| {
        let mut fallback = json!({ "type": "macvlan", "master": "eth9" });
        for (key, value) in keys.as_object().unwrap() {
            fallback[key] = value.clone();
        }
        super::asked(&json!({ "fallback": fallback }))
    };
    for (keys, place) in [
        (json!({}), "on this node"),
        (json!({ "linkInContainer": true }), "in the pod"),
    ] {
        let refused = world.add("c1", NETNS, &fallback(&keys)).unwrap_err();
        assert_eq!(
            (refused.code(), text(&refused)),
            (
                7,
                format!("fallback macvlan: master eth9: there is no such interface {place}")
            )
        );
    }
    assert_eq!(world.delegate_calls(), [""; 0]);
    assert_eq!(world.leftovers(), [""; 0]);
    // That of the default route.
    world
        .add("c1", NETNS, &fallback(&json!({ "master": "" })))
        .unwrap();
}
