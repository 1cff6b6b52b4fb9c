//! What drivers can do with VFs, refuse, and tell; tables taken from the drivers' sources (`ndo_set_vf_*`).

use nix::errno::Errno;

use crate::netlink::vf::{Rate, VfAttribute, VfState, VlanProtocol};

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
    /// Node or port GUID.
    Guid,
}

/// What a driver can and tells.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent properties of a driver"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeDriver {
    /// Name of the driver.
    pub name: &'static str,
    /// Attributes refused whatever the value, with errno.
    pub refuses: Vec<(Attribute, Errno)>,
    /// Attributes accepted and forgotten.
    pub ignores: Vec<Attribute>,
    /// 802.1ad tags; else EPROTONOSUPPORT.
    pub dot1ad: bool,
    /// Minimum rates; else EINVAL.
    pub min_rate: bool,
    /// Largest rate in Mbit/s; beyond it EINVAL.
    pub max_rate: Option<u32>,
    /// Zero address through the PF; else EINVAL.
    pub zero_mac: bool,
    /// Trust is reported.
    pub tells_trust: bool,
    /// Spoof check is reported.
    pub tells_spoof_check: bool,
    /// The address read through the PF is the VF's present one, not only the one set there.
    pub tells_own_mac: bool,
    /// An address set through the PF reaches the VF's interface at once, not only when its driver starts anew.
    pub pushes_mac: bool,
    /// A VF whose address was set through the PF may not change it, unless trusted (corrections K1).
    pub marks_mac: bool,
}

impl FakeDriver {
    /// igb with the 82576: no link state, 802.1Q only, no minimum rate, marks addresses.
    pub fn igb() -> Self {
        Self {
            name: "igb",
            refuses: vec![
                (Attribute::LinkState, Errno::EOPNOTSUPP),
                (Attribute::RssQuery, Errno::EOPNOTSUPP),
                (Attribute::Guid, Errno::EOPNOTSUPP),
            ],
            ignores: Vec::new(),
            dot1ad: false,
            min_rate: false,
            max_rate: Some(1000),
            zero_mac: true,
            tells_trust: true,
            tells_spoof_check: true,
            tells_own_mac: true,
            pushes_mac: false,
            marks_mac: true,
        }
    }

    /// A driver that can and tells everything that Ethernet has.
    pub fn full() -> Self {
        Self {
            name: "full",
            refuses: vec![(Attribute::Guid, Errno::EOPNOTSUPP)],
            ignores: Vec::new(),
            dot1ad: true,
            min_rate: true,
            max_rate: None,
            zero_mac: true,
            tells_trust: true,
            tells_spoof_check: true,
            tells_own_mac: false,
            pushes_mac: true,
            marks_mac: false,
        }
    }

    /// A driver that can set trust and spoof check and reports neither, and refuses a zero address.
    pub fn silent() -> Self {
        Self {
            name: "silent",
            tells_trust: false,
            tells_spoof_check: false,
            zero_mac: false,
            ..Self::full()
        }
    }

    pub(super) fn check(&self, attribute: VfAttribute) -> Result<(), Errno> {
        let kind = Attribute::of(attribute);
        if let Some((_, errno)) = self.refuses.iter().find(|(refused, _)| *refused == kind) {
            return Err(*errno);
        }
        match attribute {
            VfAttribute::Mac(mac) if mac.is_zero() && !self.zero_mac => Err(Errno::EINVAL),
            VfAttribute::Mac(mac) if !mac.is_zero() && !mac.is_valid_unicast() => {
                Err(Errno::EINVAL)
            }
            VfAttribute::Vlan(vlan) if vlan.id > 4095 || vlan.qos > 7 => Err(Errno::EINVAL),
            VfAttribute::Vlan(vlan) if vlan.protocol == VlanProtocol::Dot1Ad && !self.dot1ad => {
                Err(Errno::EPROTONOSUPPORT)
            }
            VfAttribute::Rate(rate) if !self.accepts(rate) => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }

    /// The kernel itself refuses a limit below the guarantee.
    fn accepts(&self, rate: Rate) -> bool {
        let ordered = rate.max == 0 || rate.max >= rate.min;
        let within = self.max_rate.is_none_or(|limit| rate.max <= limit);
        ordered && within && (rate.min == 0 || self.min_rate)
    }

    pub(super) fn told(&self, mut state: VfState) -> VfState {
        let refuses = |kind| self.refuses.iter().any(|(refused, _)| *refused == kind);
        if !self.tells_trust {
            state.trust = None;
        }
        if !self.tells_spoof_check {
            state.spoof_check = None;
        }
        if refuses(Attribute::RssQuery) {
            state.rss_query = None;
        }
        state
    }
}

impl Attribute {
    /// The kind of an attribute.
    pub fn of(attribute: VfAttribute) -> Self {
        match attribute {
            VfAttribute::Mac(_) => Self::Mac,
            VfAttribute::Vlan(_) => Self::Vlan,
            VfAttribute::Rate(_) => Self::Rate,
            VfAttribute::SpoofCheck(_) => Self::SpoofCheck,
            VfAttribute::Trust(_) => Self::Trust,
            VfAttribute::LinkState(_) => Self::LinkState,
            VfAttribute::RssQuery(_) => Self::RssQuery,
            VfAttribute::NodeGuid(_) | VfAttribute::PortGuid(_) => Self::Guid,
        }
    }
}
