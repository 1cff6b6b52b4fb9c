//! Which points each command passes with each kind of device.

use serde::Serialize;

use super::{Device, Moment, Point, Verb};

/// One point of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Name of the verb.
    pub command: &'static str,
    /// Kind of device.
    pub mode: &'static str,
    /// The point's name, as `FERROVIA_CRASH_AT` has it.
    pub point: String,
    /// What must be so, beyond an attachment with a VLAN, a `mac`, and IPAM with an IPv4 address and a route. `None`:
    /// nothing.
    pub when: Option<&'static str>,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.command, self.mode, self.point)?;
        match self.when {
            Some(when) => write!(f, " (if {when})"),
            None => Ok(()),
        }
    }
}

/// All points of all commands, with each kind of device.
pub fn list() -> Vec<Listed> {
    let mut listed = Vec::new();
    for verb in Verb::ALL {
        for device in Device::ALL {
            for point in Point::ALL {
                let when = match passed(*point, *verb, *device) {
                    Passed::Never => continue,
                    Passed::Always => None,
                    Passed::If(when) => Some(when),
                };
                listed.extend(Moment::ALL.iter().map(|moment| Listed {
                    command: verb.name(),
                    mode: device.name(),
                    point: format!("{}.{}.{}", verb.name(), moment.name(), point.name()),
                    when,
                }));
            }
        }
    }
    listed
}

/// When a verb passes a point.
enum Passed {
    Never,
    Always,
    /// Only if this is so.
    If(&'static str),
}

/// A new point has to be placed here.
fn passed(point: Point, verb: Verb, device: Device) -> Passed {
    use Passed::{If, Never};
    let adds = verb == Verb::Add;
    let is_vf = device != Device::Fallback;
    let is_kernel = device == Device::Kernel;
    match point {
        // Rollback and healing are parts of an ADD that has the lock.
        Point::Lock => Passed::Always.when(!matches!(verb, Verb::Rollback | Verb::Heal)),
        Point::VfFile if !adds => If(LEFT),
        Point::RecordReleasing => If(LEFT).when(!adds),
        Point::VfFile | Point::RecordIntent | Point::RecordCommitted => Passed::Always.when(adds),
        Point::RecordConfigured
        | Point::RecordAllocated
        | Point::Allocate
        | Point::Commit
        | Point::GoCache
        | Point::GoOwner => Passed::Always.when(adds && is_vf),
        Point::RecordMoved
        | Point::TryOwnAddress
        | Point::ToPod
        | Point::Sysctls
        | Point::Up
        | Point::Advertise
        | Point::Addresses
        | Point::AddAddress
        | Point::AddRoute
        | Point::Announce => Passed::Always.when(adds && is_kernel),
        Point::EnableIpv6 => If("the IPAM plugin gives an IPv6 address").when(adds && is_kernel),
        Point::DelegateAdd => Passed::Always.when(adds && !is_vf),
        Point::DelegateDel => Passed::Always.when(!adds && !is_vf),
        Point::ResetFunction => If("resetPolicy is flr, or the VF has made up an address")
            .when(device == Device::Userspace),
        Point::ClearPfAddress if adds => {
            If("the PF has given the VF an address before").when(is_kernel)
        }
        Point::Attributes | Point::ClearPfAddress => Passed::Always.when(is_vf),
        Point::OwnAddress => Passed::Always.when(is_kernel),
        Point::DropAltNames if adds => {
            If("an alternative name of the VF is taken in the pod").when(is_kernel)
        }
        Point::DropAltNames => If("udev has added an alternative name on the host").when(is_kernel),
        Point::DropAltNamesInPod => {
            If("the pod has added an alternative name").when(!adds && is_kernel)
        }
        Point::ToHost => match verb {
            Verb::Add => Never,
            Verb::Recover => If("the VF is in another namespace that has a name").when(is_kernel),
            _ => If("the pod's namespace lives").when(is_kernel),
        },
        Point::Restore => match verb {
            Verb::Add => Never,
            Verb::Recover => Passed::Always.when(is_kernel),
            _ => If("the pod's namespace is gone").when(is_kernel),
        },
        Point::AddAltNames => If("the VF has lost an alternative name").when(!adds && is_kernel),
        Point::HostUp => If("the VF was up on the host").when(!adds && is_kernel),
        Point::RecordReleased => {
            If("the IPAM plugin does not release the addresses").when(!adds && is_vf)
        }
        Point::RemoveGoOwner if verb == Verb::Rollback => {
            If("the last record cannot be written").when(is_vf)
        }
        Point::Deallocate if !is_vf => If("the plugin behind the slot fails in DEL").when(!adds),
        Point::Deallocate | Point::RemoveGoCache | Point::RemoveGoOwner => {
            Passed::Always.when(!adds && is_vf)
        }
        Point::RemoveRecord | Point::RemoveVfFile => Passed::Always.when(!adds),
    }
}

/// What makes records stay.
const LEFT: &str = "something cannot be undone yet";

impl Passed {
    fn when(self, is_possible: bool) -> Self {
        if is_possible { self } else { Self::Never }
    }
}
