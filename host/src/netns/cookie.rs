//! The kernel's cookie of the calling thread's network namespace.

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

/// The cookie; `None` on kernels that do not have it.
pub(super) fn read() -> Result<Option<u64>> {
    let step = "read the cookie of a network namespace";
    let any = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    let any = any.map_err(|errno| Error::kernel(step, errno))?;
    match getsockopt(&any, NetnsCookie) {
        Ok(cookie) => Ok(Some(cookie)),
        Err(Errno::ENOPROTOOPT) => Ok(None),
        Err(errno) => Err(Error::kernel(step, errno)),
    }
}
