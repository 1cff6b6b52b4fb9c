//! Which driver owns a PCI function, changing that through `driver_override`, and resetting the function.

use crate::error::{Error, Kind, Result};
use crate::pci::PciAddress;
use crate::sysfs::Sysfs;

/// Name of the driver that owns the function; `None` if no driver does.
pub fn current(sysfs: &Sysfs, function: PciAddress) -> Result<Option<String>> {
    sysfs.function(function).link("driver")
}

/// The function's `driver_override`; `None` if it is not set.
pub fn overridden(sysfs: &Sysfs, function: PciAddress) -> Result<Option<String>> {
    let text = sysfs.function(function).read_optional("driver_override")?;
    // The kernel prints an unset override as "(null)".
    Ok(text.filter(|text| !text.is_empty() && text != "(null)"))
}

/// Gives the function to `driver`, whose module must be loaded. The override keeps other drivers away until
/// [`bind_default`]. Nothing is written if `driver` owns the function already. Verified by reading back.
pub fn bind(sysfs: &Sysfs, function: PciAddress, driver: &str) -> Result<()> {
    let entry = sysfs.function(function);
    if current(sysfs, function)?.as_deref() == Some(driver) {
        return Ok(());
    }
    if !entry.exists() {
        return Err(Error::state(
            Kind::NotFound,
            function,
            "no such PCI function on this node",
        ));
    }
    if !sysfs.driver(driver).exists() {
        return Err(Error::state(
            Kind::NotFound,
            function,
            format!("driver {driver} is not loaded: load its kernel module first"),
        ));
    }
    entry.write("driver_override", driver)?;
    unbind(sysfs, function)?;
    probe(sysfs, function)?;
    match current(sysfs, function)? {
        Some(now) if now == driver => Ok(()),
        Some(now) => Err(refused(function, driver, &format!("driver {now} took it"))),
        None => Err(refused(function, driver, "no driver took it")),
    }
}

/// Clears the override and lets the kernel choose, as at boot. Returns the driver that took the function.
pub fn bind_default(sysfs: &Sysfs, function: PciAddress) -> Result<Option<String>> {
    let entry = sysfs.function(function);
    let foreign = overridden(sysfs, function)?;
    entry.write("driver_override", "\n")?;
    let owner = current(sysfs, function)?;
    if owner.is_some() && owner == foreign {
        unbind(sysfs, function)?;
    }
    if current(sysfs, function)?.is_none() {
        probe(sysfs, function)?;
    }
    current(sysfs, function)
}

/// Takes the function from its driver, if it has one.
pub fn unbind(sysfs: &Sysfs, function: PciAddress) -> Result<()> {
    match current(sysfs, function)? {
        Some(_) => sysfs
            .function(function)
            .child("driver")
            .write("unbind", &function.to_string()),
        None => Ok(()),
    }
}

/// Asks the kernel to find a driver for an unbound function.
pub fn probe(sysfs: &Sysfs, function: PciAddress) -> Result<()> {
    sysfs
        .entry("bus/pci")
        .write("drivers_probe", &function.to_string())
}

/// Resets the function alone (function level reset, where it has one). Its driver is not told unless it wants to be, so
/// only for functions whose driver keeps no state of the device.
pub fn reset(sysfs: &Sysfs, function: PciAddress) -> Result<()> {
    sysfs.function(function).write("reset", "1")
}

fn refused(function: PciAddress, driver: &str, what: &str) -> Error {
    Error::state(
        Kind::Other,
        function,
        format!("bound to {driver} by override, but {what}; see the kernel log"),
    )
}

#[cfg(test)]
mod tests;
