//! The readers of spec/device-plugin.md §8.3 one by one, as this crate relies on them.

use host::{driver, netdev, pci::PciAddress, sriov, vfio};

use super::*;

const VF: &str = "pci 0000:01:10.2{8086:154c, 0200, drv=iavf, pf=0000:01:00.0}";

fn vf() -> PciAddress {
    "0000:01:10.2".parse().unwrap()
}

fn pf() -> PciAddress {
    "0000:01:00.0".parse().unwrap()
}

fn fake(pf: &str) -> FakeSysfs {
    FakeSysfs::parse(&format!("pci 0000:01:00.0{{8086:1572, 0200{pf}}}\n{VF}"))
}

#[test]
fn s1_the_pf_of_a_function() {
    let fake = fake("");
    assert_eq!(sriov::pf_of(&fake.sysfs(), pf()).unwrap(), None);
    assert_eq!(sriov::pf_of(&fake.sysfs(), vf()).unwrap(), Some(pf()));
    fake.remove("bus/pci/devices/0000:01:10.2/physfn");
    fake.file("bus/pci/devices/0000:01:10.2/physfn", "");
    assert!(sriov::pf_of(&fake.sysfs(), vf()).is_err());
}

#[test]
fn s2_a_function_that_tells_how_many_vfs_it_may_have_is_a_pf_even_if_none() {
    assert!(sriov::is_pf(&fake(", vfs=0/0").sysfs(), pf()));
    assert!(!sriov::is_pf(&fake("").sysfs(), pf()));
}

#[test]
fn s4_the_vfs_of_a_pf() {
    let missing = "0000:09:00.0".parse().unwrap();
    assert!(sriov::vfs(&fake("").sysfs(), missing).is_err());
    assert!(sriov::vfs(&fake("").sysfs(), pf()).unwrap().is_empty());
    let one = fake(", virtfn 0=0000:01:10.2");
    let vfs = sriov::vfs(&one.sysfs(), pf()).unwrap();
    assert_eq!(vfs.len(), 1);
    assert_eq!((vfs[0].index, vfs[0].address), (0, vf()));
}

#[test]
fn s5_a_vf_entry_that_is_a_file_is_ignored() {
    let fake = fake(", virtfn 1=0000:01:10.2");
    fake.file("bus/pci/devices/0000:01:00.0/virtfn0", "");
    let vfs = sriov::vfs(&fake.sysfs(), pf()).unwrap();
    assert_eq!(vfs.len(), 1);
    assert_eq!(vfs[0].index, 1);
}

#[test]
fn s8_the_group_of_a_function() {
    let fake = fake("");
    let group = || vfio::group(&fake.sysfs(), vf());
    assert!(vfio::group(&fake.sysfs(), "0000:09:00.0".parse().unwrap()).is_err());
    assert!(group().is_err(), "no group");
    fake.directory("bus/pci/devices/0000:01:10.2/iommu_group");
    assert!(group().is_err(), "a plain directory");
    fake.remove("bus/pci/devices/0000:01:10.2/iommu_group");
    fake.add("pci 0000:01:10.2{8086:154c, 0200, drv=vfio-pci, iommu=1}");
    let found = group().unwrap();
    assert_eq!(found.host_path(), found.container_path());
    assert_eq!(found.host_path().to_str(), Some("/dev/vfio/1"));
    fake.file("kernel/iommu_groups/1/name", "vfio-noiommu\n");
    let found = group().unwrap();
    assert_eq!(found.host_path().to_str(), Some("/dev/vfio/noiommu-1"));
    assert_eq!(found.container_path().to_str(), Some("/dev/vfio/1"));
}

#[test]
fn s9_the_uio_device_of_a_function() {
    let fake = fake("");
    let node = || vfio::uio_node(&fake.sysfs(), vf());
    assert!(node().is_err(), "missing");
    fake.file("bus/pci/devices/0000:01:10.2/uio", "");
    assert!(node().is_err(), "a file");
    fake.remove("bus/pci/devices/0000:01:10.2/uio");
    fake.directory("bus/pci/devices/0000:01:10.2/uio/uio1");
    assert_eq!(node().unwrap().to_str(), Some("/dev/uio1"));
}

#[test]
fn s10_the_driver_of_a_function() {
    let fake = fake("");
    assert_eq!(driver::current(&fake.sysfs(), pf()).unwrap(), None);
    assert_eq!(
        driver::current(&fake.sysfs(), vf()).unwrap().as_deref(),
        Some("iavf")
    );
}

#[test]
fn s11_the_interfaces_of_a_function() {
    let names = |net: &str| netdev::names(&fake(net).sysfs(), pf());
    assert!(names("").unwrap().is_empty());
    assert_eq!(names(", net=[a]").unwrap(), ["a"]);
    assert_eq!(names(", net=[b, a]").unwrap(), ["a", "b"]);
    let fake = fake("");
    fake.file("bus/pci/devices/0000:01:00.0/net", "");
    assert!(netdev::names(&fake.sysfs(), pf()).is_err());
}

#[test]
fn s13_in_switchdev_mode_the_uplink_is_the_pfs_interface() {
    let fake = fake(
        ", net=[pf0vf0, pf0vf1, p0], port p0=p0, switch p0=1a, port pf0vf0=pf0vf0, port pf0vf1=pf0vf1",
    );
    let uplink = netdev::uplink(&fake.sysfs(), pf()).unwrap();
    assert_eq!(uplink.as_deref(), Some("p0"));
}

#[test]
fn s17_an_interface_is_up_or_not() {
    let fake = fake(", net=[a, b], state a=up, state b=down");
    assert!(netdev::is_up(&fake.sysfs(), "a").unwrap());
    assert!(!netdev::is_up(&fake.sysfs(), "b").unwrap());
}
