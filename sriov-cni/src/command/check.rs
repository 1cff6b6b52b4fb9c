//! CHECK: the attachment is what `prevResult` and the configuration say (spec/sriov-cni.md §3.4).
//!
//! Address and MTU are compared with `prevResult` and not with the record, because plugins later in the chain may have
//! changed them (spec §5.5).

use std::path::Path;

use cni::error::code;
use cni::ipam::Ipam;
use cni::plugin::Invocation;
use cni::result::{AddResult, Interface};
use host::netlink::link::Link;
use host::netlink::vf::VfAttribute;
use host::pci::PciAddress;

use super::{Context, Known};
use crate::config::{self, Config, RawConfig};
use crate::error::{Error, Result};
use crate::node::{Node, Place};
use crate::observe;
use crate::site::Site;
use crate::{plan, undo};

/// Compares; the first difference is the error.
pub fn check(site: &Site, node: &mut dyn Node, call: &Invocation) -> Result<()> {
    let raw = RawConfig::read(&call.config)?;
    let previous = call.prev_result()?.ok_or_else(|| {
        cni::Error::new(
            code::INVALID_CONFIG,
            "CHECK needs prevResult in the configuration",
        )
    })?;
    let mut context = Context::new(site, node, call, &raw.network)?;
    // The ledger decides, not the configuration: that may have changed.
    if let Some(Known::Slot(record)) = context.known(&context.attachment())? {
        own_interface(call, &previous)?;
        return context.check_slot(&record, &previous);
    }
    if let Some((slot, _)) = config::slot(&raw)? {
        return Err(differs(
            format!("owner of {slot}"),
            "nobody".to_owned(),
            "this container".to_owned(),
        ));
    }
    let config = Config::new(raw, &call.args()?)?;
    let (ours, interface) = own_interface(call, &previous)?;
    context.check_owner(config.vf)?;
    let function = observe::function(context.node, config.vf)?;
    if let Some(state) = context.node.attributes(&function.pf, function.index)? {
        for attribute in plan::asked(&config, &state) {
            // Chained plugins may have changed the VF's address since; its interface is compared below.
            if !matches!(attribute, VfAttribute::Mac(_)) && attribute.holds(&state) == Some(false) {
                let told = undo::original(&attribute, &state, &state);
                return Err(differs(
                    format!("vf {} of {}", function.index, function.pf),
                    told.map_or_else(String::new, |told| told.to_string()),
                    attribute.to_string(),
                ));
            }
        }
    }
    let is_userspace = function
        .driver
        .as_deref()
        .is_some_and(plan::is_userspace_driver);
    if !is_userspace {
        context.check_interface(&config, &previous, ours, interface)?;
    }
    match Ipam::of(call, Some(site.ipam))? {
        None => Ok(()),
        Some(ipam) => ipam.check().map_err(|failure| Error::Ipam {
            plugin: ipam.plugin_type().to_owned(),
            failure,
        }),
    }
}

impl Context<'_> {
    /// The ledger gives the VF to this attachment, or knows nothing of it (the Go plugin made it).
    fn check_owner(&self, vf: PciAddress) -> Result<()> {
        match self.ledger.holder(vf).map_err(Error::State)? {
            Some(holder) if holder != self.attachment() => Err(differs(
                format!("owner of VF {vf}"),
                crate::error::holder(&holder),
                "this container".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    fn check_interface(
        &mut self,
        config: &Config,
        previous: &AddResult,
        ours: usize,
        interface: &Interface,
    ) -> Result<()> {
        let (call, vf) = (self.call, config.vf);
        let pod = Place::Pod(Path::new(&call.netns));
        let Some(link) = self.node.netdev(pod, vf)? else {
            return Err(differs(
                format!("interface of VF {vf}"),
                "absent".to_owned(),
                format!("in {}", call.netns),
            ));
        };
        compare(&link, interface)?;
        compare_asked(&link, &config.interface)?;
        let addresses = self.node.addresses(pod, link.index)?;
        for ip in previous.ips.iter().filter(|ip| ip.interface == Some(ours)) {
            if !addresses.iter().any(|address| address.net == ip.address) {
                return Err(differs(
                    format!("address {} of {}", ip.address, link.name),
                    "absent".to_owned(),
                    "there".to_owned(),
                ));
            }
        }
        let routes = self.node.routes(pod, link.index)?;
        for wanted in &previous.routes {
            let through_us = crate::addresses::is_through(previous, ours, wanted);
            // A default route is matched by its destination: another plugin may have replaced the gateway.
            if through_us
                && !routes
                    .iter()
                    .any(|route| route.destination == wanted.dst.trunc())
            {
                return Err(differs(
                    format!("route to {}", wanted.dst),
                    "absent".to_owned(),
                    format!("through {}", link.name),
                ));
            }
        }
        Ok(())
    }
}

fn own_interface<'a>(call: &Invocation, previous: &'a AddResult) -> Result<(usize, &'a Interface)> {
    let mut interfaces = previous.interfaces.iter().enumerate();
    interfaces
        .find(|(_, interface)| interface.name == call.ifname && interface.sandbox == call.netns)
        .ok_or_else(|| {
            differs(
                "prevResult".to_owned(),
                "without it".to_owned(),
                format!("with interface {} in {}", call.ifname, call.netns),
            )
        })
}

fn compare(link: &Link, interface: &Interface) -> Result<()> {
    let what = |property: &str| format!("{property} of {}", interface.name);
    if link.name != interface.name {
        return Err(differs(
            what("name"),
            link.name.clone(),
            interface.name.clone(),
        ));
    }
    let address = link
        .address
        .map_or_else(String::new, |address| address.to_string());
    if !interface.mac.is_empty() && !interface.mac.eq_ignore_ascii_case(&address) {
        return Err(differs(what("address"), address, interface.mac.clone()));
    }
    if interface.mtu != 0 && interface.mtu != link.mtu {
        return Err(differs(
            what("mtu"),
            link.mtu.to_string(),
            interface.mtu.to_string(),
        ));
    }
    if !link.up {
        return Err(differs(what("state"), "down".to_owned(), "up".to_owned()));
    }
    Ok(())
}

/// What no result tells; the configuration does.
fn compare_asked(link: &Link, asked: &config::Interface) -> Result<()> {
    let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
    let rows = [
        (
            "promisc",
            on_off(link.promiscuous),
            asked.promisc.map(on_off),
        ),
        (
            "allmulti",
            on_off(link.all_multicast),
            asked.allmulti.map(on_off),
        ),
        (
            "txQLen",
            link.tx_queue_len.to_string(),
            asked.tx_queue_len.map(|length| length.to_string()),
        ),
    ];
    for (what, found, asked) in rows {
        if let Some(expected) = asked.filter(|asked| *asked != found) {
            return Err(differs(format!("{what} of {}", link.name), found, expected));
        }
    }
    Ok(())
}

fn differs(object: String, found: String, expected: String) -> Error {
    Error::Differs {
        object,
        found,
        expected,
    }
}
