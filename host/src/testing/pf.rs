//! A PF whose VFs behave as a driver's do.

use nix::errno::Errno;

use crate::error::Result;
use crate::mac::MacAddress;
use crate::netlink::vf::{Pf, VfAttribute, VfControl, VfState};

/// A kind of attribute, for tables of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// Address.
    Mac,
    /// VLAN.
    Vlan,
    /// Rates.
    Rate,
    /// Spoof check.
    SpoofCheck,
    /// Trust.
    Trust,
    /// Link state.
    LinkState,
    /// RSS query.
    RssQuery,
    /// GUIDs.
    Guid,
}

/// What a driver can and tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeDriver {
    /// Name for messages.
    pub name: &'static str,
    /// Attributes refused, with errno.
    pub refuses: Vec<(Attribute, Errno)>,
    /// Attributes accepted and forgotten.
    pub ignores: Vec<Attribute>,
    /// 802.1ad is accepted.
    pub dot1ad: bool,
    /// A minimum rate is accepted.
    pub min_rate: bool,
    /// Trust is reported.
    pub tells_trust: bool,
    /// Spoof check is reported.
    pub tells_spoof_check: bool,
    /// A VF whose address was set through the PF may not change it unless trusted (K1).
    pub marks_mac: bool,
}

impl FakeDriver {
    /// The 82576's driver.
    pub fn igb() -> Self {
        unimplemented!()
    }

    /// A driver that can everything that Ethernet has.
    pub fn full() -> Self {
        unimplemented!()
    }

    /// A driver that can set trust and spoof check and reports neither.
    pub fn silent() -> Self {
        unimplemented!()
    }
}

/// A PF with VFs.
#[derive(Debug, Clone)]
pub struct FakePf {}

impl FakePf {
    /// A PF with `vfs` fresh VFs.
    pub fn new(_pf: Pf, _driver: FakeDriver, _vfs: u32) -> Self {
        unimplemented!()
    }

    /// Makes the next setting of this attribute fail once.
    pub fn fail_next(&mut self, _attribute: Attribute, _errno: Errno) {
        unimplemented!()
    }

    /// What the VF's own interface does when its address is changed there.
    pub fn set_own_mac(&mut self, _id: u32, _mac: MacAddress) -> Result<()> {
        unimplemented!()
    }

    /// Address of the VF's own interface.
    pub fn own_mac(&self, _id: u32) -> MacAddress {
        unimplemented!()
    }
}

impl VfControl for FakePf {
    fn vfs(&mut self, _pf: &Pf) -> Result<Vec<VfState>> {
        unimplemented!()
    }

    fn set_vf(&mut self, _pf: &Pf, _id: u32, _attributes: &[VfAttribute]) -> Result<()> {
        unimplemented!()
    }
}
