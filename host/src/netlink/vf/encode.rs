//! Building the `RTM_SETLINK` that sets VF attributes.

use rtnetlink::packet_route::link::{
    LinkAttribute, LinkMessage, LinkVfInfo, VfInfo, VfInfoGuid, VfInfoLinkState, VfInfoMac,
    VfInfoRate, VfInfoRssQueryEn, VfInfoSpoofCheck, VfInfoTrust, VfLinkState, VfVlan, VfVlanInfo,
};

use crate::netlink::vf::{LinkState, VfAttribute};

/// One nest per attribute: the kernel follows the order of nests, but has its own order within one. It also sets
/// only the first of two GUIDs in one nest.
pub(super) fn message(index: u32, id: u32, attributes: &[VfAttribute]) -> LinkMessage {
    let nests = attributes
        .iter()
        .map(|attribute| LinkVfInfo(vec![info(id, *attribute)]));
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
        .attributes
        .push(LinkAttribute::VfInfoList(nests.collect()));
    message
}

fn info(id: u32, attribute: VfAttribute) -> VfInfo {
    match attribute {
        VfAttribute::Mac(mac) => VfInfo::Mac(VfInfoMac::new(id, &mac.0)),
        VfAttribute::Vlan(vlan) => {
            let (tag, qos) = (u32::from(vlan.id), u32::from(vlan.qos));
            let info = VfVlanInfo::new(id, tag, qos, vlan.protocol.ethertype().into());
            VfInfo::VlanList(vec![VfVlan::Info(info)])
        }
        VfAttribute::Rate(rate) => VfInfo::Rate(VfInfoRate::new(id, rate.min, rate.max)),
        VfAttribute::SpoofCheck(on) => VfInfo::SpoofCheck(VfInfoSpoofCheck::new(id, on)),
        VfAttribute::Trust(on) => VfInfo::Trust(VfInfoTrust::new(id, on)),
        VfAttribute::LinkState(state) => VfInfo::LinkState(VfInfoLinkState::new(
            id,
            match state {
                LinkState::Auto => VfLinkState::Auto,
                LinkState::Enable => VfLinkState::Enable,
                LinkState::Disable => VfLinkState::Disable,
            },
        )),
        VfAttribute::RssQuery(on) => VfInfo::RssQueryEn(VfInfoRssQueryEn::new(id, on)),
        VfAttribute::NodeGuid(guid) => VfInfo::IbNodeGuid(VfInfoGuid::new(id, guid)),
        VfAttribute::PortGuid(guid) => VfInfo::IbPortGuid(VfInfoGuid::new(id, guid)),
    }
}
