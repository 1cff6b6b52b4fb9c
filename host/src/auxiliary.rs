//! The auxiliary bus: parts of a PCI function that the kernel shows as devices of their own, of which sub-functions
//! (SF) are for containers.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::pci::PciAddress;
use crate::sysfs::{Entry, Sysfs};

/// A sub-function as the bus shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubFunction {
    /// Name on the bus: `mlx5_core.sf.4`.
    pub name: String,
    /// The PCI function that it is part of.
    pub parent: PciAddress,
    /// Number that its creator gave it.
    pub number: u32,
}

/// Sub-functions, ordered by name, and what had to be left out and why.
#[derive(Debug, Default)]
pub struct Scan {
    /// Those that could be read.
    pub found: Vec<SubFunction>,
    /// One error per entry that could not; the others are not affected.
    pub skipped: Vec<Error>,
}

/// Directory of an auxiliary device; it need not exist.
pub fn device(sysfs: &Sysfs, name: &str) -> Entry {
    sysfs.entry("bus/auxiliary/devices").child(name)
}

/// All sub-functions of the node. Other auxiliary devices (`eth`, `rdma`, `vnet`) have no number and are no error.
pub fn scan(sysfs: &Sysfs) -> Result<Scan> {
    let mut scan = Scan::default();
    let names = sysfs.entry("bus/auxiliary/devices").list()?;
    for name in names.unwrap_or_default() {
        match sub_function(sysfs, &name) {
            Ok(Some(found)) => scan.found.push(found),
            Ok(None) => {}
            Err(error) => scan.skipped.push(error),
        }
    }
    Ok(scan)
}

fn sub_function(sysfs: &Sysfs, name: &str) -> Result<Option<SubFunction>> {
    let entry = device(sysfs, name);
    if !entry.has("sfnum") {
        return Ok(None);
    }
    let number = entry.parse("sfnum", "the number of a sub-function")?;
    let path = entry.resolve()?;
    let Some(parent) = path.as_deref().and_then(pci_ancestor) else {
        return Err(Error::state(
            Kind::NotFound,
            name,
            "an auxiliary device below no PCI function",
        ));
    };
    Ok(Some(SubFunction {
        name: name.to_owned(),
        parent,
        number,
    }))
}

/// The nearest PCI function above a device's real directory.
pub(crate) fn pci_ancestor(device: &Path) -> Option<PciAddress> {
    let mut above = device.ancestors().skip(1);
    above.find_map(|directory| directory.file_name()?.to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sysfs::FakeSysfs;

    const PF: &str = "pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, net=[pf1]}
        aux mlx5_core.sf.2{on=0000:af:00.0, sfnum=7}
        aux mlx5_core.eth.0{on=0000:af:00.0}
        aux mlx5_core.rdma.0{on=0000:af:00.0}";

    #[test]
    fn d10_of_the_devices_below_a_function_only_the_sub_functions_are_found() {
        let scan = scan(&FakeSysfs::parse(PF).sysfs()).unwrap();
        assert!(scan.skipped.is_empty());
        let expected = SubFunction {
            name: "mlx5_core.sf.2".to_owned(),
            parent: "0000:af:00.0".parse().unwrap(),
            number: 7,
        };
        assert_eq!(scan.found, [expected]);
    }

    #[test]
    fn a_node_without_an_auxiliary_bus_has_none() {
        let scan = scan(&FakeSysfs::new().sysfs()).unwrap();
        assert!(scan.found.is_empty() && scan.skipped.is_empty());
    }

    #[test]
    fn s16_one_without_a_pci_function_above_or_with_a_junk_number_does_not_hide_the_others() {
        let fake = FakeSysfs::parse(PF);
        fake.file("devices/virtual/x.sf.1/sfnum", "1\n");
        let stray = fake.root().join("devices/virtual/x.sf.1");
        fake.link("bus/auxiliary/devices/x.sf.1", stray);
        fake.add("aux mlx5_core.sf.3{on=0000:af:00.0, sfnum=junk}");
        let scan = scan(&fake.sysfs()).unwrap();
        assert_eq!(scan.found.len(), 1);
        let skipped: Vec<String> = scan.skipped.iter().map(ToString::to_string).collect();
        assert!(skipped[0].contains("sfnum holds \"junk\""), "{skipped:?}");
        assert_eq!(
            skipped[1],
            "x.sf.1: an auxiliary device below no PCI function"
        );
    }
}
