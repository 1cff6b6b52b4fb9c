//! Netlink, synchronously: one request, one answer, errors that name request, object, errno and the kernel's text.
//!
//! A socket belongs to the namespace in which it was opened and may be used from any thread. Only this module imports
//! rtnetlink.

pub mod address;
mod attribute;
#[cfg(feature = "testing")]
pub mod create;
pub mod devlink;
mod ethtool;
mod generic;
pub mod link;
mod message;
mod multicast;
pub mod route;
mod transport;
pub mod uevent;
pub mod vf;
pub mod watch;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Result;
use transport::Transport;

/// A connection to the kernel's rtnetlink of one namespace.
pub struct Netlink {
    transport: Transport,
}

impl Netlink {
    /// Opens a socket in the calling thread's namespace. For another one use `NetNs::netlink`.
    pub fn open() -> Result<Self> {
        Ok(Self {
            transport: Transport::open()?,
        })
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.socket.as_fd()
    }
}

impl fmt::Debug for Netlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netlink")
            .field("socket", &self.transport.socket)
            .finish()
    }
}
