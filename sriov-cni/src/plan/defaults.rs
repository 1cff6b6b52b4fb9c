//! What a driver makes of a fresh VF, for `resetPolicy` `defaults`.

use std::mem::discriminant;

use host::mac::MacAddress;
use host::netlink::vf::{LinkState, Rate, VfAttribute, VfState, Vlan};

/// The state with every attribute at its default. What the driver does not tell stays untold. No address is set through
/// the PF: a VF has its own.
pub(super) fn of(state: &VfState) -> VfState {
    VfState {
        mac: MacAddress::ZERO,
        vlan: Vlan::default(),
        rate: Rate::default(),
        link_state: LinkState::Auto,
        spoof_check: state.spoof_check.map(|_| true),
        trust: state.trust.map(|_| false),
        ..*state
    }
}

/// Defaults of the attributes that are not asked and are known to be something else. The address is left alone: many
/// drivers show the VF's own one.
pub(super) fn missing(asked: &[VfAttribute], state: &VfState) -> Vec<VfAttribute> {
    let mut defaults = vec![
        VfAttribute::Vlan(Vlan::default()),
        VfAttribute::Rate(Rate::default()),
        VfAttribute::SpoofCheck(true),
        VfAttribute::Trust(false),
        VfAttribute::LinkState(LinkState::Auto),
    ];
    defaults.retain(|default| {
        let is_asked = asked
            .iter()
            .any(|asked| discriminant(asked) == discriminant(default));
        !is_asked && default.holds(state) == Some(false)
    });
    defaults
}
