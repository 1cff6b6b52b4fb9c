//! Waiting for changes that the kernel announces, with a deadline and without polling.

use std::fmt;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rtnetlink::sys::Socket;
use rtnetlink::sys::protocols::NETLINK_ROUTE;

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::link::Link;
use crate::netlink::multicast;
use crate::pci::PciAddress;

/// What to be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Links.
    Links,
    /// Addresses of both families.
    Addresses,
    /// Routes of both families.
    Routes,
}

/// A socket that the kernel tells of changes in the namespace where it was opened. It tells that something changed;
/// what is true now is asked with [`Netlink`], so lost messages do no harm. Its descriptor is readable when there is
/// something to tell.
pub struct Watch {
    socket: Socket,
}

impl Group {
    /// `RTNLGRP_*` of linux/rtnetlink.h.
    fn numbers(self) -> &'static [u32] {
        match self {
            Self::Links => &[1],
            Self::Addresses => &[5, 9],
            Self::Routes => &[7, 11],
        }
    }
}

impl Watch {
    /// Opens in the calling thread's namespace; for another one use `NetNs::watch`. Open first, then look, then wait:
    /// nothing is missed.
    pub fn open(groups: &[Group]) -> Result<Self> {
        let numbers: Vec<u32> = groups
            .iter()
            .flat_map(|group| group.numbers())
            .copied()
            .collect();
        Ok(Self {
            socket: multicast::open(NETLINK_ROUTE, &numbers)?,
        })
    }

    /// Waits for a change, at most `within`; then takes all that are announced. False if nothing came.
    pub fn changed(&mut self, within: Duration) -> Result<bool> {
        if !multicast::readable(&self.socket, within)? {
            return Ok(false);
        }
        self.drain()?;
        Ok(true)
    }

    /// Asks `condition` now and after each change until it gives something; `None` when `within` is over.
    pub fn until<T>(
        &mut self,
        within: Duration,
        mut condition: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let start = Instant::now();
        loop {
            if let Some(value) = condition()? {
                return Ok(Some(value));
            }
            let left = within.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.changed(left)?;
        }
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match multicast::receive(&self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The queue was full and the kernel dropped messages: that something changed is all we need to know.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
                Err(error) => return Err(multicast::failed(error)),
            }
        }
    }
}

impl Netlink {
    /// Waits until the link can send (carrier and driver), at most `within`. False if it cannot by then, or if there
    /// is no such link. `watch` must have been opened in the same namespace with `Group::Links`.
    pub fn wait_for_carrier(
        &mut self,
        watch: &mut Watch,
        index: u32,
        within: Duration,
    ) -> Result<bool> {
        let outcome = watch.until(within, || {
            Ok(match self.link(index)? {
                None => Some(false),
                Some(link) => (link.up && link.running).then_some(true),
            })
        })?;
        Ok(outcome.unwrap_or(false))
    }

    /// Waits until a PCI function has a link in this namespace (a VF that comes back from a dying namespace), at most
    /// `within`; `None` if it has none by then. `watch` must have been opened in the same namespace with
    /// `Group::Links`.
    pub fn wait_for_parent(
        &mut self,
        watch: &mut Watch,
        function: PciAddress,
        within: Duration,
    ) -> Result<Option<Link>> {
        watch.until(within, || self.link_by_parent(function))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("socket", &self.socket)
            .finish()
    }
}
