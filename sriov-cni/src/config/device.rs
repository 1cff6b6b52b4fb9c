//! Which VF: `deviceID`, then `runtimeConfig.deviceID`, then `pciBusID` (spec/sriov-cni.md §1.2).

use host::pci::PciAddress;

use super::{Invalid, RawConfig};

/// The device that is given, and the key it is given by.
pub(super) fn given(raw: &RawConfig) -> Result<(&'static str, &str), Invalid> {
    [
        ("deviceID", &raw.device_id),
        ("runtimeConfig.deviceID", &raw.runtime_device_id),
        ("pciBusID", &raw.pci_bus_id),
    ]
    .into_iter()
    .find_map(|(key, id)| Some((key, id.as_deref().filter(|id| !id.is_empty())?)))
    .ok_or_else(|| {
        // "VF pci addr is required" is upstream's text, which users search for.
        Invalid::new(
            "deviceID",
            "is missing",
            "VF pci addr is required; the pod must request the network's resource, so that a device is allocated",
        )
    })
}

pub(super) fn choose(raw: &RawConfig) -> Result<PciAddress, Invalid> {
    let (key, id) = given(raw)?;
    id.to_ascii_lowercase().parse().map_err(|_| {
        Invalid::new(
            key,
            format!("{id:?}"),
            "is no PCI address; give the VF's, like 0000:3b:02.1",
        )
    })
}
