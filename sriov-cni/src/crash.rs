//! Named points at which the process can be made to die, for the lab's crash matrix (design §6).
//!
//! Built with feature `crash-points`, `sriov` aborts at the point that `FERROVIA_CRASH_AT` names, with no destructor
//! run: `<verb>.<before|after>.<point>`, and `@N` behind it for the Nth time the point is passed. Without the feature
//! nothing of this is in the program. Unit tests die by unwinding instead, so that they can go through all points.

use crate::record::Phase;
use crate::step::Step;

#[cfg(any(test, feature = "crash-points"))]
mod armed;
#[cfg(any(test, feature = "crash-points"))]
mod list;

#[cfg(test)]
pub(crate) use armed::reached;
#[cfg(any(test, feature = "crash-points"))]
pub use armed::{Unknown, arm};
#[cfg(any(test, feature = "crash-points"))]
pub use list::{Listed, list};

/// Enum and list from one text, so that none can be in one and not in the other.
macro_rules! named {
    ($(#[$of:meta])* $type:ident { $($(#[$meta:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$of])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$meta])* $variant,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Part of a point's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

named! {
    /// What the program is about.
    Verb {
        /// ADD.
        Add = "add",
        /// ADD that failed and undoes itself.
        Rollback = "rollback",
        /// ADD that takes the VF back from a dead owner first.
        Heal = "heal",
        /// DEL.
        Del = "del",
        /// GC.
        Gc = "gc",
        /// `sriov recover`.
        Recover = "recover",
    }
}

named! {
    /// What is handed out.
    Device {
        /// A VF as a network interface.
        Kernel = "kernel",
        /// A VF for a program in user space.
        Userspace = "userspace",
        /// A software slot.
        Fallback = "fallback",
    }
}

named! {
    /// Before or after the work.
    Moment {
        /// Nothing of it is done.
        Before = "before",
        /// It is done, or has failed.
        After = "after",
    }
}

named! {
    /// A piece of work that is done or not done when the process dies.
    Point {
        /// The lock of VF or slot.
        Lock = "lock",
        /// The ledger's file of VF or slot.
        VfFile = "vf-file",
        /// The record of an intent, or of what was learnt before the first change.
        RecordIntent = "record-intent",
        /// The record that attributes are set.
        RecordConfigured = "record-configured",
        /// The record that the interface is in the pod.
        RecordMoved = "record-moved",
        /// The record that addresses may be allocated.
        RecordAllocated = "record-allocated",
        /// The record of a complete attachment.
        RecordCommitted = "record-committed",
        /// The record of what DEL could not yet do.
        RecordReleasing = "record-releasing",
        /// The record of addresses that are still allocated.
        RecordReleased = "record-released",
        /// See [`Step::ResetFunction`].
        ResetFunction = "reset-function",
        /// See [`Step::TryOwnAddress`].
        TryOwnAddress = "try-own-address",
        /// See [`Step::Attributes`].
        Attributes = "attributes",
        /// See [`Step::OwnAddress`].
        OwnAddress = "own-address",
        /// See [`Step::ClearPfAddress`].
        ClearPfAddress = "clear-pf-address",
        /// See [`Step::DropAltNames`].
        DropAltNames = "drop-alt-names",
        /// See [`Step::DropAltNamesInPod`].
        DropAltNamesInPod = "drop-alt-names-in-pod",
        /// See [`Step::ToPod`].
        ToPod = "to-pod",
        /// See [`Step::Sysctls`].
        Sysctls = "sysctls",
        /// See [`Step::Up`].
        Up = "up",
        /// See [`Step::Allocate`].
        Allocate = "allocate",
        /// See [`Step::Advertise`].
        Advertise = "advertise",
        /// See [`Step::Addresses`].
        Addresses = "addresses",
        /// IPv6 switched on where an address needs it.
        EnableIpv6 = "enable-ipv6",
        /// One address.
        AddAddress = "add-address",
        /// One route.
        AddRoute = "add-route",
        /// See [`Step::Commit`].
        Commit = "commit",
        /// The Go plugin's cache of the attachment.
        GoCache = "go-cache",
        /// The Go plugin's file of the VF.
        GoOwner = "go-owner",
        /// See [`Step::Announce`].
        Announce = "announce",
        /// The plugin behind a software slot: ADD.
        DelegateAdd = "delegate-add",
        /// The plugin behind a software slot: DEL.
        DelegateDel = "delegate-del",
        /// See [`Step::ToHost`].
        ToHost = "to-host",
        /// See [`Step::Restore`].
        Restore = "restore",
        /// See [`Step::AddAltNames`].
        AddAltNames = "add-alt-names",
        /// See [`Step::HostUp`].
        HostUp = "host-up",
        /// The IPAM plugin's DEL.
        Deallocate = "deallocate",
        /// The Go plugin's cache removed.
        RemoveGoCache = "remove-go-cache",
        /// The Go plugin's file of the VF removed.
        RemoveGoOwner = "remove-go-owner",
        /// The record removed.
        RemoveRecord = "remove-record",
        /// The ledger's file of VF or slot removed.
        RemoveVfFile = "remove-vf-file",
    }
}

impl From<&Step> for Point {
    fn from(step: &Step) -> Self {
        match step {
            Step::ResetFunction => Self::ResetFunction,
            Step::TryOwnAddress(_) => Self::TryOwnAddress,
            Step::Attributes(_) => Self::Attributes,
            Step::OwnAddress(_) => Self::OwnAddress,
            Step::ClearPfAddress => Self::ClearPfAddress,
            Step::DropAltNames(_) => Self::DropAltNames,
            Step::DropAltNamesInPod(_) => Self::DropAltNamesInPod,
            Step::ToPod(_) => Self::ToPod,
            Step::Sysctls { .. } => Self::Sysctls,
            Step::Up => Self::Up,
            Step::Allocate => Self::Allocate,
            Step::Advertise => Self::Advertise,
            Step::Addresses => Self::Addresses,
            Step::Commit => Self::Commit,
            Step::Announce => Self::Announce,
            Step::ToHost(_) => Self::ToHost,
            Step::Restore(_) => Self::Restore,
            Step::AddAltNames(_) => Self::AddAltNames,
            Step::HostUp => Self::HostUp,
        }
    }
}

/// The point of writing a record of this phase.
impl From<Phase> for Point {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Intent => Self::RecordIntent,
            Phase::Configured => Self::RecordConfigured,
            Phase::Moved => Self::RecordMoved,
            Phase::Allocated => Self::RecordAllocated,
            Phase::Committed => Self::RecordCommitted,
            Phase::Releasing => Self::RecordReleasing,
            Phase::Released => Self::RecordReleased,
        }
    }
}

/// Does the work between its two points.
#[inline]
pub(crate) fn around<T>(point: impl Into<Point>, work: impl FnOnce() -> T) -> T {
    let at = point.into();
    point_of(at, Moment::Before);
    let done = work();
    point_of(at, Moment::After);
    done
}

#[cfg(any(test, feature = "crash-points"))]
fn point_of(point: Point, moment: Moment) {
    armed::pass(point, moment);
}

#[cfg(not(any(test, feature = "crash-points")))]
#[inline]
fn point_of(_: Point, _: Moment) {}

/// What the points passed from now on belong to, until the value is dropped.
#[cfg(any(test, feature = "crash-points"))]
pub(crate) use armed::scope;

/// Nothing, without the feature.
#[cfg(not(any(test, feature = "crash-points")))]
#[derive(Debug)]
pub(crate) struct Scope;

/// Nothing, without the feature.
#[cfg(not(any(test, feature = "crash-points")))]
#[inline]
pub(crate) fn scope(_: Verb) -> Scope {
    Scope
}
