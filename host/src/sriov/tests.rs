//! Rows S1 to S5 and S7 of spec/device-plugin.md §8.3, and the VF count.

use super::*;
use crate::testing::sysfs::{F1, FakeSysfs};

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

const PF: &str = "0000:18:00.0";
const VF: &str = "0000:18:02.1";
const BASE: &str = "bus/pci/devices/0000:18:02.1";

#[test]
fn a_function_without_physfn_has_no_pf() {
    let fake = FakeSysfs::parse(F1);
    assert_eq!(pf_of(&fake.sysfs(), at(PF)).unwrap(), None);
}

#[test]
fn a_physfn_that_is_a_regular_file_is_an_error() {
    let fake = FakeSysfs::parse(F1);
    fake.remove(format!("{BASE}/physfn"))
        .file(format!("{BASE}/physfn"), "");
    let error = pf_of(&fake.sysfs(), at(VF)).unwrap_err().to_string();
    assert!(
        error.starts_with("read link ") && error.ends_with("0000:18:02.1/physfn"),
        "{error}"
    );
}

#[test]
fn the_pf_of_a_vf_is_where_physfn_points() {
    let fake = FakeSysfs::parse(F1);
    assert_eq!(pf_of(&fake.sysfs(), at(VF)).unwrap(), Some(at(PF)));
}

#[test]
fn a_physfn_that_leads_to_no_pci_function_is_an_error() {
    let fake = FakeSysfs::parse(F1);
    fake.link(format!("{BASE}/physfn"), "../somewhere");
    let error = pf_of(&fake.sysfs(), at(VF)).unwrap_err().to_string();
    assert_eq!(
        error,
        "\"somewhere\" is not a PCI address like 0000:3b:02.1"
    );
}

#[test]
fn a_function_that_could_have_vfs_is_a_pf_even_with_none() {
    let fake = FakeSysfs::parse(
        "pci 0000:01:00.0{8086:1572, 0200, vfs=0/0}\npci 0000:02:00.0{8086:1572, 0200}",
    );
    assert!(is_pf(&fake.sysfs(), at("0000:01:00.0")));
    assert!(!is_pf(&fake.sysfs(), at("0000:02:00.0")));
}

#[test]
fn an_unreadable_vf_count_is_zero() {
    let fake = FakeSysfs::parse("pci 0000:01:00.0{8086:1572, 0200}");
    let file = "bus/pci/devices/0000:01:00.0/sriov_numvfs";
    assert_eq!(num_vfs(&fake.sysfs(), at("0000:01:00.0")), 0);
    for (content, count) in [("junk", 0), ("", 0), ("-1\n", 0), ("32\n", 32)] {
        fake.file(file, content);
        assert_eq!(
            num_vfs(&fake.sysfs(), at("0000:01:00.0")),
            count,
            "{content:?}"
        );
    }
}

#[test]
fn the_vfs_of_a_missing_pf_are_an_error() {
    let fake = FakeSysfs::new();
    let error = vfs(&fake.sysfs(), at(PF)).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(
        error.to_string(),
        "0000:18:00.0: no such PCI function on this node"
    );
}

#[test]
fn a_pf_without_virtfn_has_an_empty_list_and_a_link_is_one_vf() {
    let fake = FakeSysfs::parse("pci 0000:18:00.0{8086:1572, 0200, vfs=8/0}");
    assert_eq!(vfs(&fake.sysfs(), at(PF)).unwrap(), []);
    fake.link("bus/pci/devices/0000:18:00.0/virtfn0", "../0000:18:02.0");
    let expected = Vf {
        index: 0,
        address: at("0000:18:02.0"),
    };
    assert_eq!(vfs(&fake.sysfs(), at(PF)).unwrap(), [expected]);
}

#[test]
fn a_virtfn_that_is_a_regular_file_is_ignored() {
    let fake = FakeSysfs::parse(F1);
    fake.remove("bus/pci/devices/0000:18:00.0/virtfn0")
        .file("bus/pci/devices/0000:18:00.0/virtfn0", "");
    let indexes: Vec<u32> = vfs(&fake.sysfs(), at(PF))
        .unwrap()
        .iter()
        .map(|vf| vf.index)
        .collect();
    assert_eq!(indexes, [1, 2]);
}

