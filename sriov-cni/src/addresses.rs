//! Addresses and routes of the IPAM plugin: into the result, and into the pod (spec/sriov-cni.md §6.2).

use std::net::IpAddr;
use std::time::Duration;

use cni::result::{AddResult, Route as Wanted};
use host::error::{Error as NodeError, Kind};
use host::netlink::address::{Dad, Detection, NewAddress};
use host::netlink::route::Route;
use ipnet::IpNet;

use crate::apply::{self, Subject};
use crate::crash::{self, Point};
use crate::error::{Error, Result};
use crate::log::Log;
use crate::node::{Node, Place, Setting};
use crate::step::Step;

/// How long duplicate address detection may take where a gateway needs the address at once.
const DETECTION: Duration = Duration::from_secs(5);

/// How long to wait for a carrier before detection is waited for; without carrier it cannot end.
const CARRIER: Duration = Duration::from_millis(200);

/// Adds what the IPAM plugin returned; all its addresses become those of interface `ours`.
pub fn merge(result: &mut AddResult, ipam: AddResult, ours: usize) {
    result.ips.extend(ipam.ips.into_iter().map(|mut ip| {
        ip.interface = Some(ours);
        ip
    }));
    result.routes.extend(ipam.routes);
    if ipam.dns != cni::result::Dns::default() {
        result.dns = ipam.dns;
    }
}

/// Applies the addresses of interface `ours` and the routes.
pub fn apply(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    result: &AddResult,
    ours: usize,
    detection: Detection,
    log: &Log,
) -> Result<()> {
    let Some(pod) = subject.pod.map(Place::Pod) else {
        return Ok(());
    };
    let link = apply::present(node, subject, pod, &Step::Addresses)?;
    let failed = |step: String| {
        let ifname = link.name.clone();
        move |source: NodeError| Error::Address {
            step,
            ifname,
            source,
        }
    };
    let own: Vec<_> = result
        .ips
        .iter()
        .filter(|ip| ip.interface == Some(ours))
        .collect();
    if own.iter().any(|ip| ip.address.addr().is_ipv6()) {
        crash::around(Point::EnableIpv6, || enable_ipv6(node, pod, &link.name))
            .map_err(failed("enable IPv6".to_owned()))?;
    }
    let new = |net| NewAddress { net, detection };
    for ip in &own {
        let added = crash::around(Point::AddAddress, || {
            node.add_address(pod, link.index, new(ip.address))
        });
        added.map_err(failed(format!("add address {}", ip.address)))?;
    }
    let there = node
        .addresses(pod, link.index)
        .map_err(failed("read addresses".to_owned()))?;
    // Who asks for ordinary detection wants to know; otherwise only a gateway needs the address at once, on a kernel
    // without optimistic addresses.
    let is_awaited = detection == Detection::Normal;
    let has_gateway = own
        .iter()
        .any(|ip| ip.gateway.is_some_and(|gateway| gateway.is_ipv6()));
    let mut is_tentative = false;
    for ip in &own {
        let step = || failed(format!("add address {}", ip.address));
        match there.iter().find(|address| address.net == ip.address) {
            None => return Err(step()(absent(&ip.address))),
            // Nobody can have answered yet: it was our own advertisement, given back late by the NIC. Detection starts
            // anew, and finds a real duplicate again.
            Some(address) if address.duplicate => {
                node.delete_address(pod, link.index, ip.address)
                    .map_err(step())?;
                node.add_address(pod, link.index, new(ip.address))
                    .map_err(step())?;
                is_tentative |= is_awaited;
            }
            // Optimistic addresses are usable while detection goes on: the pod does not start a second or two later
            // (plugins#680).
            Some(address) => is_tentative |= address.tentative && !address.optimistic,
        }
    }
    if is_tentative && (is_awaited || has_gateway) {
        await_detection(node, pod, link.index, log)
            .map_err(failed("detect duplicates of addresses".to_owned()))?;
    }
    for wanted in &result.routes {
        let gateway = wanted.gw.or_else(|| gateway(result, ours, &wanted.dst));
        let route = route(wanted, link.index, gateway);
        match crash::around(Point::AddRoute, || node.add_route(pod, &route)) {
            // Two IPAM ranges may ask for the same route.
            Err(error) if error.kind() == Kind::Exists => {}
            other => other.map_err(failed(format!("add route to {}", wanted.dst)))?,
        }
    }
    Ok(())
}

/// The route as the kernel gets it; destinations with host bits are masked, as Go's parser does.
fn route(wanted: &Wanted, index: u32, gateway: Option<IpAddr>) -> Route {
    let route = Route::new(wanted.dst.trunc(), index, gateway);
    Route {
        metric: (wanted.priority != 0).then_some(wanted.priority),
        table: wanted.table.unwrap_or(Route::MAIN),
        scope: wanted
            .scope
            .and_then(|scope| u8::try_from(scope).ok())
            .unwrap_or(route.scope),
        mtu: (wanted.mtu != 0).then_some(wanted.mtu),
        advmss: (wanted.advmss != 0).then_some(wanted.advmss),
        ..route
    }
}

/// A route of a result leaves through interface `ours`: its gateway, or that of an own address, is reached there.
pub fn is_through(result: &AddResult, ours: usize, wanted: &Wanted) -> bool {
    match wanted.gw {
        None => true,
        Some(via) => result
            .ips
            .iter()
            .any(|ip| ip.interface == Some(ours) && ip.address.contains(&via)),
    }
}

/// The gateway of the first address of the destination's family.
fn gateway(result: &AddResult, ours: usize, destination: &IpNet) -> Option<IpAddr> {
    let own = result.ips.iter().filter(|ip| ip.interface == Some(ours));
    own.filter_map(|ip| ip.gateway)
        .find(|gateway| gateway.is_ipv4() == destination.addr().is_ipv4())
}

fn enable_ipv6(node: &mut dyn Node, pod: Place<'_>, name: &str) -> host::error::Result<()> {
    let key = |interface, key| ["net", "ipv6", "conf", interface, key];
    let settings = [
        (key("lo", "disable_ipv6"), "0", true),
        (key(name, "disable_ipv6"), "0", true),
        (key(name, "keep_addr_on_down"), "1", false),
    ];
    let settings = settings.each_ref().map(|(key, value, restarts)| Setting {
        key,
        value,
        restarts: *restarts,
    });
    node.set_sysctls(pod, &settings)?.into_iter().collect()
}

fn absent(net: &IpNet) -> NodeError {
    NodeError::State {
        object: net.to_string(),
        problem: "accepted, but it is not there".to_owned(),
        kind: Kind::Other,
    }
}

/// A duplicate is an error; no carrier, or a kernel that takes longer, is not.
fn await_detection(
    node: &mut dyn Node,
    pod: Place<'_>,
    index: u32,
    log: &Log,
) -> host::error::Result<()> {
    if !node.await_carrier(pod, index, CARRIER)? {
        log.warning("no carrier: duplicate address detection is not waited for");
        return Ok(());
    }
    match node.await_addresses(pod, index, DETECTION)? {
        Dad::Done => Ok(()),
        Dad::Tentative(addresses) => {
            log.warning(&format!(
                "duplicate address detection goes on for {addresses:?}"
            ));
            Ok(())
        }
        Dad::Duplicate(addresses) => Err(NodeError::State {
            object: format!("{addresses:?}"),
            problem: "another node of the network has this address".to_owned(),
            kind: Kind::Exists,
        }),
    }
}
