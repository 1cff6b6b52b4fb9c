//! Driver and device of a link, asked through the ethtool ioctl. Kernels before 5.14 do not tell the device by netlink.
#![expect(
    unsafe_code,
    reason = "no safe wrapper of the ethtool ioctl exists, and old kernels need it"
)]

use std::os::fd::AsRawFd;

use nix::libc;
use rtnetlink::sys::Socket;

use crate::netlink::attribute::text;

const ETHTOOL_GDRVINFO: u32 = 3;

/// `struct ethtool_drvinfo` of linux/ethtool.h.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus_info: [u8; 32],
    rom: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// `struct ifreq` with the member that ethtool uses.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut DriverInfo,
    // ifreq is a union; the kernel copies the whole of it.
    rest: [u8; 16],
}

/// What a driver says of itself.
pub(super) struct Driver {
    /// Its name.
    pub(super) name: String,
    /// The device: a PCI address for PCI devices, empty for others.
    pub(super) bus_info: String,
}

/// The driver of a link; `None` if it tells nothing. The namespace is the socket's, not the thread's.
pub(super) fn driver(socket: &Socket, link: &str) -> Option<Driver> {
    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        firmware: [0; 32],
        bus_info: [0; 32],
        rom: [0; 32],
        reserved: [0; 12],
        counts: [0; 5],
    };
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        data: &raw mut info,
        rest: [0; 16],
    };
    let name = link.as_bytes();
    request
        .name
        .get_mut(..name.len())
        .filter(|_| name.len() < libc::IFNAMSIZ)?
        .copy_from_slice(name);
    // SAFETY: `request` is at least as large as the kernel's ifreq (40 bytes on 64 bit) and its data points to a
    // complete ethtool_drvinfo (196 bytes), which is all that ETHTOOL_GDRVINFO writes; both live until the call ends.
    let answer =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    (answer == 0).then(|| Driver {
        name: text(&info.driver),
        bus_info: text(&info.bus_info),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_kernel() {
        assert_eq!(size_of::<DriverInfo>(), 196);
        assert!(size_of::<Request>() >= size_of::<libc::ifreq>());
    }
}
