//! The real node: sysfs, one netlink socket per namespace, threads inside a namespace for sysctls and packets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::{Kind, Result};
use host::mac::MacAddress;
use host::netlink::Netlink;
use host::netlink::address::{Address, Dad, NewAddress};
use host::netlink::link::{Link, LinkChange};
use host::netlink::route::Route;
use host::netlink::vf::{Pf, VfAttribute, VfControl, VfState};
use host::netlink::watch::{Group, Watch};
use host::netns::{Identity, NetNs};
use host::pci::PciAddress;
use host::sysfs::Sysfs;
use ipnet::IpNet;

use host::{boot, driver, file, netdev, sriov, sysctl};

use super::{Found, Function, Node, Place, Setting};

/// The kernel of this node.
#[derive(Debug)]
pub struct Kernel {
    sysfs: Sysfs,
    proc: PathBuf,
    namespaces: PathBuf,
    host: Netlink,
    pods: BTreeMap<PathBuf, Pod>,
    /// Where an interface was seen last, so that it is asked for and not searched: VF, pod if not on the host, index.
    seen: Option<(PciAddress, Option<PathBuf>, u32)>,
}

#[derive(Debug)]
struct Pod {
    namespace: NetNs,
    netlink: Netlink,
    identity: Identity,
}

impl Kernel {
    /// `sysfs` is where sysfs is mounted in the host's namespace, `proc` where procfs is, `namespaces` where namespaces
    /// are mounted by name.
    pub fn new(
        sysfs: Sysfs,
        proc: impl Into<PathBuf>,
        namespaces: impl Into<PathBuf>,
    ) -> Result<Self> {
        Ok(Self {
            sysfs,
            proc: proc.into(),
            namespaces: namespaces.into(),
            host: Netlink::open()?,
            pods: BTreeMap::new(),
            seen: None,
        })
    }

    fn pod(&mut self, path: &Path) -> Result<&mut Pod> {
        if !self.pods.contains_key(path) {
            let namespace = NetNs::open(path)?;
            let (netlink, identity) = namespace.netlink_and_identity()?;
            let pod = Pod {
                namespace,
                netlink,
                identity,
            };
            self.pods.insert(path.to_path_buf(), pod);
        }
        #[expect(clippy::expect_used, reason = "inserted above")]
        Ok(self.pods.get_mut(path).expect("the pod was opened"))
    }

    fn search(&mut self, place: Place<'_>, vf: PciAddress) -> Result<Option<Link>> {
        if place == Place::Host {
            // One question instead of a list of all links, of which a node with many pods has hundreds.
            let names = netdev::names(&self.sysfs, vf)?;
            let told = names
                .first()
                .map_or(Ok(None), |name| self.host.link_by_name(name))?;
            if let Some(link) = told.filter(|link| is_of(link, vf)) {
                return Ok(Some(link));
            }
        }
        // Sysfs may be another namespace's, an interface may be renamed meanwhile, an old kernel tells no parent.
        self.netlink(place)?.link_by_parent(vf)
    }

    fn netlink(&mut self, place: Place<'_>) -> Result<&mut Netlink> {
        match place {
            Place::Host => Ok(&mut self.host),
            Place::Pod(path) => Ok(&mut self.pod(path)?.netlink),
        }
    }

    fn watch(&mut self, place: Place<'_>, group: Group) -> Result<Watch> {
        match place {
            Place::Host => Watch::open(&[group]),
            Place::Pod(path) => self.pod(path)?.namespace.watch(&[group]),
        }
    }
}

fn is_of(link: &Link, vf: PciAddress) -> bool {
    link.parent_device
        .as_ref()
        .is_some_and(|parent| *parent == vf.to_string())
}

fn ensure(proc: &Path, setting: &Setting<'_>) -> Result<()> {
    if setting.restarts && sysctl::read(proc, setting.key)? == setting.value {
        return Ok(());
    }
    sysctl::write(proc, setting.key, setting.value)
}

impl Node for Kernel {
    fn boot_id(&mut self) -> Result<String> {
        boot::boot_id(&self.proc)
    }

    fn function(&mut self, vf: PciAddress) -> Result<Found> {
        let Some(pf) = sriov::pf_of(&self.sysfs, vf)? else {
            return Ok(if self.sysfs.function(vf).exists() {
                Found::NoVf
            } else {
                Found::Nothing
            });
        };
        let (uplink, switchdev) = netdev::uplink_and_mode(&self.sysfs, pf)?;
        let Some(name) = uplink else {
            return Ok(Found::NoPfInterface { pf });
        };
        let Some(link) = self.host.link_by_name(&name)? else {
            return Ok(Found::NoPfInterface { pf });
        };
        let Some(index) = sriov::vf_index_on(&self.sysfs, pf, vf)? else {
            return Ok(Found::NotListed { pf });
        };
        Ok(Found::Vf(Function {
            switchdev,
            driver: driver::current(&self.sysfs, vf)?,
            pf_driver: driver::current(&self.sysfs, pf)?,
            pf: Pf {
                index: link.index,
                name,
                address: pf,
            },
            index,
        }))
    }

    fn all_vfs(&mut self) -> Result<Vec<PciAddress>> {
        let functions = self.sysfs.entry("bus/pci/devices").list()?;
        let mut vfs = Vec::new();
        for pf in functions
            .iter()
            .flatten()
            .filter_map(|name| name.parse().ok())
        {
            if sriov::is_pf(&self.sysfs, pf) {
                vfs.extend(sriov::vfs(&self.sysfs, pf)?.iter().map(|vf| vf.address));
            }
        }
        Ok(vfs)
    }

