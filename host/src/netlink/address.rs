//! IP addresses of links.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::watch::Watch;

/// An IP address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Index of the link.
    pub index: u32,
    /// Address with prefix length; host bits kept.
    pub net: IpNet,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// Duplicate address detection is running.
    pub tentative: bool,
    /// Usable while tentative.
    pub optimistic: bool,
    /// Another node has this address.
    pub duplicate: bool,
    /// Scope as the kernel numbers it: 0 global, 253 link, 254 host.
    pub scope: u8,
}

/// An address to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAddress {
    /// Address with prefix length. For IPv4 with a prefix below 31 the broadcast address is computed.
    pub net: IpNet,
    /// How IPv6 detects duplicates; ignored for IPv4.
    pub detection: Detection,
}

/// Duplicate address detection of a new IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detection {
    /// As the interface's sysctls say.
    #[default]
    Normal,
    /// Usable at once, detection goes on (needs sysctl `optimistic_dad`).
    Optimistic,
    /// None.
    Skip,
}

/// Outcome of waiting for duplicate address detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dad {
    /// All addresses are usable.
    Done,
    /// These are in use by another node.
    Duplicate(Vec<IpAddr>),
    /// These were still tentative when the time was over (no carrier, for instance).
    Tentative(Vec<IpAddr>),
}

impl Netlink {
    /// Addresses of one link, or of all.
    pub fn addresses(&mut self, _index: Option<u32>) -> Result<Vec<Address>> {
        unimplemented!()
    }

    /// Adds an address; one that is there already is `Exists`.
    pub fn add_address(&mut self, _index: u32, _address: NewAddress) -> Result<()> {
        unimplemented!()
    }

    /// Removes an address.
    pub fn delete_address(&mut self, _index: u32, _net: IpNet) -> Result<()> {
        unimplemented!()
    }

    /// Waits until no address of the link is tentative, at most `within`. Optimistic addresses are usable and not
    /// waited for. `watch` must have been opened in the same namespace with `Group::Addresses`.
    pub fn wait_for_dad(
        &mut self,
        _watch: &mut Watch,
        _index: u32,
        _within: Duration,
    ) -> Result<Dad> {
        unimplemented!()
    }
}
