//! The kernel work of one attachment and nothing else: the same messages, reading back included, without a process of
//! its own, a record, a lock or a configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use host::{
    mac::MacAddress,
    netlink::{
        Netlink,
        link::LinkChange,
        vf::{Pf, VfAttribute, VfControl, Vlan, VlanProtocol},
    },
    netns::NetNs,
    sysctl,
};

use crate::{
    guest::cni::Sandbox,
    scenario::sriov::rig::{NET1, Rig, Vf, come_back},
};

/// What the sequence is about; read before anything is measured.
pub(super) struct Bare {
    /// Name of the VF's interface on the host.
    pub(super) name: String,
    /// Its own address.
    pub(super) own: MacAddress,
    wanted: MacAddress,
    pf_name: String,
    pf_address: String,
    vf: u32,
    netns: PathBuf,
}

impl Bare {
    pub(super) fn new(rig: &Rig<'_>, vf: &Vf, pod: &Sandbox, wanted: &str) -> Result<Self> {
        let name = come_back(&vf.address)?;
        let own = rig.see()?[&vf.address].0.mac.clone();
        Ok(Self {
            name,
            own: own.parse().context("read the VF's own address")?,
            wanted: wanted.parse().context("read the wanted address")?,
            pf_name: vf.pf.clone(),
            pf_address: rig.machine.hardware.pfs[0].address.clone(),
            vf: u32::try_from(vf.index).context("index of the VF")?,
            netns: PathBuf::from(&pod.netns),
        })
    }

    pub(super) fn add(&self) -> Result<()> {
        let mut host = Netlink::open()?;
        let pf = self.pf(&mut host)?;
        host.vf(&pf, self.vf)?;
        let index = link(&mut host, &self.name)?;
        let pod = NetNs::open(&self.netns)?;
        let mut inside = pod.netlink()?;

        host.change_link(index, &address(self.wanted))?;
        link(&mut host, &self.name)?;
        let attributes = [
            VfAttribute::Vlan(vlan(7)),
            VfAttribute::Mac(self.wanted),
            VfAttribute::SpoofCheck(false),
            VfAttribute::Trust(true),
        ];
        host.set_vf(&pf, self.vf, &attributes)?;
        host.vf(&pf, self.vf)?;
        let there = LinkChange {
            netns: Some(&pod),
            name: Some(NET1),
            ..LinkChange::default()
        };
        host.change_link(index, &there)?;
        let index = link(&mut inside, NET1)?;
        pod.run(|| -> Result<()> {
            for (family, key) in [
                ("ipv4", "arp_notify"),
                ("ipv6", "ndisc_notify"),
                ("ipv6", "optimistic_dad"),
            ] {
                sysctl::write(Path::new("/proc"), &["net", family, "conf", NET1, key], "1")?;
            }
            Ok(())
        })??;
        inside.change_link(index, &up(true))?;
        link(&mut inside, NET1).map(drop)
    }

    pub(super) fn del(&self) -> Result<()> {
        let mut host = Netlink::open()?;
        let pf = self.pf(&mut host)?;
        host.vf(&pf, self.vf)?;
        let pod = NetNs::open(&self.netns)?;
        let mut inside = pod.netlink()?;
        let index = link(&mut inside, NET1)?;
        let own = NetNs::current(Path::new("/proc"))?;
        let back = LinkChange {
            netns: Some(&own),
            name: Some(&self.name),
            ..LinkChange::default()
        };
        inside.change_link(index, &back)?;
        let index = link(&mut host, &self.name)?;
        host.set_vf(&pf, self.vf, &[VfAttribute::Mac(MacAddress::ZERO)])?;
        host.change_link(index, &address(self.own))?;
        link(&mut host, &self.name)?;
        let attributes = [
            VfAttribute::Vlan(vlan(0)),
            VfAttribute::SpoofCheck(true),
            VfAttribute::Trust(false),
        ];
        host.set_vf(&pf, self.vf, &attributes)?;
        host.vf(&pf, self.vf)?;
        Ok(())
    }

    fn pf(&self, host: &mut Netlink) -> Result<Pf> {
        Ok(Pf {
            index: link(host, &self.pf_name)?,
            name: self.pf_name.clone(),
            address: self.pf_address.parse().context("the PF's address")?,
        })
    }
}

fn link(netlink: &mut Netlink, name: &str) -> Result<u32> {
    let link = netlink.link_by_name(name)?;
    Ok(link.with_context(|| format!("there is no {name}"))?.index)
}

fn vlan(id: u16) -> Vlan {
    Vlan {
        id,
        qos: 0,
        protocol: VlanProtocol::Dot1Q,
    }
}

fn address(mac: MacAddress) -> LinkChange<'static> {
    LinkChange {
        address: Some(mac),
        ..LinkChange::default()
    }
}

fn up(up: bool) -> LinkChange<'static> {
    LinkChange {
        up: Some(up),
        ..LinkChange::default()
    }
}