    fn reset_function(&mut self, vf: PciAddress) -> Result<()> {
        driver::reset(&self.sysfs, vf)
    }

    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>> {
        self.host.vfs(pf)
    }

    fn set_attributes(&mut self, pf: &Pf, index: u32, attributes: &[VfAttribute]) -> Result<()> {
        self.host.set_vf(pf, index, attributes)
    }

    fn namespace(&mut self, path: &Path) -> Result<Option<Identity>> {
        match self.pod(path) {
            Ok(pod) => Ok(Some(pod.identity)),
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Invalid) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn namespaces(&mut self) -> Result<Vec<PathBuf>> {
        let names = file::list(&self.namespaces)?;
        Ok(names
            .iter()
            .map(|name| self.namespaces.join(name))
            .collect())
    }

    fn netdev(&mut self, place: Place<'_>, vf: PciAddress) -> Result<Option<Link>> {
        let pod = match place {
            Place::Host => None,
            Place::Pod(path) => Some(path.to_path_buf()),
        };
        if let Some((seen, at, index)) = &self.seen
            && (*seen, at) == (vf, &pod)
        {
            let index = *index;
            // An index says nothing about which device it is, the answer does.
            if let Some(link) = self.netlink(place)?.link(index)?
                && is_of(&link, vf)
            {
                return Ok(Some(link));
            }
        }
        let found = self.search(place, vf)?;
        self.seen = found.as_ref().map(|link| (vf, pod, link.index));
        Ok(found)
    }

    fn last_index(&self, place: Place<'_>, vf: PciAddress) -> Option<u32> {
        let (seen, pod, index) = self.seen.as_ref()?;
        let is_there = match place {
            Place::Host => pod.is_none(),
            Place::Pod(path) => pod.as_deref() == Some(path),
        };
        (is_there && *seen == vf).then_some(*index)
    }

    fn await_netdev(&mut self, vf: PciAddress, within: Duration) -> Result<Option<Link>> {
        let mut watch = self.watch(Place::Host, Group::Links)?;
        self.host.wait_for_parent(&mut watch, vf, within)
    }

    fn link_by_name(&mut self, place: Place<'_>, name: &str) -> Result<Option<Link>> {
        self.netlink(place)?.link_by_name(name)
    }

    fn delete_link(&mut self, place: Place<'_>, index: u32) -> Result<()> {
        self.netlink(place)?.delete_link(index)
    }

    fn change(&mut self, place: Place<'_>, index: u32, change: &LinkChange<'_>) -> Result<()> {
        self.netlink(place)?.change_link(index, change)
    }

    fn to_pod(&mut self, index: u32, pod: &Path, change: &LinkChange<'_>) -> Result<()> {
        self.pod(pod)?;
        let change = LinkChange {
            netns: self.pods.get(pod).map(|pod| &pod.namespace),
            ..*change
        };
        self.host.change_link(index, &change)
    }

    fn to_host(&mut self, pod: &Path, index: u32, change: &LinkChange<'_>) -> Result<()> {
        let own = NetNs::current(&self.proc)?;
        let change = LinkChange {
            netns: Some(&own),
            ..*change
        };
        self.pod(pod)?.netlink.change_link(index, &change)
    }

    fn add_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()> {
        self.netlink(place)?.add_alt_names(index, names)
    }

    fn delete_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()> {
        self.netlink(place)?.delete_alt_names(index, names)
    }

    fn set_sysctls(
        &mut self,
        place: Place<'_>,
        settings: &[Setting<'_>],
    ) -> Result<Vec<Result<()>>> {
        let proc = self.proc.clone();
        let set = || {
            settings
                .iter()
                .map(|setting| ensure(&proc, setting))
                .collect()
        };
        match place {
            Place::Host => Ok(set()),
            // One thread for all of them.
            Place::Pod(path) => self.pod(path)?.namespace.run(set),
        }
    }

    fn addresses(&mut self, place: Place<'_>, index: u32) -> Result<Vec<Address>> {
        self.netlink(place)?.addresses(Some(index))
    }

    fn add_address(&mut self, place: Place<'_>, index: u32, address: NewAddress) -> Result<()> {
        self.netlink(place)?.add_address(index, address)
    }

    fn delete_address(&mut self, place: Place<'_>, index: u32, net: IpNet) -> Result<()> {
        self.netlink(place)?.delete_address(index, net)
    }

    fn await_addresses(&mut self, place: Place<'_>, index: u32, within: Duration) -> Result<Dad> {
        let mut watch = self.watch(place, Group::Addresses)?;
        self.netlink(place)?.wait_for_dad(&mut watch, index, within)
    }

    fn routes(&mut self, place: Place<'_>, index: u32) -> Result<Vec<Route>> {
        self.netlink(place)?.routes_of(index, None)
    }

    fn add_route(&mut self, place: Place<'_>, route: &Route) -> Result<()> {
        self.netlink(place)?.add_route(route)
    }

    fn await_carrier(&mut self, place: Place<'_>, index: u32, within: Duration) -> Result<bool> {
        let mut watch = self.watch(place, Group::Links)?;
        self.netlink(place)?
            .wait_for_carrier(&mut watch, index, within)
    }

    fn announce(
        &mut self,
        pod: &Path,
        index: u32,
        mac: MacAddress,
        addresses: &[IpAddr],
    ) -> Vec<crate::announce::Error> {
        match self.pod(pod) {
            Ok(pod) => crate::announce::send(&pod.namespace, index, mac, addresses),
            Err(error) => vec![error.into()],
        }
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}
