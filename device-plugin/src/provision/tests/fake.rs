//! A kernel over a fake sysfs that treats VFs as igb does.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use host::{
    driver,
    error::{Error, Kind, Result},
    netlink::{
        link::Link,
        vf::{LinkState, Rate, VfState, Vlan},
    },
    pci::PciAddress,
    sriov,
    testing::sysfs::FakeSysfs,
};

use crate::provision::{Hands, LinkChange};

pub(super) const PF: &str = "0000:01:00.0";

/// The node, and what was done to it.
pub(super) struct FakeKernel {
    pub(super) sysfs: FakeSysfs,
    /// Writes and changes in order, as `echo` and `ip` would be told.
    pub(super) log: RefCell<Vec<String>>,
    /// A write to a path that ends so fails with this.
    pub(super) refuses: RefCell<Option<(&'static str, Kind)>>,
    /// Groups that a program has open.
    pub(super) open: RefCell<BTreeSet<PathBuf>>,
    pub(super) groups_cannot_be_opened: Cell<bool>,
    pub(super) carrier: Cell<bool>,
}

impl FakeKernel {
    /// Two 82576 PFs without VFs, ens1f0 and ens2f0, and the node's own NIC.
    pub(super) fn new() -> Self {
        let sysfs = FakeSysfs::parse(
            "pci 0000:01:00.0{8086:10c9, 0200, drv=igb, net=[ens1f0], vfs=7/0}
             pci 0000:02:00.0{8086:10c9, 0200, drv=igb, net=[ens2f0], vfs=7/0}
             pci 0000:04:00.0{1af4:1041, 0200, drv=virtio-pci, net=[eth0]}",
        );
        for (pf, name) in [(PF, "ens1f0"), ("0000:02:00.0", "ens2f0")] {
            let pf = format!("bus/pci/devices/{pf}");
            sysfs.file(format!("{pf}/sriov_offset"), "128\n");
            sysfs.file(format!("{pf}/sriov_stride"), "2\n");
            interface(&sysfs, &pf, name, false);
        }
        for driver in ["igbvf", "vfio-pci"] {
            sysfs.directory(format!("bus/pci/drivers/{driver}"));
        }
        Self {
            sysfs,
            log: RefCell::default(),
            refuses: RefCell::default(),
            open: RefCell::default(),
            groups_cannot_be_opened: Cell::new(false),
            carrier: Cell::new(true),
        }
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.log.borrow_mut().drain(..).collect()
    }

    pub(super) fn driver(&self, vf: &str) -> Option<String> {
        driver::current(&self.sysfs.sysfs(), vf.parse().unwrap()).unwrap()
    }

    pub(super) fn count(&self) -> u32 {
        sriov::num_vfs(&self.sysfs.sysfs(), PF.parse().unwrap())
    }

    fn set_count(&self, pf: &str, wanted: u32) -> Result<()> {
        let entry = self.sysfs.sysfs().entry(pf);
        let (now, total): (u32, u32) = (
            entry.parse("sriov_numvfs", "")?,
            entry.parse("sriov_totalvfs", "")?,
        );
        if wanted > total {
            return Err(refusal(pf, "numerical result out of range", Kind::Invalid));
        }
        if now != 0 && wanted != 0 {
            return Err(refusal(pf, "device or resource busy", Kind::Busy));
        }
        let address = pf.rsplit('/').next().unwrap();
        for index in 0..now {
            let vf = entry.link(&format!("virtfn{index}"))?.unwrap();
            self.sysfs.remove(format!("bus/pci/devices/{vf}"));
            self.sysfs.remove(format!("{pf}/virtfn{index}"));
        }
        let bus = &address[5..7];
        let group = bus.trim_start_matches('0');
        for index in 0..wanted {
            let vf = format!("0000:{bus}:{:02x}.{}", 16 + index / 4, index % 4 * 2);
            self.sysfs.add(&format!(
                "pci {vf}{{8086:10ca, 0200, pf={address}, iommu={group}{index}}}"
            ));
            self.sysfs
                .link(format!("{pf}/virtfn{index}"), format!("../{vf}"));
            self.sysfs.file(format!("bus/pci/devices/{vf}/reset"), "");
            if entry.read("sriov_drivers_autoprobe")? == "1" {
                self.bind(&vf, "igbvf");
            }
        }
        self.sysfs
            .file(format!("{pf}/sriov_numvfs"), &format!("{wanted}\n"));
        Ok(())
    }

    /// igbvf does not take a VF whose PF is down.
    fn bind(&self, vf: &str, driver: &str) {
        let entry = format!("bus/pci/devices/{vf}");
        let pf = self.sysfs.sysfs().entry(&entry).link("physfn").unwrap();
        if driver == "vfio-pci" {
            self.sysfs.set_driver(vf, Some(driver));
        } else if pf.is_none_or(|pf| self.is_up(&pf)) {
            self.sysfs.set_driver(vf, Some(driver));
            let name = format!("v{}", vf.replace([':', '.'], ""));
            self.sysfs.directory(format!("{entry}/net/{name}"));
            interface(&self.sysfs, &entry, &name, false);
        }
    }

