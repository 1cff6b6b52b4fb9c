//! Devices of resource claims (spec/multus.md §8.2 "DRA").

use super::*;
use crate::api::claim::ClaimDevice;
use crate::api::pod::RequestMapping;
use crate::dra::{Claim, Published};

const SRIOV: &str = r#"{"type":"sriov"}"#;

fn world(annotation: &str) -> World {
    World::with_conf(r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist","dra":true"#)
        .nad_with("d/r-net", SRIOV, Some("intel.com/r"))
        .nad("d/macvlan", r#"{"type":"macvlan"}"#)
        .networks(annotation)
}

/// A claim of devices given as `request=device`.
fn claim(name: &str, devices: &[&str]) -> Claim {
    let device = |text: &&str| {
        let (request, device) = text.split_once('=').unwrap();
        ClaimDevice {
            request: request.into(),
            driver: "sriov.example".into(),
            pool: "n1".into(),
            device: device.into(),
            admin_access: None,
        }
    };
    Claim {
        name: name.into(),
        devices: Some(devices.iter().map(device).collect()),
        extended: None,
    }
}

/// A published device given as `device=id of resource`; an empty part is no attribute.
fn published(text: &str) -> Published {
    let (device, rest) = text.split_once('=').unwrap();
    let (id, resource) = rest.split_once(" of ").unwrap();
    let of = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Published {
        key: ["sriov.example", "n1", device].map(String::from),
        generation: 1,
        device_id: of(id),
        resource: of(resource),
    }
}

fn with(mut world: World, given: Vec<Claim>, slices: &[&str]) -> World {
    world.claims = Found::Here(Claims {
        given,
        published: slices.iter().map(|text| published(text)).collect(),
    });
    world
}

fn ids(world: &World) -> Vec<String> {
    let plan = world.plan();
    let ids = plan.attachments.iter().filter_map(|a| a.device.clone());
    ids.map(|device| device.id).collect()
}

const SLICES: [&str; 4] = [
    "vf0=02.0 of intel.com/r",
    "vf1=02.1 of intel.com/r",
    "vf2=02.2 of intel.com/r",
    "gpu0= of ",
];

fn mapping(container: &str, resource: &str, request: &str) -> RequestMapping {
    RequestMapping {
        container_name: container.into(),
        resource_name: resource.into(),
        request_name: request.into(),
    }
}

fn extended(devices: &[&str], mappings: &[RequestMapping]) -> Claim {
    Claim {
        extended: Some(mappings.to_vec()),
        ..claim("ext", devices)
    }
}

#[test]
fn row_38_claims_are_not_looked_at_unless_the_configuration_says_so_and_a_network_needs_a_device() {
    let off = World::new()
        .nad_with("d/r-net", SRIOV, Some("intel.com/r"))
        .networks("r-net")
        .devices(&[&["02.9"]]);
    assert_eq!(ids(&off), ["02.9"]);
    assert_eq!(off.asked_claims.get(), None);
    let none = world("macvlan");
    none.plan();
    assert_eq!(none.asked_claims.get(), None);
    let on = with(world("r-net"), vec![claim("c", &["q=vf1"])], &SLICES);
    on.plan();
    assert_eq!(on.asked_claims.get(), Some(false));
}

#[test]
fn row_38_a_claims_device_is_mapped_from_the_slices_and_written_into_the_configuration() {
    let world = with(world("r-net"), vec![claim("c", &["q=vf1"])], &SLICES);
    let plan = world.plan();
    let attachment = &plan.attachments[1];
    assert_eq!(config(attachment)["deviceID"], "02.1");
    assert_eq!(attachment.device.as_ref().unwrap().resource, "intel.com/r");
    assert_eq!(capability(attachment, "deviceID"), Some("02.1".into()));
}

#[test]
fn row_38_devices_are_sorted_within_a_claim_and_come_after_those_of_device_plugins() {
    let given = vec![claim("b", &["q=vf2", "q=vf1"]), claim("a", &["q=vf0"])];
    let mixed = world("r-net,r-net,r-net,r-net").devices(&[&["02.9"]]);
    let world = with(mixed, given, &SLICES);
    assert_eq!(ids(&world), ["02.9", "02.1", "02.2", "02.0"]);
}

#[test]
fn row_38_a_gpus_claim_is_passed_over_and_named_only_if_a_device_is_missing() {
    let gpu = || claim("gpu", &["q=gpu0"]);
    let world = with(world("r-net"), vec![gpu(), claim("c", &["q=vf1"])], &SLICES);
    assert_eq!(ids(&world), ["02.1"]);
    assert!(world.warnings().is_empty());
    let missing = with(super::claims::world("r-net"), vec![gpu()], &SLICES);
    let (reason, text) = missing.refused();
    assert_eq!(reason, Reason::PoolNotRequested);
    has_all(
        &text,
        &["claim gpu", "gpu0", "k8s.cni.cncf.io/resourceName"],
    );
}

#[test]
fn row_38_a_device_that_this_node_does_not_publish_is_not_used() {
    let world = with(world("r-net"), vec![claim("c", &["q=elsewhere"])], &SLICES);
    let (reason, text) = world.refused();
    assert_eq!(reason, Reason::PoolNotRequested);
    has_all(&text, &["elsewhere", "not published for this node"]);
}

#[test]
fn row_38_only_the_newest_slices_of_a_pool_count() {
    let mut world = with(world("r-net"), vec![claim("c", &["q=vf0"])], &[]);
    let old = published("vf0=02.0 of intel.com/r");
    let new = Published {
        generation: 2,
        ..published("vf0=02.7 of intel.com/r")
    };
    world.claims = Found::Here(Claims {
        given: vec![claim("c", &["q=vf0"])],
        published: vec![old, new],
    });
    assert_eq!(ids(&world), ["02.7"]);
}

#[test]
fn row_38_a_device_that_is_only_looked_at_is_not_attached() {
    let mut looking = claim("c", &["q=vf0"]);
    looking.devices.as_mut().unwrap()[0].admin_access = Some(true);
    let world = with(world("r-net"), vec![looking], &SLICES);
    assert_eq!(world.refused().0, Reason::PoolNotRequested);
}

#[test]
fn row_38_a_claim_without_devices_is_an_error_that_names_it() {
    let mut unallocated = claim("c", &[]);
    unallocated.devices = None;
    let (reason, text) = with(world("r-net"), vec![unallocated], &SLICES).refused();
    assert_eq!(reason, Reason::DeviceNotAllocated);
    has_all(&text, &["claim c", "d/p", "no devices yet"]);
}

#[test]
fn row_38_claims_that_cannot_be_read_are_an_error_and_tried_again() {
    let mut world = world("r-net").devices(&[&["02.9"]]);
    world.claims = Found::Unknown("connection refused".into());
    let refusal = world.try_plan().unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.code()),
        (Reason::DaemonNotReady, 11)
    );
    has_all(
        &refusal.to_string(),
        &["claims", "d/p", "connection refused"],
    );
}

