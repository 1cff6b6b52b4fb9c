//! Attributes of virtual functions, set and read through their PF.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::mac::MacAddress;
use crate::netlink::Netlink;
use crate::pci::PciAddress;

/// The PF through which VFs are controlled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pf {
    /// Index of its interface in the namespace of the socket.
    pub index: u32,
    /// Name of its interface, for messages.
    pub name: String,
    /// Its PCI function, for messages.
    pub address: PciAddress,
}

/// Ethertype of a VF's VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum VlanProtocol {
    /// 802.1Q, 0x8100.
    #[default]
    #[serde(rename = "802.1q")]
    Dot1Q,
    /// 802.1ad, 0x88a8.
    #[serde(rename = "802.1ad")]
    Dot1Ad,
}

/// VLAN of a VF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Vlan {
    /// 0 to 4094; 0 is "no VLAN".
    pub id: u16,
    /// Priority, 0 to 7.
    pub qos: u8,
    /// Tag type.
    pub protocol: VlanProtocol,
}

/// Transmit rates of a VF in Mbit/s; 0 is "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Guaranteed.
    pub min: u32,
    /// Limit.
    pub max: u32,
}

/// Link state that the PF shows to a VF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// As the port's.
    #[default]
    Auto,
    /// Always up.
    Enable,
    /// Always down.
    Disable,
}

/// What the PF's driver tells about one VF. `None` where it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VfState {
    /// Index of the VF on its PF.
    pub id: u32,
    /// Address set through the PF (some drivers: the VF's present one); zero if none.
    pub mac: MacAddress,
    /// VLAN.
    pub vlan: Vlan,
    /// Rates.
    pub rate: Rate,
    /// Link state.
    pub link_state: LinkState,
    /// Source address check.
    pub spoof_check: Option<bool>,
    /// The VF may change its MAC and enter promiscuous mode.
    pub trust: Option<bool>,
    /// The VF may read its RSS configuration.
    pub rss_query: Option<bool>,
    /// InfiniBand node GUID.
    pub node_guid: Option<u64>,
    /// InfiniBand port GUID.
    pub port_guid: Option<u64>,
}

/// One attribute to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VfAttribute {
    /// Address through the PF. All-zero removes it; drivers differ in whether they accept that.
    Mac(MacAddress),
    /// VLAN, priority and tag type.
    Vlan(Vlan),
    /// Both rates.
    Rate(Rate),
    /// Source address check.
    SpoofCheck(bool),
    /// Trust.
    Trust(bool),
    /// Link state.
    LinkState(LinkState),
    /// RSS query.
    RssQuery(bool),
    /// InfiniBand node GUID.
    NodeGuid(u64),
    /// InfiniBand port GUID.
    PortGuid(u64),
}

/// Control of a PF's VFs. The kernel implements it through [`Netlink`]; `testing::FakePf` behaves like a driver.
pub trait VfControl {
    /// All VFs that the driver tells about, ordered by id. Fewer than exist if it fails for some.
    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>>;

    /// Sets attributes of VF `id` in the order given, in one message. The first refusal stops; earlier ones stay
    /// applied; the error names the refused one.
    fn set_vf(&mut self, pf: &Pf, id: u32, attributes: &[VfAttribute]) -> Result<()>;

    /// One VF, found by id; `None` if the driver does not tell about it.
    fn vf(&mut self, pf: &Pf, id: u32) -> Result<Option<VfState>> {
        Ok(self.vfs(pf)?.into_iter().find(|vf| vf.id == id))
    }
}

impl VfControl for Netlink {
    fn vfs(&mut self, _pf: &Pf) -> Result<Vec<VfState>> {
        unimplemented!()
    }

    fn set_vf(&mut self, _pf: &Pf, _id: u32, _attributes: &[VfAttribute]) -> Result<()> {
        unimplemented!()
    }
}

impl VfAttribute {
    /// Whether `state` shows this value; `None` if the driver does not tell.
    pub fn holds(&self, _state: &VfState) -> Option<bool> {
        unimplemented!()
    }
}

impl fmt::Display for Pf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}
