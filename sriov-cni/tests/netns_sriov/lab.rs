//! A node whose kernel is real and whose NIC is not: one end of a veth pair is the VF's interface, a fake PF has its
//! attributes. The veth end is told by its alias, which survives moves, where a VF is told by its PCI device.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Result;
use host::mac::MacAddress;
use host::netlink::Netlink;
use host::netlink::address::{Address, Dad, NewAddress};
use host::netlink::create::NewLink;
use host::netlink::link::{Link, LinkChange};
use host::netlink::route::Route;
use host::netlink::vf::{Pf, VfAttribute, VfControl, VfState};
use host::netns::{Identity, NetNs};
use host::pci::PciAddress;
use host::testing::driver::FakeDriver;
use host::testing::netns::own_netlink;
use host::testing::pf::FakePf;
use host::testing::sysfs::FakeSysfs;
use sriov::node::kernel::Kernel;
use sriov::node::{Found, Node, Place, Setting};

pub(crate) const VF: &str = "0000:3b:02.1";
const ALIAS: &str = "the VF";

/// The node.
pub(crate) struct Lab {
    _sysfs: FakeSysfs,
    kernel: Kernel,
    pub(crate) pf: FakePf,
    /// The test's namespace, which plays the host's.
    pub(crate) host: Netlink,
}

impl Lab {
    /// A PF `pf0` and a VF `vf0`, whose other end is `wire`.
    pub(crate) fn new() -> Self {
        let mut host = own_netlink();
        host.create_link("pf0", NewLink::Veth { peer: "pf0-wire" })
            .unwrap();
        host.create_link("vf0", NewLink::Veth { peer: "wire" })
            .unwrap();
        let wire = host.link_by_name("wire").unwrap().unwrap().index;
        host.change_link(
            wire,
            &LinkChange {
                up: Some(true),
                ..LinkChange::default()
            },
        )
        .unwrap();
        let vf = host.link_by_name("vf0").unwrap().unwrap().index;
        host.change_link(
            vf,
            &LinkChange {
                alias: Some(ALIAS),
                ..LinkChange::default()
            },
        )
        .unwrap();
        let sysfs = FakeSysfs::parse(
            "pci 0000:3b:00.0{8086:10c9, 0200, drv=igb, net=[pf0], vfs=7/2, virtfn 0..1=0000:3b:02.0}
             pci 0000:3b:02.0{8086:10ca, 0200, drv=vfio-pci, pf=0000:3b:00.0}
             pci 0000:3b:02.1{8086:10ca, 0200, drv=igbvf, net=[vf0], pf=0000:3b:00.0}",
        );
        let pf = Pf {
            index: host.link_by_name("pf0").unwrap().unwrap().index,
            name: "pf0".to_owned(),
            address: "0000:3b:00.0".parse().unwrap(),
        };
        Self {
            kernel: Kernel::new(sysfs.sysfs(), "/proc", "/run/netns").unwrap(),
            pf: FakePf::new(pf, FakeDriver::full(), 2),
            _sysfs: sysfs,
            host,
        }
    }

    pub(crate) fn vf(&mut self) -> Option<Link> {
        marked(&self.host.links().unwrap())
    }
}

fn marked(links: &[Link]) -> Option<Link> {
    links
        .iter()
        .find(|link| link.alias.as_deref() == Some(ALIAS))
        .cloned()
}

/// The VF's interface in a pod, seen by a socket of its own.
pub(crate) fn vf_in(pod: &NetNs) -> Option<Link> {
    marked(&pod.netlink().unwrap().links().unwrap())
}

impl Node for &mut Lab {
    fn netdev(&mut self, place: Place<'_>, _vf: PciAddress) -> Result<Option<Link>> {
        match place {
            Place::Host => Ok(self.vf()),
            Place::Pod(path) => Ok(vf_in(&NetNs::open(path)?)),
        }
    }

    fn await_netdev(&mut self, _vf: PciAddress, _within: Duration) -> Result<Option<Link>> {
        Ok(self.vf())
    }

    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>> {
        self.pf.vfs(pf)
    }

    fn reset_function(&mut self, _vf: PciAddress) -> Result<()> {
        Ok(())
    }

    fn set_attributes(&mut self, pf: &Pf, index: u32, attributes: &[VfAttribute]) -> Result<()> {
        self.pf.set_vf(pf, index, attributes)
    }

    // Everything else is the real thing.

    fn boot_id(&mut self) -> Result<String> {
        self.kernel.boot_id()
    }

    fn function(&mut self, vf: PciAddress) -> Result<Found> {
        self.kernel.function(vf)
    }

    fn namespace(&mut self, path: &Path) -> Result<Option<Identity>> {
        self.kernel.namespace(path)
    }

    fn all_vfs(&mut self) -> Result<Vec<PciAddress>> {
        self.kernel.all_vfs()
    }

    fn namespaces(&mut self) -> Result<Vec<PathBuf>> {
        self.kernel.namespaces()
    }

    fn link_by_name(&mut self, place: Place<'_>, name: &str) -> Result<Option<Link>> {
        self.kernel.link_by_name(place, name)
    }

    fn delete_link(&mut self, place: Place<'_>, index: u32) -> Result<()> {
        self.kernel.delete_link(place, index)
    }

    fn change(&mut self, place: Place<'_>, index: u32, change: &LinkChange<'_>) -> Result<()> {
        self.kernel.change(place, index, change)
    }

    fn to_pod(&mut self, index: u32, pod: &Path, change: &LinkChange<'_>) -> Result<()> {
        self.kernel.to_pod(index, pod, change)
    }

    fn to_host(&mut self, pod: &Path, index: u32, change: &LinkChange<'_>) -> Result<()> {
        self.kernel.to_host(pod, index, change)
    }

    fn add_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()> {
        self.kernel.add_alt_names(place, index, names)
    }

    fn delete_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()> {
        self.kernel.delete_alt_names(place, index, names)
    }

    fn set_sysctls(
        &mut self,
        place: Place<'_>,
        settings: &[Setting<'_>],
    ) -> Result<Vec<Result<()>>> {
        self.kernel.set_sysctls(place, settings)
    }

    fn addresses(&mut self, place: Place<'_>, index: u32) -> Result<Vec<Address>> {
        self.kernel.addresses(place, index)
    }

    fn add_address(&mut self, place: Place<'_>, index: u32, address: NewAddress) -> Result<()> {
        self.kernel.add_address(place, index, address)
    }

    fn delete_address(&mut self, place: Place<'_>, index: u32, net: ipnet::IpNet) -> Result<()> {
        self.kernel.delete_address(place, index, net)
    }

    fn await_addresses(&mut self, place: Place<'_>, index: u32, within: Duration) -> Result<Dad> {
        self.kernel.await_addresses(place, index, within)
    }

    fn routes(&mut self, place: Place<'_>, index: u32) -> Result<Vec<Route>> {
        self.kernel.routes(place, index)
    }

    fn add_route(&mut self, place: Place<'_>, route: &Route) -> Result<()> {
        self.kernel.add_route(place, route)
    }

    fn await_carrier(&mut self, place: Place<'_>, index: u32, within: Duration) -> Result<bool> {
        self.kernel.await_carrier(place, index, within)
    }

    fn announce(
        &mut self,
        pod: &Path,
        index: u32,
        mac: MacAddress,
        addresses: &[IpAddr],
    ) -> Vec<sriov::announce::Error> {
        self.kernel.announce(pod, index, mac, addresses)
    }

    fn pause(&mut self, time: Duration) {
        self.kernel.pause(time);
    }
}
