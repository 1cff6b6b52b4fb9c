//! Relations between physical functions (PF) and their virtual functions (VF), and the number of VFs.

use crate::error::{Error, Kind, Result};
use crate::pci::PciAddress;
use crate::sysfs::Sysfs;

/// A virtual function and its index on the PF, which is the number that netlink uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vf {
    /// N of the PF's link `virtfnN`.
    pub index: u32,
    /// Its PCI function.
    pub address: PciAddress,
}

/// The PF of a VF; `None` if the function is no VF (or its PF is not visible, as inside a guest).
pub fn pf_of(sysfs: &Sysfs, function: PciAddress) -> Result<Option<PciAddress>> {
    sysfs
        .function(function)
        .link("physfn")?
        .map(|name| name.parse())
        .transpose()
}

/// Whether the function can have VFs, even if it has none now.
pub fn is_pf(sysfs: &Sysfs, function: PciAddress) -> bool {
    sysfs.function(function).has("sriov_totalvfs")
}

/// Number of VFs that exist; 0 for a function without SR-IOV or with an unreadable count.
pub fn num_vfs(sysfs: &Sysfs, pf: PciAddress) -> u32 {
    let read = sysfs.function(pf).parse("sriov_numvfs", "a number of VFs");
    read.unwrap_or(0)
}

/// Largest number of VFs that the function allows.
pub fn total_vfs(sysfs: &Sysfs, pf: PciAddress) -> Result<u32> {
    sysfs
        .function(pf)
        .parse("sriov_totalvfs", "a number of VFs")
}

/// The VFs of a PF, ordered by index. An entry `virtfnN` that is no link to a PCI function is ignored.
pub fn vfs(sysfs: &Sysfs, pf: PciAddress) -> Result<Vec<Vf>> {
    let entry = sysfs.function(pf);
    let names = entry
        .list()?
        .ok_or_else(|| Error::state(Kind::NotFound, pf, "no such PCI function on this node"))?;
    let mut vfs: Vec<Vf> = names
        .iter()
        .filter_map(|name| {
            let index = name.strip_prefix("virtfn")?.parse().ok()?;
            let address = entry.link(name).ok()??.parse().ok()?;
            Some(Vf { index, address })
        })
        .collect();
    vfs.sort_unstable();
    Ok(vfs)
}

/// The VF with this index on its PF. One that does not exist is an error of kind `NotFound`.
pub fn vf_of(sysfs: &Sysfs, pf: PciAddress, index: u32) -> Result<PciAddress> {
    let link = sysfs.function(pf).link(&format!("virtfn{index}"))?;
    match link {
        Some(name) => name.parse(),
        None => Err(Error::state(
            Kind::NotFound,
            pf,
            format!("it has no vf {index}"),
        )),
    }
}

/// Index of a VF on its PF; `None` if the function is no VF or its PF does not list it.
pub fn vf_index(sysfs: &Sysfs, vf: PciAddress) -> Result<Option<u32>> {
    match pf_of(sysfs, vf)? {
        Some(pf) => vf_index_on(sysfs, pf, vf),
        None => Ok(None),
    }
}

/// Index of a VF on this PF; `None` if the PF does not list it. VFs lie at equal distances on the bus (PCIe SR-IOV, VF
/// stride), so three links tell it on a PF with hundreds; where they do not, all are read.
pub fn vf_index_on(sysfs: &Sysfs, pf: PciAddress, vf: PciAddress) -> Result<Option<u32>> {
    let is_there =
        |index: &u32| *index < 2 || vf_of(sysfs, pf, *index).is_ok_and(|address| address == vf);
    if let Some(index) = guess(sysfs, pf, vf).filter(is_there) {
        return Ok(Some(index));
    }
    Ok(vfs(sysfs, pf)?
        .into_iter()
        .find(|entry| entry.address == vf)
        .map(|entry| entry.index))
}

/// 0 and 1 are certain, others are to be looked at.
fn guess(sysfs: &Sysfs, pf: PciAddress, vf: PciAddress) -> Option<u32> {
    let first = vf_of(sysfs, pf, 0).ok()?;
    if first == vf {
        return Some(0);
    }
    let second = vf_of(sysfs, pf, 1).ok()?;
    if second == vf {
        return Some(1);
    }
    let from_first = |vf: PciAddress| vf.routing_id().checked_sub(first.routing_id());
    let guess = from_first(vf)?.checked_div(from_first(second)?)?;
    (guess > 1).then_some(guess)
}

/// Whether the kernel binds new VFs to their default driver (`sriov_drivers_autoprobe`, kernel 4.12).
pub fn set_autoprobe(sysfs: &Sysfs, pf: PciAddress, on: bool) -> Result<()> {
    sysfs
        .function(pf)
        .write("sriov_drivers_autoprobe", if on { "1" } else { "0" })
}

/// Makes the PF have exactly `count` VFs. An equal count writes nothing. All existing VFs are destroyed first when the
/// count changes, because the kernel refuses to go from one non-zero count to another (EBUSY); the caller has made
/// sure that none is in use, which the kernel does not check.
pub fn set_num_vfs(sysfs: &Sysfs, pf: PciAddress, count: u32) -> Result<()> {
    let entry = sysfs.function(pf);
    let total = total_vfs(sysfs, pf)?;
    if count > total {
        return Err(Error::state(
            Kind::Invalid,
            pf,
            format!("{count} VFs asked, the function allows {total}"),
        ));
    }
    let present: u32 = entry.parse("sriov_numvfs", "a number of VFs")?;
    if present == count {
        return Ok(());
    }
    if present != 0 && count != 0 {
        entry.write("sriov_numvfs", "0")?;
    }
    entry.write("sriov_numvfs", &count.to_string())?;
    let reached: u32 = entry.parse("sriov_numvfs", "a number of VFs")?;
    if reached == count {
        Ok(())
    } else {
        Err(Error::state(
            Kind::Other,
            pf,
            format!("{count} VFs asked, the driver made {reached}"),
        ))
    }
}

#[cfg(test)]
mod tests;