#[test]
fn the_index_of_a_vf_is_the_number_of_its_virtfn() {
    let fake = FakeSysfs::parse(
        "pci 0000:18:00.0{8086:1572, 0200, vfs=64/12, virtfn 0..11=0000:18:02.0}
         pci 0000:18:02.2{8086:154c, 0200, pf=0000:18:00.0}
         pci 0000:18:03.2{8086:154c, 0200, pf=0000:18:00.0}
         pci 0000:18:05.0{8086:154c, 0200, pf=0000:18:00.0}
         pci 0000:19:00.0{8086:1572, 0200}
         pci 0000:19:02.0{8086:154c, 0200, pf=0000:19:00.0}",
    );
    let indexes = vfs(&fake.sysfs(), at(PF))
        .unwrap()
        .into_iter()
        .map(|vf| vf.index);
    assert!(indexes.eq(0..12));
    let index = |vf: &str| vf_index(&fake.sysfs(), at(vf)).unwrap();
    assert_eq!(index("0000:18:02.2"), Some(2));
    // In the order of names virtfn10 comes before virtfn2.
    assert_eq!(index("0000:18:03.2"), Some(10));
    assert_eq!(index("0000:18:00.0"), None, "no physfn");
    assert_eq!(
        index("0000:18:05.0"),
        None,
        "no virtfn of the PF leads to it"
    );
    assert_eq!(index("0000:19:02.0"), None, "the PF has no virtfn");
}

#[test]
fn an_equal_vf_count_writes_nothing() {
    let fake = FakeSysfs::parse(F1);
    let file = fake
        .root()
        .join("bus/pci/devices/0000:18:00.0/sriov_numvfs");
    let before = file.metadata().unwrap().modified().unwrap();
    set_num_vfs(&fake.sysfs(), at(PF), 3).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), before);
}

#[test]
fn another_vf_count_is_written_and_read_back() {
    let fake = FakeSysfs::parse("pci 0000:18:00.0{8086:1572, 0200, vfs=8/0}");
    set_num_vfs(&fake.sysfs(), at(PF), 4).unwrap();
    assert_eq!(num_vfs(&fake.sysfs(), at(PF)), 4);
}

#[test]
fn more_vfs_than_the_function_allows_are_refused_before_anything_is_written() {
    let fake = FakeSysfs::parse(F1);
    let error = set_num_vfs(&fake.sysfs(), at(PF), 65).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000:18:00.0: 65 VFs asked, the function allows 64"
    );
    assert_eq!(num_vfs(&fake.sysfs(), at(PF)), 3);
}

#[test]
fn a_vf_is_found_by_its_index() {
    let fake = FakeSysfs::parse(F1);
    let pf = "0000:18:00.0".parse().unwrap();
    let vf = vf_of(&fake.sysfs(), pf, 1).unwrap();
    assert_eq!(vf.to_string(), "0000:18:02.1");
    let error = vf_of(&fake.sysfs(), pf, 9).unwrap_err();
    assert_eq!(error.to_string(), "0000:18:00.0: it has no vf 9");
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn the_index_is_found_whether_vfs_lie_at_equal_distances_or_not() {
    // igb: every second function, and over the end of a device.
    let even = FakeSysfs::parse("pci 0000:01:00.0{8086:10c9, 0200, vfs=7/0}");
    let addresses = ["10.0", "10.2", "10.4", "10.6", "11.0", "11.2", "11.4"];
    let odd = FakeSysfs::parse("pci 0000:01:00.0{8086:10c9, 0200, vfs=7/0}");
    let scattered = ["10.0", "10.2", "1f.7", "10.1", "02.0"];
    let pf = at("0000:01:00.0");
    for (fake, addresses) in [(&even, &addresses[..]), (&odd, &scattered[..])] {
        for (index, address) in addresses.iter().enumerate() {
            let link = format!("bus/pci/devices/{pf}/virtfn{index}");
            fake.link(link, format!("../0000:01:{address}"));
        }
        for (index, address) in addresses.iter().enumerate() {
            let vf = at(&format!("0000:01:{address}"));
            assert_eq!(
                vf_index_on(&fake.sysfs(), pf, vf).unwrap(),
                u32::try_from(index).ok()
            );
        }
        let absent = vf_index_on(&fake.sysfs(), pf, at("0000:01:12.0")).unwrap();
        assert_eq!(absent, None);
    }
}
