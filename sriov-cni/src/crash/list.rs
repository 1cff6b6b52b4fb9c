//! Which points each command passes with each kind of device.

use serde::Serialize;

use super::{Moment, Point, Verb};

/// What is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// A VF as a network interface.
    Kernel,
    /// A VF for a program in user space.
    Userspace,
    /// A software slot.
    Fallback,
}

/// One point of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Name of the verb.
    pub command: &'static str,
    /// Kind of device.
    pub mode: Device,
    /// The point's name, as `FERROVIA_CRASH_AT` has it.
    pub point: String,
}

/// All points of all commands, with each kind of device.
pub fn list() -> Vec<Listed> {
    let mut listed = Vec::new();
    for verb in Verb::ALL {
        for mode in [Device::Kernel, Device::Userspace, Device::Fallback] {
            let points = Point::ALL
                .iter()
                .filter(|point| passes(**point, *verb, mode));
            for (point, moment) in
                points.flat_map(|point| Moment::ALL.iter().map(move |moment| (point, moment)))
            {
                listed.push(Listed {
                    command: verb.name(),
                    mode,
                    point: format!("{}.{}.{}", verb.name(), moment.name(), point.name()),
                });
            }
        }
    }
    listed
}

/// A new point has to be placed here.
fn passes(point: Point, verb: Verb, device: Device) -> bool {
    let adds = verb == Verb::Add;
    let is_vf = device != Device::Fallback;
    let is_kernel = device == Device::Kernel;
    match point {
        // Rollback and healing are parts of an ADD that has the lock.
        Point::Lock => !matches!(verb, Verb::Rollback | Verb::Heal),
        Point::VfFile | Point::RecordReleasing => adds == (point == Point::VfFile) || !adds,
        Point::RecordIntent | Point::RecordCommitted => adds,
        Point::RecordConfigured
        | Point::RecordAllocated
        | Point::Allocate
        | Point::Commit
        | Point::GoCache
        | Point::GoOwner => adds && is_vf,
        Point::RecordMoved
        | Point::TryOwnAddress
        | Point::ToPod
        | Point::Sysctls
        | Point::Up
        | Point::Advertise
        | Point::Addresses
        | Point::EnableIpv6
        | Point::AddAddress
        | Point::AddRoute
        | Point::Announce => adds && is_kernel,
        Point::DelegateAdd => adds && !is_vf,
        Point::DelegateDel => !adds && !is_vf,
        Point::ResetFunction => is_vf && !is_kernel,
        Point::Attributes | Point::ClearPfAddress => {
            is_vf && (is_kernel || !adds || point == Point::Attributes)
        }
        Point::OwnAddress | Point::DropAltNames => is_kernel,
        Point::DropAltNamesInPod
        | Point::ToHost
        | Point::Restore
        | Point::AddAltNames
        | Point::HostUp => !adds && is_kernel,
        Point::RecordReleased | Point::Deallocate | Point::RemoveGoCache | Point::RemoveGoOwner => {
            !adds && is_vf
        }
        Point::RemoveRecord | Point::RemoveVfFile => !adds,
    }
}
