//! The node as this plugin needs it: what is observed and what is done, one method per kernel operation.
//!
//! The one seam of the crate. [`kernel::Kernel`] is the real node. Tests use a node that behaves like a driver and a
//! kernel with namespaces, since VFs exist only where there is such a NIC.

pub mod kernel;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Result;
use host::mac::MacAddress;
use host::netlink::address::{Dad, NewAddress};
use host::netlink::link::{Link, LinkChange};
use host::netlink::route::Route;
use host::netlink::vf::{Pf, VfAttribute, VfState};
use host::netns::Identity;
use host::pci::PciAddress;
use ipnet::IpNet;

/// The network namespace that an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The namespace of this process, where PFs are.
    Host,
    /// A pod's namespace, by the path it was opened by. A path stands for the namespace that was there when it was
    /// first used, even if the path leads elsewhere later.
    Pod(&'a Path),
}

/// What sysfs tells about the PCI function that is to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no such PCI function.
    Nothing,
    /// The function exists and is no VF, or its PF is not visible.
    NoVf,
    /// The PF shows no interface here, so the VF cannot be configured.
    NoPfInterface {
        /// The PF.
        pf: PciAddress,
    },
    /// The PF does not list the VF (it is being removed).
    NotListed {
        /// The PF.
        pf: PciAddress,
    },
    /// A VF of a PF.
    Vf(Function),
}

/// A VF and the way to control it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The PF, found by PCI address each time, because its name may change.
    pub pf: Pf,
    /// Index of the VF on the PF.
    pub index: u32,
    /// Driver that the VF is bound to.
    pub driver: Option<String>,
    /// Driver of the PF, for messages.
    pub pf_driver: Option<String>,
    /// The PF's embedded switch forwards by representors.
    pub switchdev: bool,
}

/// A network sysctl and the value it is to have.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// One element per component, because interface names may contain dots.
    pub key: &'a [&'a str],
    /// The value.
    pub value: &'a str,
    /// Not written if it has its value already, because writing restarts something.
    pub restarts: bool,
}

/// Observation and change of the node. Indexes of links hold only in the place where they were read.
pub trait Node {
    /// Identity of this boot.
    fn boot_id(&mut self) -> Result<String>;

    /// What sysfs tells about a function.
    fn function(&mut self, vf: PciAddress) -> Result<Found>;

    /// Every VF of this node, whatever its state.
    fn all_vfs(&mut self) -> Result<Vec<PciAddress>>;

    /// Resets a PCI function by itself, which the kernel does for no driver of user space but VFIO's.
    fn reset_function(&mut self, vf: PciAddress) -> Result<()>;

    /// Attributes of all VFs as the PF's driver tells them; those that it tells nothing about are missing.
    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>>;

    /// Attributes of a VF as the PF's driver tells them; `None` if it tells nothing about this VF.
    fn attributes(&mut self, pf: &Pf, index: u32) -> Result<Option<VfState>> {
        let vfs = self.vfs(pf)?;
        Ok(vfs.into_iter().find(|vf| vf.id == index))
    }

    /// Deletes a software link.
    fn delete_link(&mut self, place: Place<'_>, index: u32) -> Result<()>;

    /// Sets attributes in one message, in their order; the first refusal stops.
    fn set_attributes(&mut self, pf: &Pf, index: u32, attributes: &[VfAttribute]) -> Result<()>;

    /// Opens a namespace and tells who it is; `None` if the path leads to no namespace (any more).
    fn namespace(&mut self, path: &Path) -> Result<Option<Identity>>;

    /// Paths of the namespaces that have names on this node.
    fn namespaces(&mut self) -> Result<Vec<PathBuf>>;

    /// The interface of a VF in a namespace.
    fn netdev(&mut self, place: Place<'_>, vf: PciAddress) -> Result<Option<Link>>;

    /// Index of the VF's interface in a namespace, if that is where [`Node::netdev`] saw it last, so that it need not be
    /// asked for before each of several changes.
    fn last_index(&self, _place: Place<'_>, _vf: PciAddress) -> Option<u32> {
        None
    }

    /// Waits until the VF has an interface on the host, at most `within`.
    fn await_netdev(&mut self, vf: PciAddress, within: Duration) -> Result<Option<Link>>;

    /// The link that has this name or alternative name.
    fn link_by_name(&mut self, place: Place<'_>, name: &str) -> Result<Option<Link>>;

    /// Changes a link in one message. `change.netns` is not used.
    fn change(&mut self, place: Place<'_>, index: u32, change: &LinkChange<'_>) -> Result<()>;

    /// Moves a link of the host into a pod and changes it, in one message.
    fn to_pod(&mut self, index: u32, pod: &Path, change: &LinkChange<'_>) -> Result<()>;

    /// Moves a link of a pod to the host and changes it, in one message.
    fn to_host(&mut self, pod: &Path, index: u32, change: &LinkChange<'_>) -> Result<()>;

    /// Adds alternative names.
    fn add_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()>;

    /// Removes alternative names.
    fn delete_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()>;

    /// Makes network sysctls of a namespace have these values, in their order. One outcome per setting.
    fn set_sysctls(
        &mut self,
        place: Place<'_>,
        settings: &[Setting<'_>],
    ) -> Result<Vec<Result<()>>>;

    /// Addresses of a link.
    fn addresses(
        &mut self,
        place: Place<'_>,
        index: u32,
    ) -> Result<Vec<host::netlink::address::Address>>;

    /// Adds an address.
    fn add_address(&mut self, place: Place<'_>, index: u32, address: NewAddress) -> Result<()>;

    /// Removes an address.
    fn delete_address(&mut self, place: Place<'_>, index: u32, net: IpNet) -> Result<()>;

    /// Waits until no address of the link is tentative, at most `within`.
    fn await_addresses(&mut self, place: Place<'_>, index: u32, within: Duration) -> Result<Dad>;

    /// Routes that use a link.
    fn routes(&mut self, place: Place<'_>, index: u32) -> Result<Vec<Route>>;

    /// Adds a route.
    fn add_route(&mut self, place: Place<'_>, route: &Route) -> Result<()>;

    /// Waits until the link can send, at most `within`.
    fn await_carrier(&mut self, place: Place<'_>, index: u32, within: Duration) -> Result<bool>;

    /// Announces addresses to the neighbours; returns what could not be sent.
    fn announce(
        &mut self,
        pod: &Path,
        index: u32,
        mac: MacAddress,
        addresses: &[IpAddr],
    ) -> Vec<crate::announce::Error>;

    /// Waits before something is tried again.
    fn pause(&mut self, time: Duration);
}
