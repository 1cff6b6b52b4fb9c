//! Rows S11 to S14 and S17 of spec/device-plugin.md §8.3.

use super::*;
use crate::testing::sysfs::{F1, FakeSysfs};

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

const VF: &str = "0000:18:02.0";
const PF: &str = "0000:18:00.0";

fn pf(items: &str) -> FakeSysfs {
    FakeSysfs::parse(&format!(
        "pci 0000:18:00.0{{15b3:1017, 0200, drv=mlx5_core, {items}}}
         pci 0000:18:02.0{{15b3:1018, 0200, drv=mlx5_core, pf=0000:18:00.0}}"
    ))
}

#[test]
fn a_function_without_interface_has_no_names() {
    assert!(
        names(&FakeSysfs::parse(F1).sysfs(), at("0000:18:02.2"))
            .unwrap()
            .is_empty()
    );
    assert!(names(&FakeSysfs::new().sysfs(), at(PF)).unwrap().is_empty());
}

#[test]
fn a_net_that_is_a_file_is_an_error() {
    let fake = FakeSysfs::parse(F1);
    fake.remove("bus/pci/devices/0000:18:02.0/net")
        .file("bus/pci/devices/0000:18:02.0/net", "");
    let error = names(&fake.sysfs(), at(VF)).unwrap_err().to_string();
    assert!(
        error.starts_with("list ") && error.ends_with("0000:18:02.0/net"),
        "{error}"
    );
}

#[test]
fn all_interfaces_of_a_function_are_named() {
    let fake = FakeSysfs::parse(
        "pci 0000:18:00.0{8086:1572, 0200, net=[a]}\npci 0000:19:00.0{8086:1572, 0200, net=[b,a]}",
    );
    assert_eq!(names(&fake.sysfs(), at(PF)).unwrap(), ["a"]);
    assert_eq!(
        names(&fake.sysfs(), at("0000:19:00.0")).unwrap(),
        ["a", "b"]
    );
}

#[test]
fn the_interface_of_a_virtio_function_is_one_level_deeper() {
    let fake = FakeSysfs::parse("pci 0000:18:00.0{1af4:1041, 0200, drv=virtio-pci}");
    fake.directory("bus/pci/devices/0000:18:00.0/virtio3/net/ens3");
    assert_eq!(names(&fake.sysfs(), at(PF)).unwrap(), ["ens3"]);
}

#[test]
fn a_function_that_is_no_vf_has_no_pf_name() {
    assert_eq!(
        pf_name(&FakeSysfs::parse(F1).sysfs(), at(PF)).unwrap(),
        None
    );
}

#[test]
fn the_pf_name_of_a_vf_is_the_interface_of_its_pf() {
    assert_eq!(
        pf_name(&FakeSysfs::parse(F1).sysfs(), at(VF))
            .unwrap()
            .as_deref(),
        Some("pf0")
    );
}

#[test]
fn a_pf_without_interface_gives_no_name_and_a_broken_one_an_error() {
    let fake = pf("numa=0");
    fake.directory("bus/pci/devices/0000:18:00.0/net");
    assert_eq!(pf_name(&fake.sysfs(), at(VF)).unwrap(), None);
    fake.remove("bus/pci/devices/0000:18:00.0/net")
        .file("bus/pci/devices/0000:18:00.0/net", "");
    assert!(pf_name(&fake.sysfs(), at(VF)).is_err());
}

#[test]
fn in_switchdev_mode_the_pf_name_is_the_uplink() {
    let fake = pf("net=[a0,p0], port p0=p0, switch p0=e41d2d, port a0=pf0vf0, switch a0=e41d2d");
    assert_eq!(
        pf_name(&fake.sysfs(), at(VF)).unwrap().as_deref(),
        Some("p0")
    );
    assert!(is_switchdev(&fake.sysfs(), at(PF)).unwrap());
}

#[test]
fn representors_of_sub_functions_are_not_taken_for_the_pf() {
    let fake = pf("net=[en7f0pf0sf0,ens3f0], port en7f0pf0sf0=pf0sf0");
    assert_eq!(
        pf_name(&fake.sysfs(), at(VF)).unwrap().as_deref(),
        Some("ens3f0")
    );
    let fake = pf("net=[en7f0c1pf0sf0,ens3f0], port en7f0c1pf0sf0=c1pf0sf0, port ens3f0=p0");
    assert_eq!(
        pf_name(&fake.sysfs(), at(VF)).unwrap().as_deref(),
        Some("ens3f0")
    );
}

#[test]
fn a_port_name_alone_does_not_make_switchdev_mode() {
    let legacy = pf("net=[ens3f0], port ens3f0=p0");
    assert!(!is_switchdev(&legacy.sysfs(), at(PF)).unwrap());
    assert!(!is_switchdev(&FakeSysfs::parse(F1).sysfs(), at(PF)).unwrap());
}

#[test]
fn port_names_are_told_apart() {
    for physical in ["p0", "p12", "p0s1"] {
        assert!(
            is_physical(physical) && !is_representor(physical),
            "{physical}"
        );
    }
    for representor in ["pf0vf0", "pf1sf12", "c1pf0vf3"] {
        assert!(
            is_representor(representor) && !is_physical(representor),
            "{representor}"
        );
    }
    for other in ["", "p", "pf0", "port0", "p0x", "pf0vf"] {
        assert!(!is_physical(other) && !is_representor(other), "{other}");
    }
}

#[test]
fn each_interface_tells_whether_it_is_up() {
    let fake = FakeSysfs::parse(
        "pci 0000:18:00.0{8086:1572, 0200, net=[a,b,c], state b=down, state c=unknown}",
    );
    let up = |name| is_up(&fake.sysfs(), name).unwrap();
    assert!(up("a") && !up("b") && up("c"));
    assert!(is_up(&fake.sysfs(), "gone").is_err());
}

#[test]
fn uplink_and_mode_are_what_each_question_alone_says() {
    for items in ["net=[a,b]", "net=[]", "net=[ens1f0]"] {
        let fake = pf(items);
        for name in ["a", "b"] {
            fake.file(
                format!("bus/pci/devices/{PF}/net/{name}/phys_port_name"),
                if name == "a" { "pf0vf1" } else { "p0" },
            );
        }
        let sysfs = fake.sysfs();
        assert_eq!(
            uplink_and_mode(&sysfs, at(PF)).unwrap(),
            (
                uplink(&sysfs, at(PF)).unwrap(),
                is_switchdev(&sysfs, at(PF)).unwrap()
            ),
            "{items}"
        );
    }
}
