//! Tells the neighbours where the pod's addresses are: gratuitous ARP and unsolicited neighbour advertisements.
//!
//! Whole Ethernet frames leave through one interface, given by its index in the pod's namespace, so neither routes nor
//! other interfaces of the pod matter (upstream's advertisement leaves through the first multicast route,
//! spec/sriov-cni.md §2.3), and an address that is still tentative can be announced too.

mod frame;

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use host::mac::MacAddress;
use host::netns::NetNs;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket};

/// An announcement that could not be sent. The attachment works without it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace has no link-layer address for this interface.
    #[error("announce through interface {0}: it has no link-layer address in the pod's namespace")]
    NoInterface(u32),
    /// A system call failed.
    #[error("announce {address} through interface {ifindex}")]
    Send {
        /// The address.
        address: IpAddr,
        /// Index of the interface in the pod's namespace.
        ifindex: u32,
        /// Why.
        source: Errno,
    },
    /// The packet socket could not be had.
    #[error("open a packet socket in the pod's namespace")]
    Socket(#[source] Errno),
    /// The namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] host::error::Error),
}

/// Announces every address; one failure does not keep the others from being sent. Returns what failed.
pub fn send(pod: &NetNs, ifindex: u32, mac: MacAddress, addresses: &[IpAddr]) -> Vec<Error> {
    match pod.run(|| broadcast(ifindex, mac, addresses)) {
        Ok(failed) => failed,
        Err(error) => vec![error.into()],
    }
}

fn broadcast(ifindex: u32, mac: MacAddress, addresses: &[IpAddr]) -> Vec<Error> {
    // A send-only socket: protocol 0 receives nothing.
    let socket = match socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    ) {
        Ok(socket) => socket,
        Err(errno) => return vec![Error::Socket(errno)],
    };
    let to = match link_address(ifindex) {
        Ok(to) => to,
        Err(error) => return vec![error],
    };
    let mut failed = Vec::new();
    for address in addresses {
        let frame = match address {
            IpAddr::V4(address) => frame::gratuitous_arp(mac, *address),
            IpAddr::V6(address) => frame::neighbour_advertisement(mac, *address),
        };
        if let Err(source) = sendto(socket.as_raw_fd(), &frame, &to, MsgFlags::empty()) {
            failed.push(Error::Send {
                address: *address,
                ifindex,
                source,
            });
        }
    }
    failed
}

/// The interface as a `sockaddr_ll`. The C library makes one for every interface it lists; building one by hand would
/// need unsafe code. Only its index counts: the frame has its own header.
fn link_address(ifindex: u32) -> Result<LinkAddr, Error> {
    getifaddrs()
        .map_err(Error::Socket)?
        .filter_map(|interface| interface.address?.as_link_addr().copied())
        .find(|address| u32::try_from(address.ifindex()) == Ok(ifindex))
        .ok_or(Error::NoInterface(ifindex))
}
