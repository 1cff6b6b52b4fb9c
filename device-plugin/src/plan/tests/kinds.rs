//! Devices other than plain VFs: accelerators, sub-functions, vDPA, profiles, PFs by choice.

use std::collections::BTreeMap;

use super::*;
use crate::node::{DeviceId, Devlink, scan_asking};
use host::pci::PciAddress;

fn observe(notation: &str) -> Node {
    scan(&FakeSysfs::parse(notation).sysfs(), &f1_network()).unwrap()
}

#[test]
fn correction_d8_the_nodes_own_interface_is_offered_by_no_route_and_no_way() {
    use crate::node::tests::default_route;
    let bridge = Link {
        controller: Some(3),
        ..link(1, "eth0")
    };
    let links = [bridge, link(2, "eth1"), link(3, "br0")];
    let mut two_ways = default_route("0.0.0.0/0", 2);
    two_ways.hops.push(host::netlink::route::Hop {
        gateway: None,
        index: Some(3),
    });
    let fake = FakeSysfs::parse(
        "pci 0000:04:00.0{8086:1521, 0200, drv=igb, net=[eth0]}
         pci 0000:04:00.1{8086:1521, 0200, drv=igb, net=[eth1]}",
    );
    for (route, free) in [
        (default_route("0.0.0.0/0", 3), &["0000:04:00.1"][..]),
        (default_route("::/0", 2), &["0000:04:00.0"]),
        (two_ways, &[]),
    ] {
        let node = scan(&fake.sysfs(), &Network::new(&links, &[route])).unwrap();
        assert_eq!(selected(&node, "{}"), free);
    }
}

#[test]
fn d9_a_pool_of_accelerators_takes_accelerators_and_their_vfs() {
    let pool = r#""deviceType":"accelerator","selectors":{}"#;
    assert_eq!(shares(&f1(), &[pool])[0], ["0000:b1:00.0"]);
    let node = observe(
        "pci 0000:b1:00.0{8086:0d5c, 1200, drv=pf_bb_config, vfs=16/1, virtfn 0=0000:b2:00.0}
         pci 0000:b2:00.0{8086:0d5d, 1200, drv=vfio-pci, iommu=41, pf=0000:b1:00.0}",
    );
    assert_eq!(shares(&node, &[pool])[0], ["0000:b1:00.0", "0000:b2:00.0"]);
    let one = r#""deviceType":"accelerator","selectors":{"vendors":["8086"],"devices":["0d5d"],"drivers":["vfio-pci"],"pciAddresses":["b2:00.0"]}"#;
    assert_eq!(shares(&node, &[one])[0], ["0000:b2:00.0"]);
    assert!(selected(&node, "{}").is_empty());
}

#[test]
fn l10_acpi_indexes_select_accelerators_too() {
    let node = observe(
        "pci 0000:b1:00.0{8086:0d5c, 1200, drv=vfio-pci, acpi=5}
         pci 0000:b2:00.0{8086:0d5c, 1200, drv=vfio-pci, acpi=6}",
    );
    let pool = r#""deviceType":"accelerator","selectors":{"acpiIndexes":["6"]}"#;
    assert_eq!(shares(&node, &[pool])[0], ["0000:b2:00.0"]);
}

/// Two PFs with sub-functions; the first carries the node's default route.
fn sub_functions() -> Node {
    let network = Network::new(
        &[
            link(1, "pf0"),
            Link {
                link_type: 32,
                ..link(2, "ib1")
            },
            link(3, "sf9net"),
        ],
        &[crate::node::tests::default_route("0.0.0.0/0", 1)],
    );
    let fake = FakeSysfs::parse(
        "pci 0000:a0:00.0{15b3:101d, 0200, drv=mlx5_core, net=[pf0], vfs=8/2}
         aux mlx5_core.sf.1{on=0000:a0:00.0, sfnum=1, ib=[mlx5_4]}
         aux mlx5_core.sf.2{on=0000:a0:00.0, sfnum=2}
         pci 0000:a1:00.0{15b3:1021, 0207, drv=mlx5_core, net=[ib1]}
         aux mlx5_core.sf.8{on=0000:a1:00.0, sfnum=1}
         aux mlx5_core.sf.9{on=0000:a1:00.0, sfnum=90, net=[sf9net]}
         pci 0000:a2:00.0{8086:1593, 0200, drv=ice, net=[eth7]}
         aux ice.sf.3{on=0000:a2:00.0, sfnum=3}",
    );
    scan(&fake.sysfs(), &network).unwrap()
}

