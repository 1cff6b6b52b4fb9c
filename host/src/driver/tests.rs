//! Row S10 of spec/device-plugin.md §8.3, and what is written to sysfs for a change of driver. A fake tree does not
//! answer writes as a kernel does; the real thing is tested in the lab (hwtests).

use super::*;
use crate::file;
use crate::testing::sysfs::{F1, FakeSysfs};

const VF: &str = "0000:18:02.1";

fn address() -> PciAddress {
    VF.parse().unwrap()
}

fn content(fake: &FakeSysfs, path: &str) -> String {
    file::read_text(&fake.root().join(path)).unwrap().unwrap()
}

#[test]
fn the_driver_is_where_the_link_points() {
    let fake = FakeSysfs::parse(F1);
    assert_eq!(
        current(&fake.sysfs(), address()).unwrap().as_deref(),
        Some("iavf")
    );
    fake.set_driver(VF, None);
    assert_eq!(current(&fake.sysfs(), address()).unwrap(), None);
}

#[test]
fn an_override_that_is_not_set_is_none() {
    let fake = FakeSysfs::parse(F1);
    assert_eq!(overridden(&fake.sysfs(), address()).unwrap(), None);
    fake.file(
        format!("bus/pci/devices/{VF}/driver_override"),
        "vfio-pci\n",
    );
    assert_eq!(
        overridden(&fake.sysfs(), address()).unwrap().as_deref(),
        Some("vfio-pci")
    );
}

#[test]
fn binding_to_the_driver_that_owns_the_function_writes_nothing() {
    let fake = FakeSysfs::parse(F1);
    bind(&fake.sysfs(), address(), "iavf").unwrap();
    assert_eq!(content(&fake, "bus/pci/drivers_probe"), "");
    assert_eq!(overridden(&fake.sysfs(), address()).unwrap(), None);
}

#[test]
fn a_driver_that_is_not_loaded_is_told_before_anything_is_written() {
    let fake = FakeSysfs::parse(F1);
    let error = bind(&fake.sysfs(), address(), "uio_pci_generic").unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000:18:02.1: driver uio_pci_generic is not loaded: load its kernel module first"
    );
    assert_eq!(overridden(&fake.sysfs(), address()).unwrap(), None);
}

#[test]
fn binding_overrides_unbinds_and_probes_and_tells_who_has_the_function() {
    let fake = FakeSysfs::parse(F1);
    let error = bind(&fake.sysfs(), address(), "vfio-pci").unwrap_err();
    assert_eq!(
        content(&fake, "bus/pci/devices/0000:18:02.1/driver_override"),
        "vfio-pci"
    );
    assert_eq!(content(&fake, "bus/pci/drivers/iavf/unbind"), VF);
    assert_eq!(content(&fake, "bus/pci/drivers_probe"), VF);
    assert_eq!(
        error.to_string(),
        "0000:18:02.1: bound to vfio-pci by override, but driver iavf took it; see the kernel log"
    );
}

#[test]
fn going_back_to_the_default_clears_the_override_and_takes_the_function_from_its_driver() {
    let fake = FakeSysfs::parse(F1);
    fake.set_driver(VF, Some("vfio-pci"));
    fake.file(
        format!("bus/pci/devices/{VF}/driver_override"),
        "vfio-pci\n",
    );
    bind_default(&fake.sysfs(), address()).unwrap();
    assert_eq!(overridden(&fake.sysfs(), address()).unwrap(), None);
    assert_eq!(content(&fake, "bus/pci/drivers/vfio-pci/unbind"), VF);
}

#[test]
fn going_back_to_the_default_leaves_a_function_alone_that_is_there_already() {
    let fake = FakeSysfs::parse(F1);
    assert_eq!(
        bind_default(&fake.sysfs(), address()).unwrap().as_deref(),
        Some("iavf")
    );
    assert_eq!(content(&fake, "bus/pci/drivers/iavf/unbind"), "");
}

#[test]
fn a_missing_function_cannot_be_bound() {
    let fake = FakeSysfs::parse(F1);
    let error = bind(&fake.sysfs(), "0000:99:00.0".parse().unwrap(), "vfio-pci").unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000:99:00.0: no such PCI function on this node"
    );
}
