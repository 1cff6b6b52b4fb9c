//! A node for tests: one PF with VFs that behaves like a driver, one VF with an interface, namespaces that live and die,
//! and a crash at any change. No root needed.

mod node;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use host::error::{Error, Result};
use host::mac::MacAddress;
use host::netlink::address::NewAddress;
use host::netlink::link::{Link, LinkChange};
use host::netlink::route::Route;
use host::netlink::vf::{Pf, VfAttribute, VfControl, VfState};
use host::netns::Identity;
use host::testing::driver::FakeDriver;
use host::testing::pf::FakePf;
use nix::errno::Errno;

use crate::node::{Found, Function, Place};

pub(crate) const VF: &str = "0000:3b:02.1";
pub(crate) const PF: &str = "0000:3b:00.0";
pub(crate) const INDEX: u32 = 1;

/// What [`Machine`] unwinds with when it crashes.
pub(crate) struct Crash;

/// The whole node. `Clone` and `PartialEq` of [`Machine::baseline`] make "as it was" a comparison.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) boot: String,
    pub(crate) control: FakePf,
    pub(crate) function: Found,
    /// Indexes of VFs of the same PF on vfio-pci, by address.
    pub(crate) neighbours: BTreeMap<String, u32>,
    /// Where the VF's interface is; `None` while a dying namespace still holds it.
    pub(crate) at: Option<Spot>,
    pub(crate) link: Option<Link>,
    /// Other links of the host.
    pub(crate) host: Vec<Link>,
    pub(crate) pods: BTreeMap<PathBuf, Pod>,
    pub(crate) announced: Vec<(PathBuf, IpAddr)>,
    /// Every change that was attempted.
    pub(crate) changes: Vec<String>,
    /// Number of the change before which the process dies.
    pub(crate) crash_at: Option<usize>,
    /// Errno for the change whose text starts so, once.
    pub(crate) refuse: Option<(String, Errno)>,
    /// How often the end of duplicate address detection was waited for.
    pub(crate) detections_awaited: usize,
    /// The NIC gives back what the VF sends to everyone, and it arrives when the addresses are there.
    pub(crate) reflects: bool,
    /// The next move into a pod fails after the link has moved, as the kernel's do when the new name is refused.
    pub(crate) late_failure: bool,
    /// The interface comes back from a dying namespace when it is waited for.
    pub(crate) comes_back: bool,
    next_index: u32,
}

/// Where an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    Host,
    Pod(Identity),
}

/// A pod's namespace.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) identity: Identity,
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<NewAddress>,
    pub(crate) routes: Vec<Route>,
    pub(crate) sysctls: BTreeMap<String, String>,
}

impl Machine {
    /// A node whose VF is bound to the driver's VF driver and has interface `ens1f0v1`.
    pub(crate) fn new(driver: FakeDriver) -> Self {
        let pf = Pf {
            index: 2,
            name: "ens1f0".to_owned(),
            address: PF.parse().unwrap(),
        };
        let control_name = driver.name;
        let control = FakePf::new(pf.clone(), driver, 3);
        let link = Link {
            index: 7,
            name: "ens1f0v1".to_owned(),
            alt_names: vec!["enp59s0f0v1".to_owned()],
            mtu: 1500,
            tx_queue_len: 1000,
            ..Link::default()
        };
        Self {
            boot: "boot-1".to_owned(),
            control,
            function: Found::Vf(Function {
                pf,
                index: INDEX,
                driver: Some("igbvf".to_owned()),
                pf_driver: Some(control_name.to_owned()),
                switchdev: false,
            }),
            neighbours: BTreeMap::new(),
            at: Some(Spot::Host),
            link: Some(link),
            host: [(2, "ens1f0"), (3, "eth1")]
                .map(|(index, name)| Link {
                    index,
                    name: name.to_owned(),
                    mtu: 9000,
                    ..Link::default()
                })
                .to_vec(),
            pods: BTreeMap::new(),
            announced: Vec::new(),
            changes: Vec::new(),
            crash_at: None,
            refuse: None,
            detections_awaited: 0,
            reflects: false,
            late_failure: false,
            comes_back: true,
            next_index: 40,
        }
    }

    /// The same with the VF bound to vfio-pci, whose reset made the PF forget the VF's own address.
    pub(crate) fn userspace(driver: FakeDriver) -> Self {
        let mut machine = Self::new(driver);
        let pf = machine.pf();
        machine
            .control
            .set_vf(&pf, INDEX, &[VfAttribute::Mac(MacAddress::ZERO)])
            .unwrap();
        machine.bind(Some("vfio-pci"));
        machine.link = None;
        machine.at = None;
        machine
    }

    pub(crate) fn bind(&mut self, driver: Option<&str>) {
        if let Found::Vf(function) = &mut self.function {
            function.driver = driver.map(ToOwned::to_owned);
        }
    }

    /// A new namespace at a path, replacing what was there.
    pub(crate) fn start_pod(&mut self, path: impl AsRef<Path>) -> Identity {
        self.next_index += 1;
        let identity = Identity {
            device: 4,
            inode: 4_026_532_000,
            cookie: Some(u64::from(self.next_index)),
        };
        let pod = Pod {
            identity,
            links: Vec::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
            sysctls: BTreeMap::new(),
        };
        self.pods.insert(path.as_ref().to_path_buf(), pod);
        identity
    }

