//! Rows S8 and S9 of spec/device-plugin.md §8.3.

use std::path::Path;

use super::*;
use crate::testing::sysfs::FakeSysfs;

const BASE: &str = "bus/pci/devices/0000:18:02.0";

fn address() -> PciAddress {
    "0000:18:02.0".parse().unwrap()
}

fn fake(items: &str) -> FakeSysfs {
    FakeSysfs::parse(&format!("pci 0000:18:02.0{{8086:154c, 0200, {items}}}"))
}

#[test]
fn a_missing_function_has_no_group() {
    let error = group(&FakeSysfs::new().sysfs(), address()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000:18:02.0: no such PCI function on this node"
    );
}

#[test]
fn a_function_without_iommu_group_is_told_what_to_switch_on() {
    let error = group(&fake("drv=vfio-pci").sysfs(), address()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        error
            .to_string()
            .starts_with("0000:18:02.0: in no IOMMU group: "),
        "{error}"
    );
}

#[test]
fn an_iommu_group_that_is_no_link_is_an_error() {
    let fake = fake("drv=vfio-pci");
    fake.directory(format!("{BASE}/iommu_group"));
    let error = group(&fake.sysfs(), address()).unwrap_err().to_string();
    assert!(
        error.starts_with("read link ") && error.ends_with("/iommu_group"),
        "{error}"
    );
}

#[test]
fn the_node_of_a_group_has_the_same_path_outside_and_inside() {
    let group = group(&fake("iommu=1").sysfs(), address()).unwrap();
    assert_eq!((group.number, group.noiommu), (1, false));
    assert_eq!(group.host_path(), Path::new("/dev/vfio/1"));
    assert_eq!(group.container_path(), Path::new("/dev/vfio/1"));
}

#[test]
fn the_node_of_a_group_without_iommu_has_another_name_on_the_host() {
    let group = group(&fake("iommu=1!noiommu").sysfs(), address()).unwrap();
    assert_eq!(group.host_path(), Path::new("/dev/vfio/noiommu-1"));
    assert_eq!(group.container_path(), Path::new("/dev/vfio/1"));
}

#[test]
fn the_vfio_device_node_is_found_where_the_kernel_has_one() {
    let fake = fake("iommu=1");
    assert_eq!(device_node(&fake.sysfs(), address()).unwrap(), None);
    fake.directory(format!("{BASE}/vfio-dev/vfio3"));
    let node = device_node(&fake.sysfs(), address()).unwrap();
    assert_eq!(node.as_deref(), Some(Path::new("/dev/vfio/devices/vfio3")));
}

#[test]
fn the_uio_node_is_the_first_entry_and_its_absence_an_error() {
    assert_eq!(
        uio_node(&fake("uio=[uio1]").sysfs(), address()).unwrap(),
        Path::new("/dev/uio1")
    );
    let none = fake("drv=igb_uio");
    assert_eq!(
        uio_node(&none.sysfs(), address()).unwrap_err().kind(),
        Kind::NotFound
    );
    none.file(format!("{BASE}/uio"), "");
    let error = uio_node(&none.sysfs(), address()).unwrap_err().to_string();
    assert!(
        error.starts_with("list ") && error.ends_with("/uio"),
        "{error}"
    );
}

#[test]
fn a_group_that_cannot_be_opened_is_neither_free_nor_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let node = directory.path().join("17");
    let error = is_free(&node).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    crate::file::write(&node, b"", 0o600, crate::file::Durability::Process).unwrap();
    assert!(is_free(&node).unwrap());
}
