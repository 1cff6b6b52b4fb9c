//! Cases D (candidates) and L (selectors) of spec/device-plugin.md §8.4 and §8.5, for netDevice.

use host::{
    netlink::link::Link,
    testing::sysfs::{F1, FakeSysfs},
};

use super::*;

mod facts;
mod kinds;
use crate::{
    config::{Defaults, load},
    node::{
        Network, scan,
        tests::{f1, f1_network, link},
    },
};

/// Pools p0, p1, ... with the members given.
fn config(pools: &[&str]) -> Config {
    let pools: Vec<String> = (0..)
        .zip(pools)
        .map(|(index, members)| format!(r#"{{"resourceName":"p{index}",{members}}}"#))
        .collect();
    let text = format!(r#"{{"resourceList":[{}]}}"#, pools.join(","));
    let defaults = Defaults {
        prefix: "example.com".to_owned(),
        socket_directory: "/".into(),
    };
    let loaded = load(text.as_bytes(), &defaults).unwrap();
    assert_eq!(loaded.rejected, []);
    loaded.config
}

fn shares(node: &Node, pools: &[&str]) -> Vec<Vec<String>> {
    let plan = plan(&config(pools), node);
    let ids = |share: &PoolPlan| {
        share
            .devices
            .iter()
            .map(|device| device.function.id().to_string())
            .collect()
    };
    plan.pools.iter().map(ids).collect()
}

/// Addresses that one pool with these selectors gets.
fn selected(node: &Node, selectors: &str) -> Vec<String> {
    shares(node, &[&format!(r#""selectors":{selectors}"#)]).remove(0)
}

const VF: [&str; 3] = ["0000:18:02.0", "0000:18:02.1", "0000:18:02.2"];
const MLX: [&str; 2] = ["0000:af:00.2", "0000:af:00.3"];

fn all() -> Vec<&'static str> {
    [&VF[..], &MLX[..]].concat()
}

#[test]
fn d2_of_the_base_fixture_only_the_vfs_survive() {
    assert_eq!(selected(&f1(), "{}"), all());
    let plan = plan(&config(&[r#""selectors":{}"#]), &f1());
    let reason = |address: &str| {
        let id: DeviceId = address.parse().unwrap();
        let verdict = plan
            .verdicts
            .iter()
            .find(|verdict| verdict.id == id)
            .unwrap();
        verdict.to_string()
    };
    assert_eq!(
        reason("0000:18:00.0"),
        "0000:18:00.0: no pool; not example.com/p0 (selector object 1): it is a PF with 3 VFs"
    );
    assert!(
        reason("0000:04:00.0")
            .contains("the node's default route goes through its interface mgmt0")
    );
    assert_eq!(reason("0000:18:02.0"), "0000:18:02.0: example.com/p0");
}

#[test]
fn d3_a_pf_without_vfs_is_kept() {
    let fake = FakeSysfs::parse("pci 0000:18:00.0{8086:1572, 0200, drv=i40e, net=[pf0], vfs=64/0}");
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(selected(&node, "{}"), ["0000:18:00.0"]);
}

#[test]
fn d4_an_interface_without_sriov_and_without_default_route_is_kept() {
    let fake = FakeSysfs::parse("pci 0000:05:00.0{8086:1521, 0200, drv=igb, net=[eth9]}");
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(selected(&node, "{}"), ["0000:05:00.0"]);
}

#[test]
fn d5_a_function_without_a_driver_is_not_offered_until_it_has_one() {
    let fake = FakeSysfs::parse(F1);
    fake.set_driver(VF[0], None);
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(selected(&node, r#"{"vendors":["8086"]}"#), VF[1..]);
    fake.set_driver(VF[0], Some("iavf"));
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(selected(&node, r#"{"vendors":["8086"]}"#), VF);
}

#[test]
fn d6_a_vf_inside_a_guest_has_no_pf_and_is_kept() {
    let fake = FakeSysfs::parse("pci 0000:00:06.0{8086:154c, 0200, drv=igb_uio, uio=[uio0]}");
    let node = scan(&fake.sysfs(), &Network::default()).unwrap();
    assert_eq!(
        selected(&node, r#"{"drivers":["igb_uio"]}"#),
        ["0000:00:06.0"]
    );
    assert!(selected(&node, r#"{"pfNames":["pf0"]}"#).is_empty());
    assert!(selected(&node, r#"{"rootDevices":["0000:00:06.0"]}"#).is_empty());
}

#[test]
fn d7_a_pool_takes_the_nodes_own_interface_only_when_it_names_it() {
    let node = f1();
    let pool =
        |allowed: &str| format!(r#""selectors":{{"drivers":["igb"]}},"allowHostNics":[{allowed}]"#);
    assert!(shares(&node, &[&pool(r#""eth0""#)])[0].is_empty());
    assert_eq!(shares(&node, &[&pool(r#""mgmt0""#)])[0], ["0000:04:00.0"]);
    assert_eq!(
        shares(&node, &[&pool(r#""0000:04:00.0""#)])[0],
        ["0000:04:00.0"]
    );
}

#[test]
fn l1_vendors() {
    let node = f1();
    assert_eq!(selected(&node, r#"{"vendors":["8086"]}"#), VF);
    assert_eq!(selected(&node, r#"{"vendors":["15b3"]}"#), MLX);
    assert_eq!(selected(&node, r#"{"vendors":["8086","15b3"]}"#), all());
}

#[test]
fn l2_devices_and_drivers() {
    let node = f1();
    assert_eq!(selected(&node, r#"{"devices":["154c"]}"#), VF);
    assert_eq!(selected(&node, r#"{"drivers":["iavf"]}"#), VF[..2]);
    assert!(selected(&node, r#"{"drivers":["iav"]}"#).is_empty());
}

#[test]
fn l3_pci_addresses_in_every_spelling() {
    let node = f1();
    for list in [
        r#"["0000:18:02.0","0000:af:00.3"]"#,
        r#"["0000:18:02.0","0000:AF:00.3"]"#,
        r#"["18:02.0","af:00.3"]"#,
    ] {
        let found = selected(&node, &format!(r#"{{"pciAddresses":{list}}}"#));
        assert_eq!(found, [VF[0], MLX[1]], "{list}");
    }
}

#[test]
fn l4_names_of_pfs_match_whole_and_without_regard_to_case() {
    let node = f1();
    assert_eq!(selected(&node, r#"{"pfNames":["pf0"]}"#), VF);
    assert_eq!(selected(&node, r#"{"pfNames":["PF0"]}"#), VF);
    assert!(selected(&node, r#"{"pfNames":["pf"]}"#).is_empty());
}

#[test]
fn a_pf_is_found_by_its_alternative_name() {
    let mut pf0 = link(1, "pf0");
    pf0.alt_names = vec!["enp24s0f0".to_owned()];
    let node = scan(&FakeSysfs::parse(F1).sysfs(), &Network::new(&[pf0], &[])).unwrap();
    assert_eq!(selected(&node, r#"{"pfNames":["enp24s0f0#2"]}"#), VF[2..]);
}

#[test]
fn l5_ranges_of_vfs() {
    let node = f1();
    assert_eq!(selected(&node, r#"{"pfNames":["pf0#1"]}"#), VF[1..2]);
    assert_eq!(
        selected(&node, r#"{"pfNames":["pf0#0,2"]}"#),
        [VF[0], VF[2]]
    );
    assert_eq!(selected(&node, r#"{"pfNames":["pf0#0-1"]}"#), VF[..2]);
    assert_eq!(selected(&node, r#"{"pfNames":["pf0#0,1-2"]}"#), VF);
}

#[test]
fn l6_several_entries_of_one_pf_add_up() {
    assert_eq!(
        selected(&f1(), r#"{"pfNames":["pf0#0","pf0#2"]}"#),
        [VF[0], VF[2]]
    );
}

/// PFs A, B, C of eight VFs each, without drivers of their own to get in the way.
fn three_pfs() -> Node {
    let mut lines = Vec::new();
    for (bus, name) in [("0a", "a0"), ("0b", "b0"), ("0c", "c0")] {
        lines.push(format!(
            "pci 0000:{bus}:00.0{{8086:1572, 0200, drv=i40e, net=[{name}], vfs=8/8, virtfn 0..7=0000:{bus}:02.0}}"
        ));
        for vf in 0..8 {
            lines.push(format!(
                "pci 0000:{bus}:02.{vf}{{8086:154c, 0200, drv=iavf, pf=0000:{bus}:00.0}}"
            ));
        }
    }
    scan(
        &FakeSysfs::parse(&lines.join("\n")).sysfs(),
        &Network::default(),
    )
    .unwrap()
}

#[test]
fn l7_root_devices_with_ranges() {
    let found = selected(&three_pfs(), r#"{"rootDevices":["0000:0a:00.0#1,4-6"]}"#);
    assert_eq!(
        found,
        [
            "0000:0a:02.1",
            "0000:0a:02.4",
            "0000:0a:02.5",
            "0000:0a:02.6"
        ]
    );
}

#[test]
fn l8_entries_of_several_pfs_in_one_list() {
    let found = selected(&three_pfs(), r#"{"pfNames":["a0","b0#1","c0#0,3-5,7"]}"#);
    let of = |bus: &str| -> Vec<&str> {
        found
            .iter()
            .filter_map(|id| id.strip_prefix(&format!("0000:{bus}:02.")))
            .collect()
    };
    assert_eq!(of("0a"), ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(of("0b"), ["1"]);
    assert_eq!(of("0c"), ["0", "3", "4", "5", "7"]);
}
