//! Printing a result in any version (spec/sriov-cni.md §6.4).

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{AddResult, Dns, Interface, IpConfig, Route};
use crate::raw::raw;
use crate::version::Version;

/// From 0.3.0 on.
#[derive(Serialize)]
struct Lists<'a> {
    #[serde(rename = "cniVersion")]
    version: Version,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<PrintedInterface<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<PrintedIp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<PrintedRoute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<&'a Dns>,
}

#[derive(Serialize)]
struct PrintedInterface<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mac: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    sandbox: &'a str,
    #[serde(rename = "socketPath", skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    #[serde(rename = "pciID", skip_serializing_if = "str::is_empty")]
    pci_id: &'a str,
}

#[derive(Serialize)]
struct PrintedIp {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<usize>,
    address: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
}

#[derive(Serialize)]
struct PrintedRoute {
    dst: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advmss: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u32>,
}

/// 0.1.0 and 0.2.0.
#[derive(Serialize)]
struct Families<'a> {
    #[serde(rename = "cniVersion")]
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<Family>,
    dns: &'a Dns,
}

#[derive(Serialize)]
struct Family {
    ip: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<PrintedRoute>,
}

/// The result in `version`, which must be able to tell it.
pub(super) fn to_raw(result: &AddResult, version: Version) -> Box<RawValue> {
    if version < Version::V0_3_0 {
        families(result, version)
    } else {
        lists(result, version)
    }
}

fn lists(result: &AddResult, version: Version) -> Box<RawValue> {
    let modern = version >= Version::V1_0_0;
    raw(&Lists {
        version,
        interfaces: result
            .interfaces
            .iter()
            .map(|i| interface(i, modern))
            .collect(),
        ips: result.ips.iter().map(|ip| address(ip, modern)).collect(),
        routes: result.routes.iter().map(route).collect(),
        dns: (!modern || !result.dns.is_empty()).then_some(&result.dns),
    })
}

fn interface(interface: &Interface, modern: bool) -> PrintedInterface<'_> {
    PrintedInterface {
        name: &interface.name,
        mac: &interface.mac,
        mtu: told(interface.mtu).filter(|_| modern),
        sandbox: &interface.sandbox,
        socket_path: if modern { &interface.socket_path } else { "" },
        pci_id: if modern { &interface.pci_id } else { "" },
    }
}

fn address(ip: &IpConfig, modern: bool) -> PrintedIp {
    let family = if ip.address.addr().is_ipv4() {
        "4"
    } else {
        "6"
    };
    PrintedIp {
        version: (!modern).then_some(family),
        interface: ip.interface,
        address: ip.address,
        gateway: ip.gateway,
    }
}

fn route(route: &Route) -> PrintedRoute {
    PrintedRoute {
        dst: route.dst,
        gw: route.gw,
        mtu: told(route.mtu),
        advmss: told(route.advmss),
        priority: told(route.priority),
        table: route.table,
        scope: route.scope,
    }
}

fn told(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

fn families(result: &AddResult, version: Version) -> Box<RawValue> {
    raw(&Families {
        version,
        ip4: family(result, true),
        ip6: family(result, false),
        dns: &result.dns,
    })
}

fn family(result: &AddResult, v4: bool) -> Option<Family> {
    let first = result
        .ips
        .iter()
        .find(|ip| ip.address.addr().is_ipv4() == v4)?;
    let routes = result
        .routes
        .iter()
        .filter(|route| route.dst.addr().is_ipv4() == v4);
    let bare = |route: &Route| self::route(&Route::new(route.dst, route.gw));
    Some(Family {
        ip: first.address,
        gateway: first.gateway,
        routes: routes.map(bare).collect(),
    })
}