    /// A namespace dies; the kernel will give the VF's interface back under the name it has.
    pub(crate) fn kill_pod(&mut self, path: impl AsRef<Path>) {
        let pod = self.pods.remove(path.as_ref()).unwrap();
        if self.at == Some(Spot::Pod(pod.identity)) {
            self.at = None;
            let link = self.link.as_mut().unwrap();
            (link.up, link.index) = (false, 7);
        }
    }

    /// The VF as it can be compared: attributes, own address, what the driver would let the VF do, and the interface.
    pub(crate) fn baseline(&mut self) -> (VfState, Option<Link>, Option<Spot>, bool) {
        let pf = self.pf();
        let state = self.control.vf(&pf, INDEX).unwrap().unwrap();
        let link = self.link.clone().map(|link| Link {
            address: Some(self.control.own_mac(INDEX)),
            index: 0,
            ..link
        });
        let probe = MacAddress([2, 9, 9, 9, 9, 9]);
        let may_choose = self.control.clone().set_own_mac(INDEX, probe).is_ok();
        (state, link, self.at.clone(), may_choose)
    }

    pub(crate) fn pf(&self) -> Pf {
        match &self.function {
            Found::Vf(function) => function.pf.clone(),
            other => panic!("the VF is {other:?}"),
        }
    }

    fn changing(&mut self, what: &str) -> Result<()> {
        if self.crash_at == Some(self.changes.len()) {
            // Not a panic for the hook: dying is not told.
            std::panic::resume_unwind(Box::new(Crash));
        }
        let refused = self
            .refuse
            .take_if(|(start, _)| what.starts_with(start.as_str()));
        self.changes.push(what.to_owned());
        match refused {
            Some((_, errno)) => Err(refusal(what, errno)),
            None => Ok(()),
        }
    }

    fn spot(&self, place: Place<'_>) -> Result<Spot> {
        match place {
            Place::Host => Ok(Spot::Host),
            Place::Pod(path) => match self.pods.get(path) {
                Some(pod) => Ok(Spot::Pod(pod.identity)),
                None => Err(refusal(&format!("open {}", path.display()), Errno::ENOENT)),
            },
        }
    }

    /// Fails like the kernel if the index is not the VF's interface in that place.
    fn own_link(&mut self, place: Place<'_>, index: u32) -> Result<&mut Link> {
        let here = self.at == Some(self.spot(place)?);
        match self
            .link
            .as_mut()
            .filter(|link| here && link.index == index)
        {
            Some(link) => Ok(link),
            None => Err(refusal("change link", Errno::ENODEV)),
        }
    }

    fn names_in(&self, spot: &Spot) -> Vec<String> {
        let others: Vec<&Link> = match spot {
            Spot::Host => self.host.iter().collect(),
            Spot::Pod(identity) => self
                .pods
                .values()
                .filter(|pod| pod.identity == *identity)
                .flat_map(|pod| &pod.links)
                .collect(),
        };
        others
            .iter()
            .flat_map(|link| link.alt_names.iter().chain([&link.name]))
            .cloned()
            .collect()
    }

    /// Address first, then the rest, as the kernel does; a refused address leaves the rest undone.
    fn alter(&mut self, change: &LinkChange<'_>) -> Result<()> {
        if let Some(address) = change.address {
            self.control.set_own_mac(INDEX, address)?;
        }
        let taken = self
            .at
            .as_ref()
            .map(|spot| self.names_in(spot))
            .unwrap_or_default();
        let link = self.link.as_mut().unwrap();
        if change.up == Some(true) && !link.up {
            self.control.open(INDEX);
        }
        if let Some(name) = change.name {
            let name = if name == "dev%d" { "dev0" } else { name };
            if taken.iter().any(|other| other == name)
                || link.alt_names.iter().any(|own| own == name)
            {
                return Err(refusal("rename", Errno::EEXIST));
            }
            name.clone_into(&mut link.name);
        }
        link.mtu = change.mtu.unwrap_or(link.mtu);
        link.tx_queue_len = change.tx_queue_len.unwrap_or(link.tx_queue_len);
        link.up = change.up.unwrap_or(link.up);
        link.running = link.up;
        link.promiscuous = change.promiscuous.unwrap_or(link.promiscuous);
        link.all_multicast = change.all_multicast.unwrap_or(link.all_multicast);
        Ok(())
    }

    /// Like the kernel: the new name counts where the old one is taken; after a late failure the link has moved.
    fn shift(&mut self, to: Spot, change: &LinkChange<'_>) -> Result<()> {
        let taken = self.names_in(&to);
        let link = self.link.as_mut().unwrap();
        if link.alt_names.iter().any(|name| taken.contains(name)) {
            return Err(refusal("move: alternative name", Errno::EEXIST));
        }
        if taken.contains(&link.name) {
            match change.name {
                Some(name) if !taken.iter().any(|other| other == name) => {
                    let name = if name == "dev%d" { "dev0" } else { name };
                    name.clone_into(&mut link.name);
                }
                _ => return Err(refusal("move: name", Errno::EEXIST)),
            }
        }
        link.up = false;
        self.next_index += 1;
        link.index = self.next_index;
        self.at = Some(to);
        if std::mem::take(&mut self.late_failure) {
            return Err(refusal("rename", Errno::EEXIST));
        }
        self.alter(change)
    }
}

pub(crate) fn refusal(step: &str, errno: Errno) -> Error {
    Error::Kernel {
        step: step.to_owned(),
        source: std::io::Error::from(errno).into(),
    }
}
