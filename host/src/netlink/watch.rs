//! Waiting for changes that the kernel announces, with a deadline and without polling.

use std::time::Duration;

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::link::Link;
use crate::pci::PciAddress;

/// What to be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Links: `RTNLGRP_LINK`.
    Links,
    /// Addresses of both families.
    Addresses,
    /// Routes of both families.
    Routes,
}

/// A socket that the kernel tells of changes in the namespace where it was opened. It tells that something changed;
/// what is true now is asked with [`Netlink`], so lost messages do no harm.
#[derive(Debug)]
pub struct Watch {}

impl Watch {
    /// Opens in the calling thread's namespace. Open first, then look, then wait: nothing is missed.
    pub fn open(_groups: &[Group]) -> Result<Self> {
        unimplemented!()
    }

    /// Waits for a change, at most `within`; then takes all that are announced. False if nothing came.
    pub fn changed(&mut self, _within: Duration) -> Result<bool> {
        unimplemented!()
    }

    /// Asks `condition` now and after each change until it gives something; `None` when `within` is over.
    pub fn until<T>(
        &mut self,
        _within: Duration,
        _condition: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        unimplemented!()
    }
}

impl Netlink {
    /// Waits until the link can send (carrier and driver), at most `within`. False if it cannot by then.
    pub fn wait_for_carrier(
        &mut self,
        _watch: &mut Watch,
        _index: u32,
        _within: Duration,
    ) -> Result<bool> {
        unimplemented!()
    }

    /// Waits until a PCI function has a link in this namespace (a VF that comes back from a dying namespace), at most
    /// `within`; `None` if it has none by then.
    pub fn wait_for_parent(
        &mut self,
        _watch: &mut Watch,
        _function: PciAddress,
        _within: Duration,
    ) -> Result<Option<Link>> {
        unimplemented!()
    }
}
