//! Reading `IFLA_VFINFO_LIST`; attribute numbers and structures of linux/if_link.h.

use crate::mac::MacAddress;
use crate::netlink::attribute::{attributes, u16_at, u32_at, u64_at};
use crate::netlink::transport::Reply;
use crate::netlink::vf::{LinkState, Rate, VfState, Vlan, VlanProtocol};

/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;
const IFLA_VFINFO_LIST: u16 = 22;
const IFLA_VF_INFO: u16 = 1;
const IFLA_VF_VLAN_INFO: u16 = 1;

/// All VFs of a PF's link message, ordered by id. A VF whose query failed in the driver is missing in the list, so
/// its position says nothing.
pub(super) fn vfs(reply: &Reply) -> Vec<VfState> {
    let message = reply.payload.get(HEADER..).unwrap_or_default();
    let lists = attributes(message).filter(|(kind, _)| *kind == IFLA_VFINFO_LIST);
    let nests = lists
        .flat_map(|(_, list)| attributes(list))
        .filter(|(kind, _)| *kind == IFLA_VF_INFO);
    let mut vfs: Vec<VfState> = nests.filter_map(|(_, nest)| vf(nest)).collect();
    vfs.sort_unstable_by_key(|vf| vf.id);
    vfs
}

fn vf(nest: &[u8]) -> Option<VfState> {
    // Every structure starts with the VF's id.
    let id = attributes(nest)
        .find_map(|(kind, value)| if kind == 1 { u32_at(value, 0) } else { None })?;
    let mut state = VfState {
        id,
        mac: MacAddress::ZERO,
        vlan: Vlan::default(),
        rate: Rate::default(),
        link_state: LinkState::Auto,
        spoof_check: None,
        trust: None,
        rss_query: None,
        node_guid: None,
        port_guid: None,
    };
    for (kind, value) in attributes(nest) {
        match kind {
            1 => state.mac = MacAddress::from_bytes(value.get(4..)?)?,
            // The list below repeats this with the tag type, if the kernel has it (4.9).
            2 => state.vlan = vlan(value)?,
            3 => state.rate.max = u32_at(value, 4)?,
            4 => state.spoof_check = switch(value),
            5 => state.link_state = link_state(u32_at(value, 4)?),
            6 => (state.rate.min, state.rate.max) = (u32_at(value, 4)?, u32_at(value, 8)?),
            7 => state.rss_query = switch(value),
            9 => state.trust = switch(value),
            // Four bytes of padding follow the id.
            10 => state.node_guid = u64_at(value, 8),
            11 => state.port_guid = u64_at(value, 8),
            12 => {
                let mut infos = attributes(value).filter(|(kind, _)| *kind == IFLA_VF_VLAN_INFO);
                if let Some((_, info)) = infos.next() {
                    state.vlan = vlan(info)?;
                    state.vlan.protocol = protocol(info);
                }
            }
            _ => {}
        }
    }
    Some(state)
}

/// The kernel initialises settings with -1, so that is what a driver leaves that does not report.
fn switch(value: &[u8]) -> Option<bool> {
    match u32_at(value, 4)? {
        u32::MAX => None,
        setting => Some(setting != 0),
    }
}

fn vlan(value: &[u8]) -> Option<Vlan> {
    Some(Vlan {
        id: u16::try_from(u32_at(value, 4)?).ok()?,
        qos: u8::try_from(u32_at(value, 8)?).ok()?,
        protocol: VlanProtocol::Dot1Q,
    })
}

fn protocol(info: &[u8]) -> VlanProtocol {
    match u16_at(info, 12).map(u16::from_be) {
        Some(0x88a8) => VlanProtocol::Dot1Ad,
        _ => VlanProtocol::Dot1Q,
    }
}

fn link_state(number: u32) -> LinkState {
    match number {
        1 => LinkState::Enable,
        2 => LinkState::Disable,
        _ => LinkState::Auto,
    }
}

#[cfg(test)]
mod tests;
