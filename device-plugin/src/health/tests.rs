use host::{netlink::link::Link, testing::sysfs::FakeSysfs};

use super::*;
use crate::node::scan;

fn network(running: bool) -> Network {
    let pf = Link {
        index: 1,
        name: "pf0".to_owned(),
        link_type: 1,
        running,
        ..Link::default()
    };
    Network::new(&[pf], &[])
}

fn signs(fake: &FakeSysfs, running: bool) -> Signs {
    let network = network(running);
    let node = scan(&fake.sysfs(), &network).unwrap();
    observe(&fake.sysfs(), &network, &node)
}

const NODE: &str =
    "pci 0000:18:00.0{8086:1572, 0200, drv=i40e, net=[pf0], vfs=2/2, virtfn 0..1=0000:18:02.0}
    pci 0000:18:02.0{8086:154c, 0200, drv=vfio-pci, iommu=17, pf=0000:18:00.0}
    pci 0000:18:02.1{8086:154c, 0200, drv=iavf, iommu=17, pf=0000:18:00.0}";

fn member(fake: &FakeSysfs, address: &str) {
    fake.file(format!("kernel/iommu_groups/17/devices/{address}"), "");
}

#[test]
fn a_group_with_a_device_of_the_kernel_in_it_is_of_no_use() {
    let fake = FakeSysfs::parse(NODE);
    assert!(signs(&fake, true).vfio.is_empty());
    member(&fake, "0000:18:02.0");
    member(&fake, "0000:18:02.1");
    let vf = "0000:18:02.0".parse().unwrap();
    assert_eq!(
        signs(&fake, true).vfio[&vf],
        "0000:18:02.1 in its IOMMU group 17 belongs to driver iavf"
    );
    fake.set_driver("0000:18:02.1", None);
    assert!(signs(&fake, true).vfio.is_empty());
}

#[test]
fn a_device_on_vfio_without_a_group_is_told_of() {
    let fake = FakeSysfs::parse(NODE);
    fake.remove("bus/pci/devices/0000:18:02.0/iommu_group");
    let vf = "0000:18:02.0".parse().unwrap();
    let trouble = &signs(&fake, true).vfio[&vf];
    assert!(trouble.contains("in no IOMMU group"), "{trouble}");
}

#[test]
fn the_carrier_of_a_vf_is_that_of_its_pf() {
    let fake = FakeSysfs::parse(NODE);
    let node = scan(&fake.sysfs(), &network(true)).unwrap();
    let vf = node.function(&"0000:18:02.1".parse().unwrap()).unwrap();
    assert_eq!(signs(&fake, true).without_carrier(vf), None);
    assert_eq!(signs(&fake, false).without_carrier(vf), Some("pf0"));
    assert_eq!(Signs::default().without_carrier(vf), None);
}
