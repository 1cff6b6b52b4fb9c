//! Which link the macvlan is made on: the one that is named, the default route's, or one in the pod.

use host::netlink::address::{Detection, NewAddress};
use host::netlink::route::Route;

use super::*;

/// Makes a link the one that the default route leaves by.
fn route_by(netlink: &mut Netlink, index: u32) {
    let address = NewAddress {
        net: "10.9.0.2/24".parse().unwrap(),
        detection: Detection::Normal,
    };
    netlink.add_address(index, address).unwrap();
    let gateway = Some("10.9.0.1".parse().unwrap());
    let route = Route::new("0.0.0.0/0".parse().unwrap(), index, gateway);
    netlink.add_route(&route).unwrap();
}

/// Configurations of the plugin with its link in the pod, where it knows of that (1.2 and later do).
fn knows_links_in_containers() -> bool {
    let Some(folder) = plugins() else {
        return false;
    };
    let program = std::fs::read(folder.join("macvlan")).unwrap();
    let key = b"linkInContainer";
    let is_known = program.windows(key.len()).any(|bytes| bytes == key);
    if !is_known {
        eprintln!("skipped: this macvlan is older than linkInContainer");
    }
    is_known
}

#[test]
fn without_master_the_link_of_the_default_route_is_taken() {
    for fallback in [
        json!({ "type": "macvlan" }),
        json!({ "type": "macvlan", "master": "" }),
    ] {
        let Some(mut world) = node() else { return };
        let eth1 = world.lab.host.link_by_name("eth1").unwrap().unwrap().index;
        route_by(&mut world.lab.host, eth1);
        let pod = fresh();
        let asked = asked(&world, &json!({ "fallback": fallback }));
        world.add(&pod.netns, &asked).unwrap();
        assert_eq!(net1(&pod.netns).unwrap().kind.as_deref(), Some("macvlan"));
        // A macvlan goes with the link it is on, so that is which one it is.
        world.lab.host.delete_link(eth1).unwrap();
        assert_eq!(net1(&pod.netns), None);
        world.del(&pod.netns).unwrap();
        assert_eq!(world.leases(), [""; 0]);
        for name in ["pf0", "vf0"] {
            let index = world.lab.host.link_by_name(name).unwrap().unwrap().index;
            world.lab.host.delete_link(index).unwrap();
        }
    }
}

#[test]
fn without_master_and_default_route_add_is_refused_and_leaves_nothing() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let asked = asked(&world, &json!({ "fallback": { "type": "macvlan" } }));
    let said = world.add(&pod.netns, &asked).unwrap_err().to_cni();
    assert!(said.msg.starts_with("fallback macvlan: "), "{}", said.msg);
    assert_eq!(net1(&pod.netns), None);
    assert_eq!(world.leases(), [""; 0]);
    assert!(world.site.ledger().attachments().unwrap().is_empty());
}

#[test]
fn with_link_in_container_the_master_is_the_pods_own() {
    if !knows_links_in_containers() {
        return;
    }
    for version in Version::ALL {
        let Some(mut world) = node() else { return };
        let pod = fresh();
        let mut inside = pod.netns.netlink().unwrap();
        let pod0 = master(&mut inside, "pod0");
        route_by(&mut inside, pod0);
        for named in [json!({ "master": "pod0" }), json!({})] {
            let mut fallback = json!({ "type": "macvlan", "linkInContainer": true });
            for (key, value) in named.as_object().unwrap() {
                fallback[key] = value.clone();
            }
            let asked = asked(&world, &json!({ "fallback": fallback }));
            let call = world.with_version(Command::Add, &pod.netns, &asked, version);
            let result = add::add(&world.site, &mut (&mut world.lab), &call).unwrap();
            let link = net1(&pod.netns).unwrap();
            assert_eq!(
                (link.kind.as_deref(), link.lower),
                (Some("macvlan"), Some(pod0)),
                "{version}"
            );
            if version.has_check() {
                let mut checked = asked.clone();
                checked["prevResult"] =
                    serde_json::from_str(&result.to_json(version).unwrap()).unwrap();
                let call = world.with_version(Command::Check, &pod.netns, &checked, version);
                check::check(&world.site, &mut (&mut world.lab), &call).unwrap();
            }
            world.del(&pod.netns).unwrap();
            assert_eq!((net1(&pod.netns), world.leases()), (None, vec![]));
        }
        for name in ["eth1", "pf0", "vf0"] {
            let index = world.lab.host.link_by_name(name).unwrap().unwrap().index;
            world.lab.host.delete_link(index).unwrap();
        }
    }
}

#[test]
fn a_master_that_the_pod_does_not_have_is_told_by_name() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    // The host has it, which does not count.
    let fallback = json!({ "type": "macvlan", "master": "eth1", "linkInContainer": true });
    let asked = asked(&world, &json!({ "fallback": fallback }));
    let said = world.add(&pod.netns, &asked).unwrap_err().to_cni();
    assert_eq!(
        said.msg,
        "fallback macvlan: master eth1: there is no such interface in the pod"
    );
    assert!(world.site.ledger().attachments().unwrap().is_empty());
}

#[test]
fn without_addresses_versions_that_cannot_tell_the_link_are_refused_before_it_exists() {
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let Some(mut world) = node() else { return };
        let pod = fresh();
        let asked = asked(&world, &json!({ "ipam": {} }));
        let call = world.with_version(Command::Add, &pod.netns, &asked, version);
        let error = add::add(&world.site, &mut (&mut world.lab), &call).unwrap_err();
        let said = error.to_cni().msg;
        assert!(
            said.contains("cannot convert: no valid IP addresses"),
            "{said}"
        );
        assert_eq!(net1(&pod.netns), None);
        for name in ["eth1", "pf0", "vf0"] {
            let index = world.lab.host.link_by_name(name).unwrap().unwrap().index;
            world.lab.host.delete_link(index).unwrap();
        }
    }
}

#[test]
fn del_of_a_slot_without_add_succeeds() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let asked = asked(&world, &json!({}));
    let call = world.call(Command::Del, &pod.netns, &asked);
    del::del(&world.site, &mut (&mut world.lab), &call).unwrap();
}
