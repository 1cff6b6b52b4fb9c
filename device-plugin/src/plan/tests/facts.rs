//! Cases L9 to L16: selectors by link type, firmware, RDMA and P_Key; several objects and pools.

use super::*;

#[test]
fn l9_link_types() {
    let fake = FakeSysfs::parse(F1);
    let infiniband = Link {
        link_type: 32,
        ..link(3, "pf1")
    };
    let network = Network::new(&[link(2, "pf0"), link(4, "pf0v0"), infiniband], &[]);
    let node = scan(&fake.sysfs(), &network).unwrap();
    assert_eq!(selected(&node, r#"{"linkTypes":["infiniband"]}"#), MLX);
    // VF 1's own interface is unknown to netlink; like VF 2, which has none, it takes its PF's type.
    assert_eq!(
        selected(
            &node,
            r#"{"linkTypes":["infiniband","ether"],"vendors":["8086","15b3"],"pfNames":["pf0","pf1"]}"#
        ),
        all()
    );
    assert!(selected(&node, r#"{"linkTypes":["Ether"],"pfNames":["pf0"]}"#).is_empty());
}

#[test]
fn l10_acpi_indexes_match_exactly() {
    let fake = FakeSysfs::parse(
        "pci 0000:01:00.0{8086:1572, 0200, drv=i40e, acpi=101}
         pci 0000:02:00.0{8086:1572, 0200, drv=i40e, acpi=10}
         pci 0000:03:00.0{8086:1572, 0200, drv=i40e}",
    );
    let node = scan(&fake.sysfs(), &Network::default()).unwrap();
    assert_eq!(
        selected(&node, r#"{"acpiIndexes":["101"]}"#),
        ["0000:01:00.0"]
    );
}

#[test]
fn l11_is_rdma_keeps_functions_with_an_rdma_device() {
    assert_eq!(selected(&f1(), r#"{"isRdma":true}"#), MLX);
    let fake = FakeSysfs::parse(F1);
    fake.remove("bus/pci/devices/0000:af:00.2/infiniband");
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(selected(&node, r#"{"isRdma":true}"#), MLX[1..]);
    assert_eq!(selected(&node, r#"{"isRdma":false}"#), all());
    // An empty folder is no RDMA device; whether devlink could show one is not asked yet (PARITY.md).
    fake.directory("bus/pci/devices/0000:af:00.2/infiniband");
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(selected(&node, r#"{"isRdma":true}"#), MLX[1..]);
}

#[test]
fn s20_partition_keys_match_as_numbers_without_the_membership_bit() {
    let fake = FakeSysfs::parse(
        "pci 0000:01:00.2{15b3:1018, 0207, drv=mlx5_core, net=[ib0], ib=[mlx5_2]}",
    );
    let port = "bus/pci/devices/0000:01:00.2/infiniband/mlx5_2/ports/1/pkeys/0";
    let ib0 = Link {
        link_type: 32,
        ..link(1, "ib0")
    };
    let network = Network::new(&[ib0], &[]);
    for (content, keys, other) in [
        (
            "0xabcd\n",
            &["0xABCD", "0xabcd", "0x2bcd", "abcd"][..],
            "0x1",
        ),
        ("0x8001\n", &["0x1", "0x8001"], "0x2bcd"),
    ] {
        fake.file(port, content);
        let node = scan(&fake.sysfs(), &network).unwrap();
        let found = |key: &str| selected(&node, &format!(r#"{{"pKeys":["{key}"]}}"#)).len();
        for key in keys {
            assert_eq!(found(key), 1, "{key}");
        }
        assert_eq!(found(other), 0);
    }
    assert!(selected(&f1(), r#"{"pKeys":["0x1"]}"#).is_empty());
}

#[test]
fn l13_every_selector_at_once() {
    let fake = FakeSysfs::parse(F1);
    fake.file("bus/pci/devices/0000:af:00.2/acpi_index", "7\n");
    fake.file(
        "bus/pci/devices/0000:af:00.2/infiniband/mlx5_2/ports/1/pkeys/0",
        "0x8001\n",
    );
    let pf1 = Link {
        link_type: 32,
        ..link(3, "pf1")
    };
    let node = scan(&fake.sysfs(), &Network::new(&[pf1], &[])).unwrap();
    let found = selected(
        &node,
        r#"{"vendors":["15b3"],"devices":["1018"],"drivers":["mlx5_core"],
            "pciAddresses":["0000:af:00.2","0000:af:00.3"],"acpiIndexes":["7"],"pfNames":["pf1#0"],
            "rootDevices":["0000:af:00.0#0-1"],"linkTypes":["infiniband"],"pKeys":["0x8001"],"isRdma":true}"#,
    );
    assert_eq!(found, MLX[..1]);
}

#[test]
fn l14_the_first_object_that_matches_claims_the_device() {
    let node = f1();
    let config = config(&[
        r#""selectors":[{"pfNames":["pf0#0"],"needVhostNet":true},{"drivers":["iavf"]}]"#,
    ]);
    let plan = plan(&config, &node);
    let claimed: Vec<(String, bool)> = plan.pools[0]
        .devices
        .iter()
        .map(|device| (device.function.id().to_string(), device.vhost_net))
        .collect();
    assert_eq!(
        claimed,
        [(VF[0].to_owned(), true), (VF[1].to_owned(), false)]
    );
}

#[test]
fn l15_of_two_pools_with_the_same_selectors_the_first_has_all() {
    let selectors = r#""selectors":{"vendors":["8086"]}"#;
    let shares = shares(&f1(), &[selectors, selectors]);
    assert_eq!(shares[0], VF);
    assert!(shares[1].is_empty());
}

#[test]
fn l15_an_object_or_pool_that_gets_nothing_because_of_an_earlier_one_is_told() {
    let told = |pools: &[&str]| {
        let (config, node) = (config(pools), f1());
        warnings(&config, &node, &plan(&config, &node))
    };
    assert_eq!(
        told(&[
            r#""selectors":[{"vendors":["8086"]},{"devices":["154c"]},{"drivers":["no-such"]}]"#,
            r#""selectors":{"drivers":["iavf"]}"#,
            r#""selectors":{}"#,
        ]),
        [
            "example.com/p0: selector object 2 gets nothing: an earlier one takes each of the 3 devices that it matches",
            "example.com/p1: selector object 1 gets nothing: an earlier one takes each of the 2 devices that it matches",
        ]
    );
    assert!(told(&[r#""selectors":[{"drivers":["iavf"]},{"vendors":["8086"]}]"#]).is_empty());
}

#[test]
fn a_nic_that_is_given_away_whole_and_in_parts_is_told() {
    let fake = FakeSysfs::parse(
        "pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, net=[pf1]}
         aux mlx5_core.sf.1{on=0000:af:00.0, sfnum=1}
         aux mlx5_core.sf.2{on=0000:af:00.0, sfnum=2}",
    );
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    let parts = r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"]}"#;
    let told = |pools: &[&str]| {
        let config = config(pools);
        warnings(&config, &node, &plan(&config, &node))
    };
    assert_eq!(
        told(&[r#""selectors":{}"#, parts]),
        [
            "0000:af:00.0 is a device of example.com/p0 while its sub-functions are devices of example.com/p1: two pods may get one NIC"
        ]
    );
    assert!(told(&[parts]).is_empty());
}

#[test]
fn l16_the_flags_of_a_device_are_those_of_the_first_match() {
    let (with, without) = (
        r#"{"vendors":["8086"],"needVhostNet":true}"#,
        r#"{"vendors":["8086"],"devices":["154c"]}"#,
    );
    for (objects, expected) in [([with, without], true), ([without, with], false)] {
        let pool = format!(r#""selectors":[{}]"#, objects.join(","));
        let plan = plan(&config(&[&pool]), &f1());
        assert!(
            plan.pools[0]
                .devices
                .iter()
                .all(|device| device.vhost_net == expected)
        );
    }
}

#[test]
fn a8_rdma_belongs_to_the_object_that_claims_not_to_the_pool() {
    let pool =
        r#""selectors":[{"isRdma":true,"pciAddresses":["0000:af:00.2"]},{"vendors":["15b3"]}]"#;
    let plan = plan(&config(&[pool]), &f1());
    let flags: Vec<bool> = plan.pools[0]
        .devices
        .iter()
        .map(|device| device.rdma)
        .collect();
    assert_eq!(flags, [true, false]);
}

#[test]
fn a13_exclude_topology_takes_the_memory_node_away() {
    let nodes = |extra: &str| -> Vec<Option<u32>> {
        let pool = format!(r#""selectors":{{"vendors":["8086"]}}{extra}"#);
        let plan = plan(&config(&[&pool]), &f1());
        plan.pools[0]
            .devices
            .iter()
            .map(|device| device.numa)
            .collect()
    };
    assert_eq!(nodes(""), [Some(0); 3]);
    assert_eq!(nodes(r#","excludeTopology":true"#), [None; 3]);
}

#[test]
fn every_refusal_names_the_selector_and_what_was_found() {
    for (selectors, expected) in [
        (r#"{"vendors":["15b3"]}"#, "vendors does not match 8086"),
        (r#"{"devices":["1018"]}"#, "devices does not match 154c"),
        (r#"{"drivers":["vfio-pci"]}"#, "drivers does not match iavf"),
        (
            r#"{"pciAddresses":["0000:18:02.1"]}"#,
            "pciAddresses does not match 0000:18:02.0",
        ),
        (
            r#"{"acpiIndexes":["1"]}"#,
            "acpiIndexes does not match \"\"",
        ),
        (r#"{"pfNames":["pf0#1-2"]}"#, "pfNames does not match pf0#0"),
        (
            r#"{"rootDevices":["0000:af:00.0"]}"#,
            "rootDevices does not match 0000:18:00.0#0",
        ),
        (
            r#"{"linkTypes":["infiniband"]}"#,
            "linkTypes does not match ether",
        ),
        (r#"{"pKeys":["1"]}"#, "pKeys does not match none"),
        (
            r#"{"isRdma":true}"#,
            "isRdma does not match a function without an RDMA device",
        ),
    ] {
        let plan = plan(&config(&[&format!(r#""selectors":{selectors}"#)]), &f1());
        let verdict = plan
            .verdicts
            .iter()
            .find(|verdict| verdict.id.to_string() == VF[0]);
        assert_eq!(verdict.unwrap().refused[0].2.to_string(), expected);
    }
}
