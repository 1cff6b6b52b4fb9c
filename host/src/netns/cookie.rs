//! The kernel's cookie of a network namespace.

use std::os::fd::AsFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket};
use nix::{errno::Errno, getsockopt_impl, libc, sockopt_impl};

use crate::error::{Error, Result};

sockopt_impl!(
    /// A number that the kernel gives to a network namespace and never again in the same boot (kernel 5.14).
    NetnsCookie,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64
);

const STEP: &str = "read the cookie of a network namespace";

/// The cookie of the calling thread's namespace; `None` on kernels that do not have it.
pub(super) fn read() -> Result<Option<u64>> {
    let any = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    of(&any.map_err(|errno| Error::kernel(STEP, errno))?)
}

/// The cookie of a socket's namespace; `None` on kernels that do not have it.
pub(super) fn of(socket: &impl AsFd) -> Result<Option<u64>> {
    match getsockopt(socket, NetnsCookie) {
        Ok(cookie) => Ok(Some(cookie)),
        Err(Errno::ENOPROTOOPT) => Ok(None),
        Err(errno) => Err(Error::kernel(STEP, errno)),
    }
}
