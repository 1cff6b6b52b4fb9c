use host::error::Kind;
use host::mac::MacAddress;
use host::netlink::Netlink;
use host::netlink::vf::{LinkState, Pf, Rate, VfAttribute, VfControl, Vlan, VlanProtocol};
use host::testing::netns::own_netlink;
use rtnetlink::packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, LinkVfInfo, VfInfo};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::{chain, pair};

const EOPNOTSUPP: i32 = 95;
const ERANGE: i32 = 34;

/// A veth in the role of a PF: the kernel checks the form of every attribute before it finds that the driver has no
/// such function. So EOPNOTSUPP proves the form, and a wrong form gives another error.
fn pf(netlink: &mut Netlink) -> Pf {
    let (index, _) = pair(netlink, "pf0", "peer");
    Pf {
        index,
        name: "pf0".into(),
        address: "0000:3b:00.0".parse().unwrap(),
    }
}

fn attributes() -> Vec<VfAttribute> {
    vec![
        VfAttribute::Mac(MacAddress([2, 0, 0, 0, 0, 1])),
        VfAttribute::Vlan(Vlan {
            id: 100,
            qos: 3,
            protocol: VlanProtocol::Dot1Ad,
        }),
        VfAttribute::Rate(Rate { min: 10, max: 100 }),
        VfAttribute::SpoofCheck(true),
        VfAttribute::Trust(true),
        VfAttribute::LinkState(LinkState::Enable),
        VfAttribute::RssQuery(true),
        VfAttribute::NodeGuid(1),
        VfAttribute::PortGuid(2),
    ]
}

#[test]
fn every_vf_attribute_has_the_form_that_the_kernel_expects() {
    let mut netlink = own_netlink();
    let pf = pf(&mut netlink);
    for attribute in attributes() {
        let error = netlink.set_vf(&pf, 3, &[attribute]).unwrap_err();
        assert_eq!(error.errno(), Some(EOPNOTSUPP), "{attribute}");
        assert_eq!(error.kind(), Kind::Unsupported);
        let text = chain(&error);
        let name = attribute.to_string();
        let name = name.split(' ').next().unwrap();
        assert!(text.starts_with(&format!("set {name}")), "{text}");
        assert!(
            text.contains(" on vf 3 of pf0 (0000:3b:00.0) to "),
            "{text}"
        );
    }
}

#[test]
fn all_vf_attributes_fit_in_one_message_and_the_refused_one_is_named() {
    let mut netlink = own_netlink();
    let pf = pf(&mut netlink);
    let error = netlink.set_vf(&pf, 0, &attributes()).unwrap_err();
    assert_eq!(
        chain(&error),
        "set MAC on vf 0 of pf0 (0000:3b:00.0) to 02:00:00:00:00:01: operation not supported"
    );
    netlink.set_vf(&pf, 0, &[]).unwrap();
}

#[test]
fn a_vf_attribute_of_wrong_form_is_refused_differently() {
    let mut netlink = own_netlink();
    let pf = pf(&mut netlink);
    assert_eq!(errno_of_raw_mac(pf.index, 36), EOPNOTSUPP);
    assert_eq!(errno_of_raw_mac(pf.index, 4), ERANGE);
}

#[test]
fn a_link_without_vfs_has_none() {
    let mut netlink = own_netlink();
    let pf = pf(&mut netlink);
    assert!(netlink.vfs(&pf).unwrap().is_empty());
    assert_eq!(netlink.vf(&pf, 0).unwrap(), None);
}

#[test]
fn a_pf_that_is_gone_is_not_found() {
    let mut netlink = own_netlink();
    let pf = Pf {
        index: 4711,
        name: "gone".into(),
        address: "0000:3b:00.0".parse().unwrap(),
    };
    assert_eq!(netlink.vfs(&pf).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(
        netlink.set_vf(&pf, 0, &attributes()).unwrap_err().kind(),
        Kind::NotFound
    );
}

/// Sends `IFLA_VF_MAC` with a block of `length` bytes, without the crate under test.
fn errno_of_raw_mac(index: u32, length: usize) -> i32 {
    let block = VfInfo::Other(DefaultNla::new(1, vec![0; length]));
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes
        .push(LinkAttribute::VfInfoList(vec![LinkVfInfo(vec![block])]));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::SetLink(link));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .unwrap()
        .payload
    {
        NetlinkPayload::Error(error) => -error.raw_code(),
        other => panic!("{other:?}"),
    }
}
