//! A PF whose VFs behave as a driver's do: state per VF, refusals by errno, settings accepted and forgotten.

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::mac::MacAddress;
use crate::netlink::vf::{LinkState, Pf, Rate, VfAttribute, VfControl, VfState, Vlan, refusal};
use crate::testing::driver::{Attribute, FakeDriver};

/// A PF with VFs. Attributes are checked as the kernel and the driver check them, in the order of the message; the
/// first refusal stops, and what came before stays applied.
#[derive(Debug, Clone)]
pub struct FakePf {
    pf: Pf,
    driver: FakeDriver,
    vfs: Vec<FakeVf>,
    failures: Vec<(Attribute, Errno)>,
    messages: Vec<(u32, Vec<VfAttribute>)>,
}

#[derive(Debug, Clone)]
struct FakeVf {
    /// With every setting known; what the driver tells is cut down when it is read.
    state: VfState,
    own_mac: MacAddress,
    mac_set_by_pf: bool,
}

impl FakePf {
    /// A PF with `vfs` fresh VFs: spoof check on, trust off, no VLAN, own addresses `02:00:00:00:00:<id>`.
    pub fn new(pf: Pf, driver: FakeDriver, vfs: u32) -> Self {
        let vfs = (0..vfs).map(|id| FakeVf::new(id, &driver)).collect();
        Self {
            pf,
            driver,
            vfs,
            failures: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Makes the next setting of this attribute fail once.
    pub fn fail_next(&mut self, attribute: Attribute, errno: Errno) {
        self.failures.push((attribute, errno));
    }

    /// The messages sent so far, refused ones included: VF and attributes.
    pub fn messages(&self) -> &[(u32, Vec<VfAttribute>)] {
        &self.messages
    }

    /// What the VF's own interface does when its address is changed there: a driver that marks addresses set through
    /// the PF refuses with EADDRNOTAVAIL, unless the VF is trusted.
    pub fn set_own_mac(&mut self, id: u32, mac: MacAddress) -> Result<()> {
        let step = format!("set address {mac} on the interface of vf {id}");
        let follows = self.driver.tells_own_mac;
        let marks = self.driver.marks_mac;
        let vf = self
            .vf_mut(id)
            .map_err(|errno| Error::kernel(&step, errno))?;
        if !mac.is_valid_unicast() || (marks && vf.mac_set_by_pf && vf.state.trust == Some(false)) {
            return Err(Error::kernel(step, Errno::EADDRNOTAVAIL));
        }
        vf.own_mac = mac;
        if follows {
            vf.state.mac = mac;
        }
        Ok(())
    }

    /// The VF's interface is set up: a driver that marks addresses set through the PF starts with that address.
    pub fn open(&mut self, id: u32) {
        let marks = self.driver.marks_mac;
        if let Ok(vf) = self.vf_mut(id)
            && marks
            && vf.mac_set_by_pf
        {
            vf.own_mac = vf.state.mac;
        }
    }

    /// The VF's PCI function is reset: a driver that shows a VF's present address forgets one that the VF had made up,
    /// and keeps one that was set through the PF.
    pub fn reset(&mut self, id: u32) {
        let follows = self.driver.tells_own_mac;
        if let Ok(vf) = self.vf_mut(id)
            && follows
            && !vf.mac_set_by_pf
        {
            vf.state.mac = MacAddress::ZERO;
        }
    }

    /// Address of the VF's own interface.
    ///
    /// # Panics
    /// If there is no such VF.
    pub fn own_mac(&self, id: u32) -> MacAddress {
        match self.vfs.iter().find(|vf| vf.state.id == id) {
            Some(vf) => vf.own_mac,
            #[expect(clippy::panic, reason = "a test asked for a VF that it did not make")]
            None => panic!("the fake PF has no vf {id}"),
        }
    }

    fn vf_mut(&mut self, id: u32) -> std::result::Result<&mut FakeVf, Errno> {
        self.vfs
            .iter_mut()
            .find(|vf| vf.state.id == id)
            .ok_or(Errno::EINVAL)
    }

    fn check_index(&self, pf: &Pf) -> std::result::Result<(), Errno> {
        if pf.index == self.pf.index {
            Ok(())
        } else {
            Err(Errno::ENODEV)
        }
    }

    fn apply(
        &mut self,
        pf: &Pf,
        id: u32,
        attribute: VfAttribute,
    ) -> std::result::Result<(), Errno> {
        self.check_index(pf)?;
        let kind = Attribute::of(attribute);
        if let Some(at) = self
            .failures
            .iter()
            .position(|(failing, _)| *failing == kind)
        {
            return Err(self.failures.remove(at).1);
        }
        self.driver.check(attribute)?;
        let ignored = self.driver.ignores.contains(&kind);
        let pushes = self.driver.pushes_mac;
        let vf = self.vf_mut(id)?;
        if !ignored {
            vf.set(attribute, pushes);
        }
        Ok(())
    }
}

impl VfControl for FakePf {
    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>> {
        self.check_index(pf)
            .map_err(|errno| Error::kernel(format!("read the VFs of {pf}"), errno))?;
        Ok(self
            .vfs
            .iter()
            .map(|vf| self.driver.told(vf.state))
            .collect())
    }

    fn set_vf(&mut self, pf: &Pf, id: u32, attributes: &[VfAttribute]) -> Result<()> {
        self.messages.push((id, attributes.to_vec()));
        for attribute in attributes {
            let applied = self.apply(pf, id, *attribute);
            applied.map_err(|errno| Error::kernel(refusal(pf, id, *attribute), errno))?;
        }
        Ok(())
    }
}

impl FakeVf {
    fn new(id: u32, driver: &FakeDriver) -> Self {
        let own_mac = MacAddress([2, 0, 0, 0, 0, id.to_be_bytes()[3]]);
        Self {
            state: VfState {
                id,
                mac: if driver.tells_own_mac {
                    own_mac
                } else {
                    MacAddress::ZERO
                },
                vlan: Vlan::default(),
                rate: Rate::default(),
                link_state: LinkState::Auto,
                spoof_check: Some(true),
                trust: Some(false),
                rss_query: Some(false),
                node_guid: None,
                port_guid: None,
            },
            own_mac,
            mac_set_by_pf: false,
        }
    }

    fn set(&mut self, attribute: VfAttribute, pushes_mac: bool) {
        let state = &mut self.state;
        match attribute {
            VfAttribute::Mac(mac) => {
                // Zero takes the mark away; the VF goes on with the address it has.
                self.mac_set_by_pf = !mac.is_zero();
                state.mac = mac;
                if pushes_mac && !mac.is_zero() {
                    self.own_mac = mac;
                }
            }
            VfAttribute::Vlan(vlan) if vlan.id == 0 && vlan.qos == 0 => {
                state.vlan = Vlan::default();
            }
            VfAttribute::Vlan(vlan) => state.vlan = vlan,
            VfAttribute::Rate(rate) => state.rate = rate,
            VfAttribute::SpoofCheck(on) => state.spoof_check = Some(on),
            VfAttribute::Trust(on) => state.trust = Some(on),
            VfAttribute::LinkState(wanted) => state.link_state = wanted,
            VfAttribute::RssQuery(on) => state.rss_query = Some(on),
            VfAttribute::NodeGuid(guid) => state.node_guid = Some(guid),
            VfAttribute::PortGuid(guid) => state.port_guid = Some(guid),
        }
    }
}

#[cfg(test)]
mod tests;
