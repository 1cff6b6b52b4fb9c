//! Attributes of virtual functions, set and read through their PF.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::mac::MacAddress;
use crate::netlink::Netlink;
use crate::netlink::message::{LinkQuestion, RTM_GETLINK, RTM_SETLINK};
use crate::pci::PciAddress;

mod counters;
mod decode;
mod encode;

pub use counters::VfCounters;

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
    /// applied; the error names the refused one (found by setting them once more one by one, as the kernel does not
    /// tell).
    fn set_vf(&mut self, pf: &Pf, id: u32, attributes: &[VfAttribute]) -> Result<()>;

    /// One VF, found by id; `None` if the driver does not tell about it.
    fn vf(&mut self, pf: &Pf, id: u32) -> Result<Option<VfState>> {
        Ok(self.vfs(pf)?.into_iter().find(|vf| vf.id == id))
    }
}

impl VfControl for Netlink {
    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>> {
        // Without statistics, which would cost half as much again per VF: the list must fit into 64 KiB.
        let question = LinkQuestion {
            index: pf.index,
            vfs: true,
            ..LinkQuestion::default()
        };
        let reply = self.transport.ask(RTM_GETLINK, &question);
        let reply = reply.map_err(|failure| failure.during(format!("read the VFs of {pf}")))?;
        Ok(decode::vfs(&reply))
    }

    fn set_vf(&mut self, pf: &Pf, id: u32, attributes: &[VfAttribute]) -> Result<()> {
        if attributes.is_empty() {
            return Ok(());
        }
        let together =
            self.transport
                .change(RTM_SETLINK, &encode::message(pf.index, id, attributes), 0);
        let Err(failure) = together else {
            return Ok(());
        };
        let [only] = attributes else {
            // The kernel does not tell which one was refused. It stopped there, so doing the same one by one has the
            // same effect and finds it.
            return attributes
                .iter()
                .try_for_each(|attribute| self.set_vf(pf, id, &[*attribute]));
        };
        Err(failure.during(refusal(pf, id, *only)))
    }
}

impl VfAttribute {
    /// Whether `state` shows this value; `None` if the driver does not tell.
    pub fn holds(&self, state: &VfState) -> Option<bool> {
        match *self {
            Self::Mac(mac) => Some(state.mac == mac),
            // Without a VLAN the tag type means nothing and drivers report what they like.
            Self::Vlan(vlan) if vlan.id == 0 && vlan.qos == 0 => {
                Some(state.vlan.id == 0 && state.vlan.qos == 0)
            }
            Self::Vlan(vlan) => Some(state.vlan == vlan),
            Self::Rate(rate) => Some(state.rate == rate),
            Self::SpoofCheck(on) => state.spoof_check.map(|now| now == on),
            Self::Trust(on) => state.trust.map(|now| now == on),
            Self::LinkState(wanted) => Some(state.link_state == wanted),
            Self::RssQuery(on) => state.rss_query.map(|now| now == on),
            Self::NodeGuid(guid) => state.node_guid.map(|now| now == guid),
            Self::PortGuid(guid) => state.port_guid.map(|now| now == guid),
        }
    }
}

/// The step of an error: `set trust on vf 3 of ens1f0 (0000:3b:00.0) to on`.
pub(crate) fn refusal(pf: &Pf, id: u32, attribute: VfAttribute) -> String {
    let (name, value) = attribute.words();
    format!("set {name} on vf {id} of {pf} to {value}")
}

impl VfAttribute {
    /// Name and value for people.
    fn words(self) -> (&'static str, String) {
        let switch = |on| if on { "on" } else { "off" }.to_owned();
        match self {
            Self::Mac(mac) => ("MAC", mac.to_string()),
            Self::Vlan(vlan) => ("VLAN", vlan.to_string()),
            Self::Rate(rate) => ("rate", format!("{}..{} Mbit/s", rate.min, rate.max)),
            Self::SpoofCheck(on) => ("spoof check", switch(on)),
            Self::Trust(on) => ("trust", switch(on)),
            Self::LinkState(state) => ("link state", state.to_string()),
            Self::RssQuery(on) => ("RSS query", switch(on)),
            Self::NodeGuid(guid) => ("node GUID", format!("{guid:016x}")),
            Self::PortGuid(guid) => ("port GUID", format!("{guid:016x}")),
        }
    }
}

impl fmt::Display for VfAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = self.words();
        write!(f, "{name} {value}")
    }
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} QoS {} {}", self.id, self.qos, self.protocol)
    }
}

impl fmt::Display for VlanProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dot1Q => "802.1q",
            Self::Dot1Ad => "802.1ad",
        })
    }
}

impl VlanProtocol {
    /// The tag's ethertype.
    pub fn ethertype(self) -> u16 {
        match self {
            Self::Dot1Q => 0x8100,
            Self::Dot1Ad => 0x88a8,
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Enable => "enable",
            Self::Disable => "disable",
        })
    }
}

impl fmt::Display for Pf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}