    fn is_up(&self, function: &str) -> bool {
        let net = self
            .sysfs
            .sysfs()
            .entry(format!("bus/pci/devices/{function}/net"));
        let names = net.list().unwrap().unwrap_or_default();
        names
            .iter()
            .any(|name| net.child(name).read("flags").unwrap() == "0x1003")
    }

    fn probe(&self, vf: &str) {
        let entry = self.sysfs.sysfs().entry(format!("bus/pci/devices/{vf}"));
        let wanted = entry.read_optional("driver_override").unwrap();
        let wanted = wanted.filter(|name| !name.is_empty() && name != "(null)");
        let pf = entry.link("physfn").unwrap();
        let is_on = pf.is_none_or(|pf| {
            let pf = self.sysfs.sysfs().entry(format!("bus/pci/devices/{pf}"));
            pf.read("sriov_drivers_autoprobe").unwrap() == "1"
        });
        match wanted {
            Some(driver) => self.bind(vf, &driver),
            None if is_on => self.bind(vf, "igbvf"),
            None => {}
        }
    }
}

fn interface(sysfs: &FakeSysfs, function: &str, name: &str, up: bool) {
    let net = format!("{function}/net/{name}");
    sysfs.file(format!("{net}/mtu"), "1500\n");
    let flags = if up { "0x1003\n" } else { "0x1002\n" };
    sysfs.file(format!("{net}/flags"), flags);
}

fn refusal(object: &str, problem: &str, kind: Kind) -> Error {
    Error::State {
        object: object.to_owned(),
        problem: problem.to_owned(),
        kind,
    }
}

impl Hands for FakeKernel {
    fn write(&self, path: &str, value: &str) -> Result<()> {
        let shown = if value == "\n" { "" } else { value };
        let line = format!("echo {shown} > /sys/{path}").replace("echo  >", "echo >");
        self.log.borrow_mut().push(line);
        if let Some((end, kind)) = *self.refuses.borrow()
            && path.ends_with(end)
        {
            return Err(refusal(path, "refused", kind));
        }
        let (directory, name) = path.rsplit_once('/').unwrap();
        match name {
            "sriov_numvfs" => self.set_count(directory, value.parse().unwrap())?,
            "drivers_probe" => self.probe(value),
            "unbind" => {
                self.sysfs.set_driver(value, None);
                self.sysfs.remove(format!("bus/pci/devices/{value}/net"));
            }
            _ => self.sysfs.sysfs().entry(directory).write(name, value)?,
        }
        Ok(())
    }

    fn change_link(&self, function: PciAddress, change: LinkChange) -> Result<()> {
        let net = self
            .sysfs
            .sysfs()
            .entry(format!("bus/pci/devices/{function}/net"));
        let name = net.list()?.unwrap_or_default().pop();
        let name = name.ok_or_else(|| refusal("link", "no interface", Kind::NotFound))?;
        let (file, value, words) = match change {
            LinkChange::Mtu(mtu) => ("mtu", mtu.to_string(), format!("mtu {mtu}")),
            LinkChange::Up => ("flags", "0x1003".to_owned(), "up".to_owned()),
        };
        self.log.borrow_mut().push(format!("ip {name} {words}"));
        net.child(name).write(file, &value)
    }

    fn wait_for_carrier(&self, _: PciAddress) -> Result<bool> {
        Ok(self.carrier.get())
    }

    fn is_free(&self, group: &Path) -> Result<bool> {
        if self.groups_cannot_be_opened.get() {
            return Err(refusal(
                &group.display().to_string(),
                "permission denied",
                Kind::Denied,
            ));
        }
        Ok(!self.open.borrow().contains(group))
    }

    fn attributes(&self, pf: PciAddress) -> Result<Vec<VfState>> {
        let count = sriov::num_vfs(&self.sysfs.sysfs(), pf);
        let state = |id| VfState {
            id,
            mac: format!("02:00:00:00:00:0{id}").parse().unwrap(),
            vlan: Vlan::default(),
            rate: Rate::default(),
            link_state: LinkState::Auto,
            spoof_check: Some(true),
            trust: Some(false),
            rss_query: None,
            node_guid: None,
            port_guid: None,
        };
        Ok((0..count).map(state).collect())
    }

    fn interface(&self, function: PciAddress) -> Result<Option<Link>> {
        let net = self
            .sysfs
            .sysfs()
            .entry(format!("bus/pci/devices/{function}/net"));
        let name = net.list()?.unwrap_or_default().pop();
        Ok(name.map(|name| Link {
            name,
            mtu: 1500,
            ..Link::default()
        }))
    }
}
