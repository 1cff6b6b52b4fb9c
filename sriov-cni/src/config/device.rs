//! Which VF: `deviceID`, then `runtimeConfig.deviceID`, then `pciBusID` (spec/sriov-cni.md §1.2).

use host::pci::PciAddress;

use super::{Invalid, RawConfig};

/// Ids of a pool's software slots (design §5).
const SOFTWARE_SLOT: &str = "software-";

pub(super) fn choose(raw: &RawConfig) -> Result<PciAddress, Invalid> {
    let (key, id) = [
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
    })?;
    if id.starts_with(SOFTWARE_SLOT) {
        return Err(Invalid::new(
            key,
            id,
            "is a software slot, and this network has no fallback configured; run the pod on a node with VFs",
        ));
    }
    id.to_ascii_lowercase().parse().map_err(|_| {
        Invalid::new(
            key,
            format!("{id:?}"),
            "is no PCI address; give the VF's, like 0000:3b:02.1",
        )
    })
}
