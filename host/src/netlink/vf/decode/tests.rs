use rtnetlink::packet_core::Emitable;
use rtnetlink::packet_route::link::{
    LinkAttribute, LinkMessage, LinkVfInfo, VfInfo, VfInfoLinkState, VfInfoMac, VfInfoRate,
    VfInfoSpoofCheck, VfInfoTrust, VfInfoVlan, VfLinkState, VfVlan, VfVlanInfo,
    VlanProtocol as Tag,
};

use super::*;
use crate::netlink::vf::{VfAttribute, encode};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn infos(id: u32) -> Vec<VfInfo> {
    vec![
        VfInfo::Mac(VfInfoMac::new(id, &MAC)),
        VfInfo::Vlan(VfInfoVlan::new(id, 100, 3)),
        VfInfo::VlanList(vec![VfVlan::Info(VfVlanInfo::new(
            id,
            100,
            3,
            Tag::Ieee8021Ad,
        ))]),
        VfInfo::Rate(VfInfoRate::new(id, 10, 200)),
        VfInfo::SpoofCheck(VfInfoSpoofCheck::new(id, true)),
        VfInfo::LinkState(VfInfoLinkState::new(id, VfLinkState::Disable)),
        VfInfo::Trust(VfInfoTrust::new(id, false)),
    ]
}

fn reply(nests: Vec<LinkVfInfo>) -> Reply {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::VfInfoList(nests));
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    Reply { kind: 16, payload }
}

#[test]
fn every_attribute_of_a_vf_is_read() {
    let state = vfs(&reply(vec![LinkVfInfo(infos(4))])).remove(0);
    assert_eq!(state.id, 4);
    assert_eq!(state.mac, MacAddress(MAC));
    let vlan = Vlan {
        id: 100,
        qos: 3,
        protocol: VlanProtocol::Dot1Ad,
    };
    assert_eq!(state.vlan, vlan);
    assert_eq!(state.rate, Rate { min: 10, max: 200 });
    assert_eq!(state.spoof_check, Some(true));
    assert_eq!(state.trust, Some(false));
    assert_eq!(state.link_state, LinkState::Disable);
    assert_eq!(state.rss_query, None);
}

#[test]
fn a_setting_that_the_driver_does_not_report_stays_unknown() {
    let mut reply = reply(vec![LinkVfInfo(infos(0))]);
    // Both settings become -1, as the kernel leaves them for such a driver.
    for (kind, setting) in [(4u16, 1u32), (9, 0)] {
        let mut pattern = [12u16.to_ne_bytes(), kind.to_ne_bytes()].concat();
        pattern.extend(0u32.to_ne_bytes());
        pattern.extend(setting.to_ne_bytes());
        let at = reply
            .payload
            .windows(12)
            .position(|window| window == pattern)
            .unwrap();
        reply.payload[at + 8..at + 12].copy_from_slice(&u32::MAX.to_ne_bytes());
    }
    let state = vfs(&reply).remove(0);
    assert_eq!((state.spoof_check, state.trust), (None, None));
}

#[test]
fn vfs_are_told_apart_by_id_and_not_by_position() {
    let nests = vec![LinkVfInfo(infos(7)), LinkVfInfo(infos(2))];
    let ids: Vec<u32> = vfs(&reply(nests)).iter().map(|vf| vf.id).collect();
    assert_eq!(ids, [2, 7]);
}

#[test]
fn a_link_without_vfs_has_an_empty_list() {
    assert!(vfs(&reply(Vec::new())).is_empty());
    assert!(
        vfs(&Reply {
            kind: 16,
            payload: Vec::new()
        })
        .is_empty()
    );
}

#[test]
fn what_is_set_is_what_is_read() {
    let vlan = Vlan {
        id: 4094,
        qos: 7,
        protocol: VlanProtocol::Dot1Ad,
    };
    let attributes = [
        VfAttribute::Mac(MacAddress(MAC)),
        VfAttribute::Vlan(vlan),
        VfAttribute::Rate(Rate {
            min: 3,
            max: 70_000,
        }),
        VfAttribute::SpoofCheck(true),
        VfAttribute::Trust(true),
        VfAttribute::LinkState(LinkState::Enable),
        VfAttribute::RssQuery(true),
        VfAttribute::NodeGuid(0x0011_2233_4455_6677),
        VfAttribute::PortGuid(0x8899_aabb_ccdd_eeff),
    ];
    // Read as one VF that has all of them: an address comes first in every VF that the kernel tells about.
    let message = encode::message(9, 5, &attributes);
    assert_eq!(message.header.index, 9);
    let [LinkAttribute::VfInfoList(nests)] = message.attributes.as_slice() else {
        panic!()
    };
    assert_eq!(nests.len(), attributes.len(), "a nest each, in order");
    let all = nests.iter().flat_map(|nest| nest.0.clone()).collect();
    let state = vfs(&reply(vec![LinkVfInfo(all)])).remove(0);
    assert_eq!(state.id, 5);
    for attribute in attributes {
        assert_eq!(attribute.holds(&state), Some(true), "{attribute}");
    }
    assert_eq!(
        VfAttribute::LinkState(LinkState::Disable).holds(&state),
        Some(false)
    );
    assert_eq!(
        VfAttribute::Vlan(Vlan::default()).holds(&state),
        Some(false)
    );
}

#[test]
fn without_a_vlan_the_tag_type_means_nothing() {
    let mut state = vfs(&reply(vec![LinkVfInfo(infos(0))])).remove(0);
    state.vlan = Vlan::default();
    let wanted = Vlan {
        protocol: VlanProtocol::Dot1Ad,
        ..Vlan::default()
    };
    assert_eq!(VfAttribute::Vlan(wanted).holds(&state), Some(true));
}
