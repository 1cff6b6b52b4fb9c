use super::*;
use crate::{driver, pci, sriov, vfio};

#[test]
fn the_base_fixture_shows_what_the_specification_says() {
    let fake = FakeSysfs::parse(F1);
    let sysfs = fake.sysfs();
    let scan = pci::scan(&sysfs).unwrap();
    assert!(scan.skipped.is_empty(), "{:?}", scan.skipped);
    let base_classes: Vec<u8> = scan
        .functions
        .iter()
        .map(pci::Function::base_class)
        .collect();
    assert_eq!(base_classes, [6, 2, 2, 2, 2, 2, 2, 2, 2, 0x12]);
    let pf = "0000:af:00.0".parse().unwrap();
    let vfs: Vec<String> = sriov::vfs(&sysfs, pf)
        .unwrap()
        .iter()
        .map(|vf| vf.address.to_string())
        .collect();
    assert_eq!(vfs, ["0000:af:00.2", "0000:af:00.3"]);
    let vf = "0000:18:02.2".parse().unwrap();
    assert_eq!(
        driver::current(&sysfs, vf).unwrap().as_deref(),
        Some("vfio-pci")
    );
    assert_eq!(vfio::group(&sysfs, vf).unwrap().number, 17);
}

#[test]
fn a_modalias_has_the_length_that_the_kernel_gives_it() {
    let fake = FakeSysfs::parse(F1);
    let path = fake.root().join("bus/pci/devices/0000:18:00.0/modalias");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(
        text,
        "pci:v00008086d00001572sv00000000sd00000000bc02sc00i00\n"
    );
}

#[test]
#[should_panic(expected = "unknown key: colour=red")]
fn a_mistake_in_a_fixture_stops_the_test() {
    FakeSysfs::parse("pci 0000:18:00.0{8086:1572, 0200, colour=red}");
}
