//! What netlink adds to sysfs: link types, alternative names, and which interfaces are the node's own.

use std::collections::BTreeMap;

use host::{
    default_route,
    error::Result,
    netlink::{Netlink, link::Link, route::Route},
};

/// The host's links and routes, as far as they matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    links: BTreeMap<String, Known>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    link_type: u16,
    alt_names: Vec<String>,
    host_nic: bool,
    running: bool,
}

impl Network {
    /// Asks the kernel, in the calling thread's namespace.
    pub fn observe() -> Result<Self> {
        let mut netlink = Netlink::open()?;
        Ok(Self::new(&netlink.links()?, &netlink.routes(None)?))
    }

    /// From dumps of all links and routes.
    pub fn new(links: &[Link], routes: &[Route]) -> Self {
        let carriers = default_route::carriers(links, routes);
        let known = links.iter().map(|link| {
            let known = Known {
                link_type: link.link_type,
                alt_names: link.alt_names.clone(),
                host_nic: carriers.contains(&link.index),
                running: link.running,
            };
            (link.name.clone(), known)
        });
        Self {
            links: known.collect(),
        }
    }

    /// Whether the interface can send, which includes the carrier; `None` if there is no such interface here.
    pub(crate) fn carrier(&self, interface: &str) -> Option<bool> {
        self.links.get(interface).map(|link| link.running)
    }

    /// Whether all of these interfaces are the same in both. Pods come and go with interfaces of their own,
    /// which do not matter.
    pub(crate) fn agrees<'a>(
        &self,
        other: &Self,
        mut interfaces: impl Iterator<Item = &'a str>,
    ) -> bool {
        interfaces.all(|name| self.links.get(name) == other.links.get(name))
    }

    /// Whether a default route goes through the interface.
    pub(super) fn is_host_nic(&self, interface: &str) -> bool {
        self.links.get(interface).is_some_and(|link| link.host_nic)
    }

    pub(crate) fn alt_names(&self, interface: &str) -> &[String] {
        self.links
            .get(interface)
            .map_or(&[], |link| &link.alt_names)
    }

    /// Name of the interface's ARPHRD type, as `ip link` prints it.
    pub(super) fn link_type(&self, interface: &str) -> Option<String> {
        let name = match self.links.get(interface)?.link_type {
            1 => "ether",
            32 => "infiniband",
            772 => "loopback",
            0xfffe => "none",
            other => return Some(other.to_string()),
        };
        Some(name.to_owned())
    }
}