fn aux(selectors: &str) -> Vec<String> {
    let pool =
        format!(r#""deviceType":"auxNetDevice","selectors":{{"auxTypes":["sf"]{selectors}}}"#);
    shares(&sub_functions(), &[&pool]).remove(0)
}

#[test]
fn d11_a_sub_function_of_the_nodes_own_interface_is_kept() {
    assert!(aux("").contains(&"mlx5_core.sf.1".to_owned()));
    assert_eq!(aux("").len(), 5);
    assert!(!selected(&sub_functions(), "{}").contains(&"0000:a0:00.0".to_owned()));
}

#[test]
fn l18_every_selector_of_sub_functions() {
    for (selectors, expected) in [
        (r#","vendors":["8086"]"#, &["ice.sf.3"][..]),
        (
            r#","devices":["1021"]"#,
            &["mlx5_core.sf.8", "mlx5_core.sf.9"],
        ),
        (r#","drivers":["ice"]"#, &["ice.sf.3"]),
        (r#","pfNames":["pf0#2"]"#, &["mlx5_core.sf.2"]),
        (
            r#","pfNames":["PF0"]"#,
            &["mlx5_core.sf.1", "mlx5_core.sf.2"],
        ),
        (
            r#","rootDevices":["0000:a1:00.0#50-99"]"#,
            &["mlx5_core.sf.9"],
        ),
        (r#","linkTypes":["infiniband"]"#, &["mlx5_core.sf.8"]),
        (r#","isRdma":true"#, &["mlx5_core.sf.1"]),
        (
            r#","pciAddresses":["0000:00:00.0"],"devices":["1593"]"#,
            &["ice.sf.3"],
        ),
    ] {
        assert_eq!(aux(selectors), expected, "{selectors}");
    }
}

#[test]
fn a_pool_says_of_another_kind_of_device_what_it_is() {
    let plan = plan(&config(&[r#""selectors":{}"#]), &f1());
    let verdict = plan.verdicts.last().unwrap().to_string();
    assert_eq!(
        verdict,
        "0000:b1:00.0: no pool; not example.com/p0 (selector object 1): it is an accelerator, the pool takes netDevice"
    );
}

#[test]
fn l12_vdpa_types() {
    let node = observe(
        "pci 0000:65:00.2{15b3:101e, 0200, drv=mlx5_core}
         pci 0000:65:00.3{15b3:101e, 0200, drv=mlx5_core}
         pci 0000:65:00.4{15b3:101e, 0200, drv=mlx5_core}
         pci 0000:65:00.5{15b3:101e, 0200, drv=mlx5_core}
         pci 0000:65:00.6{15b3:101e, 0200, drv=mlx5_core}
         vdpa vdpa0{on=0000:65:00.2, drv=vhost_vdpa, node=vhost-vdpa-0}
         vdpa vdpa1{on=0000:65:00.3, drv=virtio_vdpa}
         vdpa vdpa2{on=0000:65:00.4}
         vdpa vdpa3{on=0000:65:00.5, drv=vduse}",
    );
    assert_eq!(selected(&node, r#"{"vdpaType":"vhost"}"#), ["0000:65:00.2"]);
    assert_eq!(
        selected(&node, r#"{"vdpaType":"virtio"}"#),
        ["0000:65:00.3"]
    );
    let plan = plan(&config(&[r#""selectors":{"vdpaType":"vhost"}"#]), &node);
    let reasons: Vec<String> = plan.verdicts[1..]
        .iter()
        .map(|verdict| verdict.refused[0].2.to_string())
        .collect();
    assert_eq!(
        reasons,
        [
            "vdpaType does not match virtio_vdpa on vdpa1",
            "vdpaType does not match none on vdpa2",
            "vdpaType does not match vduse on vdpa3",
            "vdpaType does not match a function without a vDPA device",
        ]
    );
}

/// The PF 0000:18:00.0 runs a profile, and one VF can do RDMA without showing a device.
struct Firmware(BTreeMap<String, String>);

impl Devlink for Firmware {
    fn can_rdma(&mut self, device: &DeviceId) -> bool {
        device.to_string() == VF[1]
    }

    fn ddp_profile(&mut self, pf: PciAddress) -> Option<String> {
        self.0.get(&pf.to_string()).cloned()
    }
}

fn with_firmware() -> Node {
    let profiles = BTreeMap::from([
        ("0000:18:00.0".to_owned(), "GTPv1".to_owned()),
        ("0000:af:00.0".to_owned(), String::new()),
    ]);
    let fake = FakeSysfs::parse(F1);
    scan_asking(&fake.sysfs(), &f1_network(), &mut Firmware(profiles)).unwrap()
}

#[test]
fn l17_ddp_profiles_match_exactly_and_none_never() {
    let node = with_firmware();
    assert_eq!(selected(&node, r#"{"ddpProfiles":["GTPv1"]}"#), VF);
    assert!(selected(&node, r#"{"ddpProfiles":["gtpv1","GTP"]}"#).is_empty());
    assert!(selected(&f1(), r#"{"ddpProfiles":["GTPv1"]}"#).is_empty());
    assert!(selected(&f1(), r#"{"ddpProfiles":[""]}"#).is_empty());
}

#[test]
fn l11_a_function_whose_rdma_device_is_in_a_pod_stays_in_its_pool() {
    assert_eq!(
        selected(&with_firmware(), r#"{"isRdma":true}"#),
        [VF[1], MLX[0], MLX[1]]
    );
}

/// A PF without VFs, one with, and a VF.
const PFS: &str = "pci 0000:0a:00.0{8086:1572, 0200, drv=i40e, net=[a0], vfs=8/0}
    pci 0000:0b:00.0{8086:1572, 0200, drv=i40e, net=[b0], vfs=8/1, virtfn 0=0000:0b:02.0}
    pci 0000:0b:02.0{8086:154c, 0200, drv=iavf, pf=0000:0b:00.0}
    pci 0000:0c:00.0{8086:1521, 0200, drv=igb, net=[c0]}";

#[test]
fn a_pf_is_selected_by_name_or_address_only_where_the_pool_says_so_and_never_under_its_vfs() {
    let node = observe(PFS);
    for (by_name, expected) in [
        (r#""pfNames":["a0","b0"]"#, ["0000:0a:00.0", "0000:0b:02.0"]),
        (
            r#""rootDevices":["0000:0a:00.0","0000:0b:00.0"]"#,
            ["0000:0a:00.0", "0000:0b:02.0"],
        ),
    ] {
        assert_eq!(selected(&node, &format!("{{{by_name}}}")), expected[1..]);
        let with = format!(r#"{{{by_name},"includePfs":true}}"#);
        assert_eq!(selected(&node, &with), expected);
    }
    // A PF has no index among VFs.
    assert!(selected(&node, r#"{"pfNames":["a0#0"],"includePfs":true}"#).is_empty());
    assert_eq!(
        selected(&node, r#"{"pciAddresses":["0a:00.0"]}"#),
        ["0000:0a:00.0"]
    );
}
