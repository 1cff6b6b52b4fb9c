//! Rows S6, S18 and S19 of spec/device-plugin.md §8.3, and addresses.

use proptest::prelude::*;

use super::*;
use crate::testing::sysfs::{F1, FakeSysfs};

#[test]
fn one_function_has_one_value_however_it_is_written() {
    let address: PciAddress = "0000:AF:1F.7".parse().unwrap();
    assert_eq!(address.to_string(), "0000:af:1f.7");
    assert_eq!("00000:af:1f.7".parse::<PciAddress>().unwrap(), address);
}

#[test]
fn a_domain_of_five_digits_is_an_address_like_any_other() {
    let address: PciAddress = "10000:e1:00.0".parse().unwrap();
    assert_eq!(address.domain, 0x10000);
    assert_eq!(address.to_string(), "10000:e1:00.0");
    let fake = FakeSysfs::parse("pci 10000:e1:00.0{8086:1572, 0200, drv=i40e, net=[vmd0]}");
    let found = scan(&fake.sysfs()).unwrap().functions;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].address, found[0].vendor), (address, 0x8086));
}

#[test]
fn texts_that_are_no_pci_address_are_refused() {
    for text in [
        "",
        "3b:00.0",
        "0000:3b:00",
        "0000:3b:00.8",
        "0000:3b:20.0",
        "0000:3b:0.0",
        "000:3b:00.0",
        "0000:3b:00.0 ",
        "0000:3b:+0.0",
        "0000-3b-00.0",
        "mlx5_core.sf.4",
        "0000:3b:00.00",
        "0000:3b:00.0:1",
    ] {
        let error = text.parse::<PciAddress>().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{text:?} is not a PCI address like 0000:3b:02.1")
        );
    }
}

#[test]
fn an_address_is_a_json_string() {
    let address: PciAddress = serde_json::from_str("\"0000:3B:02.1\"").unwrap();
    assert_eq!(serde_json::to_string(&address).unwrap(), "\"0000:3b:02.1\"");
    assert!(serde_json::from_str::<PciAddress>("\"net1\"").is_err());
}

proptest! {
    #[test]
    fn printing_and_parsing_an_address_are_inverse(domain: u32, bus: u8, device in 0u8..32, function in 0u8..8) {
        let address = PciAddress { domain, bus, device, function };
        prop_assert_eq!(address.to_string().parse::<PciAddress>().unwrap(), address);
    }

    #[test]
    fn no_text_makes_parsing_panic(text: String) {
        let _ = text.parse::<PciAddress>();
    }
}

#[test]
fn a_numa_node_that_is_missing_or_no_number_is_none() {
    let fake = FakeSysfs::parse("pci 0000:18:00.0{8086:1572, 0200}");
    let address = "0000:18:00.0".parse().unwrap();
    assert_eq!(numa(&fake.sysfs(), address), None);
    for (content, node) in [
        ("junk", None),
        ("-1\n", None),
        ("0\n", Some(0)),
        ("1\n", Some(1)),
    ] {
        fake.file("bus/pci/devices/0000:18:00.0/numa_node", content);
        assert_eq!(numa(&fake.sysfs(), address), node, "{content:?}");
    }
}

#[test]
fn the_facts_of_a_function_come_from_its_own_files() {
    let fake = FakeSysfs::parse("pci 0000:b1:00.0{8086:0d5c, 1200, acpi=3}");
    fake.remove("bus/pci/devices/0000:b1:00.0/modalias");
    let read = function(&fake.sysfs(), "0000:b1:00.0".parse().unwrap()).unwrap();
    assert_eq!(
        (read.vendor, read.device, read.class),
        (0x8086, 0x0d5c, 0x12_0000)
    );
    assert_eq!(read.base_class(), 0x12);
    assert_eq!((read.numa, read.acpi_index.as_deref()), (None, Some("3")));
}

#[test]
fn one_bad_entry_does_not_hide_the_others() {
    let fake = FakeSysfs::parse(F1);
    fake.file("bus/pci/devices/0000:18:02.0/class", "junk\n");
    fake.remove("bus/pci/devices/0000:18:02.1/vendor");
    fake.directory("bus/pci/devices/not-an-address");
    let scan = scan(&fake.sysfs()).unwrap();
    assert_eq!(scan.functions.len(), 8);
    assert!(scan.functions.is_sorted_by_key(|function| function.address));
    let mut skipped: Vec<String> = scan.skipped.iter().map(ToString::to_string).collect();
    skipped.sort_unstable();
    assert_eq!(skipped.len(), 3);
    assert_eq!(
        skipped[0],
        "\"not-an-address\" is not a PCI address like 0000:3b:02.1"
    );
    assert!(
        skipped[1].ends_with("/class holds \"junk\", expected a PCI class like 0x020000"),
        "{}",
        skipped[1]
    );
    assert!(
        skipped[2].starts_with("read ") && skipped[2].ends_with("0000:18:02.1/vendor"),
        "{}",
        skipped[2]
    );
}

#[test]
fn a_node_without_pci_has_no_functions() {
    let fake = FakeSysfs::new();
    fake.remove("bus/pci");
    let scan = scan(&fake.sysfs()).unwrap();
    assert!(scan.functions.is_empty() && scan.skipped.is_empty());
}
