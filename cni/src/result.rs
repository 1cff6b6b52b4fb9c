//! Results of ADD. Held in the shape of 1.1.0; other versions are a matter of reading and printing.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::value::RawValue;

use crate::version::Version;

/// A result of ADD in the shape of 1.1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddResult {
    /// Interfaces, in the order that [`IpConfig::interface`] counts.
    pub interfaces: Vec<Interface>,
    /// Addresses.
    pub ips: Vec<IpConfig>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Name resolution.
    pub dns: Dns,
}

/// An interface; empty strings mean absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Bytes; 0 means not told.
    pub mtu: u32,
    /// Path of the network namespace; empty on the host.
    pub sandbox: String,
    /// Path of a socket, for vhost-user.
    pub socket_path: String,
    /// PCI address.
    pub pci_id: String,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpConfig {
    /// Index into [`AddResult::interfaces`].
    pub interface: Option<usize>,
    /// Address with prefix length; host bits are kept.
    pub address: IpNet,
    /// Gateway of the subnet.
    pub gateway: Option<IpAddr>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub dst: IpNet,
    /// Next hop.
    pub gw: Option<IpAddr>,
    /// Bytes; 0 means not told.
    pub mtu: u32,
    /// Advertised MSS in bytes; 0 means not told.
    pub advmss: u32,
    /// Metric; 0 means not told.
    pub priority: u32,
    /// Routing table.
    pub table: Option<u32>,
    /// Scope of rtnetlink.
    pub scope: Option<u32>,
}

/// Name resolution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Servers, most preferred first.
    pub nameservers: Vec<String>,
    /// Local domain; empty means none.
    pub domain: String,
    /// Search domains.
    pub search: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
}

/// Why a result cannot be read or printed.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Nothing was printed.
    #[error("the result is empty")]
    Empty,
    /// Not a result.
    #[error("result {text:?}")]
    Garbage {
        /// The text, shortened.
        text: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A version that nobody published.
    #[error("result")]
    Version(#[source] crate::version::UnknownVersion),
    /// The result cannot be told in this version.
    #[error("a result without addresses cannot be told in CNI version {0}")]
    NoAddress(Version),
}

/// Reads a result of any version. One without `cniVersion` is read as `default_version`.
pub fn parse(_bytes: &[u8], _default_version: Version) -> Result<AddResult, ResultError> {
    unimplemented!()
}

impl AddResult {
    /// The result in this version, as one line of JSON.
    pub fn to_json(&self, _version: Version) -> Result<String, ResultError> {
        unimplemented!()
    }

    /// The result in this version as a raw value, e.g. for `prevResult`.
    pub fn to_raw(&self, _version: Version) -> Result<Box<RawValue>, ResultError> {
        unimplemented!()
    }

    /// Tells whether [`Self::to_json`] would work for this version.
    pub fn convertible_to(&self, _version: Version) -> Result<(), ResultError> {
        unimplemented!()
    }
}