#[test]
fn row_38_extended_resources_follow_the_containers() {
    let mappings = [
        mapping("a", "intel.com/r", "q1"),
        mapping("b", "intel.com/r", "q2"),
    ];
    let devices = ["q1=vf2", "q2=vf1", "q2/first=vf0"];
    let world = with(
        world("r-net,r-net,r-net"),
        vec![extended(&devices, &mappings)],
        &SLICES,
    );
    assert_eq!(ids(&world), ["02.2", "02.0", "02.1"]);
}

#[test]
fn row_38_an_extended_resource_that_is_not_what_it_stands_for_is_an_error() {
    let of = |devices: &[&str], request: &str, slices: &[&str]| {
        let claim = extended(devices, &[mapping("a", "intel.com/r", request)]);
        with(world("r-net"), vec![claim], slices).refused()
    };
    for (refused, words) in [
        (
            of(&["q=vf0"], "other", &SLICES),
            ["claim ext", "request other"],
        ),
        (of(&["q1=vf0"], "q", &SLICES), ["claim ext", "request q,"]),
        (of(&["q=gpu0"], "q", &SLICES), ["gpu0", "resourceName"]),
        (
            of(&["q=vf0"], "q", &["vf0=02.0 of intel.com/other"]),
            ["intel.com/other", "not for intel.com/r"],
        ),
        (
            of(&["q=vf0"], "q", &["vf0= of intel.com/r"]),
            ["vf0", "deviceID"],
        ),
        (of(&["q=vf0"], "q", &[]), ["vf0", "not published"]),
    ] {
        assert_eq!(refused.0, Reason::DeviceNotAllocated, "{}", refused.1);
        has_all(&refused.1, &words);
    }
}

#[test]
fn row_38_an_extended_resource_that_no_network_uses_is_nobodys_business() {
    let mappings = [
        mapping("a", "nvidia.com/gpu", "g"),
        mapping("a", "intel.com/r", "q"),
    ];
    let claim = extended(&["g=gpu0", "q=vf0"], &mappings);
    let world = with(world("r-net"), vec![claim], &SLICES);
    assert_eq!(ids(&world), ["02.0"]);
}

#[test]
fn row_38_a_device_that_the_kubelet_lists_too_is_one_device() {
    let world = with(
        world("r-net,r-net").devices(&[&["02.0"]]),
        vec![claim("c", &["q=vf0", "q=vf1"])],
        &SLICES,
    );
    assert_eq!(ids(&world), ["02.0", "02.1"]);
}

#[test]
fn row_38_a_published_device_of_another_pod_cannot_be_asked_for_by_text() {
    let slices = [
        "vf0=0000:3b:02.0 of intel.com/r",
        "vf1=0000:3b:02.1 of intel.com/r",
    ];
    let of = |id: &str| {
        let annotation = format!(r#"[{{"name":"macvlan","deviceID":"{id}"}}]"#);
        with(world(&annotation), vec![claim("c", &["q=vf0"])], &slices)
    };
    let other = of("0000:3b:02.1");
    assert_eq!(other.refused().0, Reason::DeviceNotAllocated);
    assert_eq!(other.asked_claims.get(), Some(true));
    assert_eq!(ids(&of("0000:3b:02.0")), ["0000:3b:02.0"]);
}
