//! What a pool wants to be told of its devices' health, and how it wants devices to be chosen.

use super::document::{Members, Problem};

/// What makes a device of a pool Unhealthy, beside that it is gone or was made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// A held device has another driver than when it was allocated.
    pub driver: bool,
    /// Its VFIO group cannot be opened: it is gone, or another device in it belongs to the kernel.
    pub vfio_group: bool,
    /// Its PF has no carrier. Off unless asked for: VFs of one PF reach each other without a carrier.
    pub carrier: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            driver: true,
            vfio_group: true,
            carrier: false,
        }
    }
}

/// Which of the free devices the kubelet is advised to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preference {
    /// Devices of one request on as few memory nodes as possible, there spread over PFs.
    #[default]
    Numa,
    /// Devices spread over PFs, the one with most free devices first: for bonds.
    Balanced,
    /// Devices on as few memory nodes and PFs as possible, PFs with few free devices first.
    Packed,
    /// No advice: the kubelet takes what it finds first.
    None,
}

/// Key `health`.
pub(super) fn health(members: &Members<'_>) -> Result<Health, Problem> {
    let mut health = Health::default();
    let Some(node) = members.get("health") else {
        return Ok(health);
    };
    for (key, value) in node.members()?.iter() {
        let switch = match key.to_ascii_lowercase().as_str() {
            "driver" => &mut health.driver,
            "vfiogroup" => &mut health.vfio_group,
            "carrier" => &mut health.carrier,
            _ => {
                return Err(value.problem(format!(
                    "health has no {key:?}: write driver, vfioGroup or carrier, each true or false"
                )));
            }
        };
        *switch = value.boolean()?;
    }
    Ok(health)
}

/// Key `preferredAllocation`.
pub(super) fn preference(members: &Members<'_>) -> Result<Preference, Problem> {
    let Some(node) = members.get("preferredAllocation") else {
        return Ok(Preference::default());
    };
    match node.string()?.as_str() {
        "numa" => Ok(Preference::Numa),
        "balanced" => Ok(Preference::Balanced),
        "packed" => Ok(Preference::Packed),
        "none" => Ok(Preference::None),
        other => Err(node.problem(format!(
            "preferredAllocation {other:?} is unknown: write numa, balanced, packed or none"
        ))),
    }
}
