//! Reading a result of any version (spec/sriov-cni.md §6.4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer};

use super::{AddResult, Dns, Interface, IpConfig, ResultError, Route};
use crate::raw::{Object, shorten};
use crate::version::Version;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "cniVersion")]
    version: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Lists {
    interfaces: Option<Vec<ReadInterface>>,
    ips: Option<Vec<ReadIp>>,
    routes: Option<Vec<ReadRoute>>,
    dns: Option<ReadDns>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Families {
    ip4: Option<Family>,
    ip6: Option<Family>,
    dns: Option<ReadDns>,
}

#[derive(Deserialize)]
struct Family {
    ip: IpNet,
    #[serde(default, deserialize_with = "address")]
    gateway: Option<IpAddr>,
    routes: Option<Vec<ReadRoute>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReadInterface {
    name: Option<String>,
    mac: Option<String>,
    mtu: Option<u32>,
    sandbox: Option<String>,
    #[serde(rename = "socketPath")]
    socket_path: Option<String>,
    #[serde(rename = "pciID")]
    pci_id: Option<String>,
}

#[derive(Deserialize)]
struct ReadIp {
    interface: Option<usize>,
    address: IpNet,
    #[serde(default, deserialize_with = "address")]
    gateway: Option<IpAddr>,
}

#[derive(Deserialize)]
struct ReadRoute {
    dst: Option<IpNet>,
    #[serde(default, deserialize_with = "address")]
    gw: Option<IpAddr>,
    mtu: Option<u32>,
    advmss: Option<u32>,
    priority: Option<u32>,
    table: Option<u32>,
    scope: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReadDns {
    nameservers: Option<Vec<String>>,
    domain: Option<String>,
    search: Option<Vec<String>>,
    options: Option<Vec<String>>,
}

/// Reads a result of any version. One without `cniVersion` is read as `default_version`.
pub fn parse(bytes: &[u8], default_version: Version) -> Result<AddResult, ResultError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ResultError::Empty);
    }
    let garbage = |source| ResultError::Garbage {
        text: shorten(&String::from_utf8_lossy(bytes)),
        source,
    };
    // Structs would read arrays, too.
    serde_json::from_slice::<Object>(bytes).map_err(garbage)?;
    let header: Header = serde_json::from_slice(bytes).map_err(garbage)?;
    let version = match header.version.as_deref() {
        None | Some("") => default_version,
        Some(text) => text.parse().map_err(ResultError::Version)?,
    };
    if version < Version::V0_3_0 {
        serde_json::from_slice::<Families>(bytes)
            .map(Into::into)
            .map_err(garbage)
    } else {
        serde_json::from_slice::<Lists>(bytes)
            .map(Into::into)
            .map_err(garbage)
    }
}

impl From<Lists> for AddResult {
    fn from(lists: Lists) -> Self {
        Self {
            interfaces: list(lists.interfaces),
            ips: list(lists.ips),
            routes: list(lists.routes),
            dns: lists.dns.unwrap_or_default().into(),
        }
    }
}

impl From<Families> for AddResult {
    fn from(families: Families) -> Self {
        let mut result = Self {
            dns: families.dns.unwrap_or_default().into(),
            ..Self::default()
        };
        for family in [families.ip4, families.ip6].into_iter().flatten() {
            result.ips.push(IpConfig {
                interface: None,
                address: family.ip,
                gateway: family.gateway,
            });
            result.routes.extend(list::<_, Route>(family.routes));
        }
        result
    }
}

impl From<ReadInterface> for Interface {
    fn from(read: ReadInterface) -> Self {
        Self {
            name: read.name.unwrap_or_default(),
            mac: read.mac.unwrap_or_default(),
            mtu: read.mtu.unwrap_or_default(),
            sandbox: read.sandbox.unwrap_or_default(),
            socket_path: read.socket_path.unwrap_or_default(),
            pci_id: read.pci_id.unwrap_or_default(),
        }
    }
}

impl From<ReadIp> for IpConfig {
    fn from(read: ReadIp) -> Self {
        Self {
            interface: read.interface,
            address: read.address,
            gateway: read.gateway,
        }
    }
}

impl From<ReadRoute> for Route {
    fn from(read: ReadRoute) -> Self {
        Self {
            dst: read.dst.unwrap_or_else(|| everything(read.gw)),
            gw: read.gw,
            mtu: read.mtu.unwrap_or_default(),
            advmss: read.advmss.unwrap_or_default(),
            priority: read.priority.unwrap_or_default(),
            table: read.table,
            scope: read.scope,
        }
    }
}

impl From<ReadDns> for Dns {
    fn from(read: ReadDns) -> Self {
        Self {
            nameservers: read.nameservers.unwrap_or_default(),
            domain: read.domain.unwrap_or_default(),
            search: read.search.unwrap_or_default(),
            options: read.options.unwrap_or_default(),
        }
    }
}

fn list<F, T: From<F>>(read: Option<Vec<F>>) -> Vec<T> {
    read.unwrap_or_default()
        .into_iter()
        .map(Into::into)
        .collect()
}

/// A route without destination is a default route of its next hop's family.
fn everything(gw: Option<IpAddr>) -> IpNet {
    if gw.is_some_and(|gw| gw.is_ipv6()) {
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into()
    }
}

/// An address as Go prints it: empty means none, an IPv4 address may come in IPv6 clothes.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let address: IpAddr = text
        .parse()
        .map_err(|_| serde::de::Error::custom(format!("{text:?} is not an IP address")))?;
    Ok(Some(address.to_canonical()))
}
