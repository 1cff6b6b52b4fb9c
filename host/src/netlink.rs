//! Netlink, synchronously: one request, one answer, errors that name request, object, errno and the kernel's text.
//!
//! A socket belongs to the namespace in which it was opened and may be used from any thread. Only this module imports
//! rtnetlink.

pub mod address;
pub mod link;
pub mod route;
pub mod vf;
pub mod watch;

use crate::error::Result;

/// A connection to the kernel's rtnetlink of one namespace.
#[derive(Debug)]
pub struct Netlink {}

impl Netlink {
    /// Opens a socket in the calling thread's namespace.
    pub fn open() -> Result<Self> {
        unimplemented!()
    }
}
