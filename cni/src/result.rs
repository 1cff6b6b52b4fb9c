//! Results of ADD. Held in the shape of 1.1.0; other versions are a matter of reading and printing.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::version::{UnknownVersion, Version};

mod print;
mod read;

pub use read::parse;

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

/// Name resolution, in results and in network-status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Servers, most preferred first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Local domain; empty means none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Resolver options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// Why a result cannot be read or printed.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Nothing was printed.
    #[error("the result is empty")]
    Empty,
    /// Not a result.
    #[error("result {text:?} cannot be read")]
    Garbage {
        /// The text, shortened.
        text: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A version that nobody published.
    #[error("result")]
    Version(#[source] UnknownVersion),
    /// The result cannot be told in this version.
    #[error("a result without addresses cannot be told in CNI version {0}")]
    NoAddress(Version),
}

impl AddResult {
    /// The result in this version, as one line of JSON.
    pub fn to_json(&self, version: Version) -> Result<String, ResultError> {
        Ok(self.to_raw(version)?.get().to_owned())
    }

    /// The result in this version as a raw value, e.g. for `prevResult`.
    pub fn to_raw(&self, version: Version) -> Result<Box<RawValue>, ResultError> {
        self.convertible_to(version)?;
        Ok(print::to_raw(self, version))
    }

    /// Tells whether [`Self::to_json`] would work for this version.
    pub fn convertible_to(&self, version: Version) -> Result<(), ResultError> {
        if version < Version::V0_3_0 && self.ips.is_empty() {
            return Err(ResultError::NoAddress(version));
        }
        Ok(())
    }
}

impl Route {
    /// A route with nothing but destination and next hop.
    pub const fn new(dst: IpNet, gw: Option<IpAddr>) -> Self {
        Self {
            dst,
            gw,
            mtu: 0,
            advmss: 0,
            priority: 0,
            table: None,
            scope: None,
        }
    }

    /// The destination is everything.
    pub fn is_default(&self) -> bool {
        self.dst.addr().is_unspecified() && self.dst.prefix_len() == 0
    }
}

impl Dns {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
