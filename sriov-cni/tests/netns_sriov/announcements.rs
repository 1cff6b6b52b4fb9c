//! What the neighbours hear after ADD.

use std::os::fd::{AsRawFd, OwnedFd};

use host::netlink::create::NewLink;
use host::netlink::link::LinkChange;
use host::netlink::route::Route;
use host::testing::netns::fresh;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};

use super::*;

/// Hears every frame of the namespace it is opened in.
fn listen() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        SockProtocol::EthAll,
    )
    .unwrap();
    let second = nix::sys::time::TimeVal::new(5, 0);
    setsockopt(&socket, sockopt::ReceiveTimeout, &second).unwrap();
    socket
}

/// The next frame that came in (not one that this side sent) and is wanted, with the index of its interface.
fn hear(socket: &OwnedFd, wanted: impl Fn(&[u8]) -> bool) -> (usize, Vec<u8>) {
    const OUTGOING: u8 = 4;
    let mut buffer = [0; 256];
    loop {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Ok((length, from)) => {
                let from = from.unwrap();
                if from.pkttype() != OUTGOING && wanted(&buffer[..length]) {
                    return (from.ifindex(), buffer[..length].to_vec());
                }
            }
            Err(Errno::EINTR) => {}
            Err(errno) => panic!("nothing was heard: {errno}"),
        }
    }
}

fn is_arp_for(frame: &[u8], address: [u8; 4]) -> bool {
    frame.len() >= 42
        && frame[12..14] == [8, 6]
        && frame[28..32] == address
        && frame[38..42] == address
}

fn is_override_advertisement_for(frame: &[u8], address: std::net::Ipv6Addr) -> bool {
    frame.len() >= 86
        && frame[12..14] == [0x86, 0xdd]
        && frame[54] == 136
        && frame[58] == 0x20
        && frame[62..78] == address.octets()
}

#[test]
fn both_families_are_announced_through_the_attachments_own_interface() {
    let mut world = World::new();
    let pod = fresh();
    // A first interface of the pod that has the first multicast route.
    let mut netlink = pod.netns.netlink().unwrap();
    netlink
        .create_link("eth0", NewLink::Veth { peer: "elsewhere" })
        .unwrap();
    for name in ["elsewhere", "eth0"] {
        let index = netlink.link_by_name(name).unwrap().unwrap().index;
        netlink
            .change_link(
                index,
                &LinkChange {
                    up: Some(true),
                    ..LinkChange::default()
                },
            )
            .unwrap();
    }
    let eth0 = netlink.link_by_name("eth0").unwrap().unwrap().index;
    let multicast = Route::new("ff00::/8".parse().unwrap(), eth0, None);
    match netlink.add_route(&multicast) {
        Err(error) if error.kind() == host::error::Kind::Exists => {}
        other => other.unwrap(),
    }
    let inside = pod.netns.run(listen).unwrap();
    let wire = listen();
    let result = world.add(&pod.netns, &with_ipam()).unwrap();
    let mac: host::mac::MacAddress = result.interfaces[0].mac.parse().unwrap();

    // In the order in which they are sent.
    let address = "2001:db8::5".parse().unwrap();
    let (index, advertisement) = hear(&wire, |frame| is_override_advertisement_for(frame, address));
    assert_eq!(
        index,
        world.lab.host.link_by_name("wire").unwrap().unwrap().index as usize
    );
    assert_eq!(advertisement[80..86], mac.0);
    let (index, arp) = hear(&wire, |frame| is_arp_for(frame, [192, 0, 2, 5]));
    assert_eq!(
        index,
        world.lab.host.link_by_name("wire").unwrap().unwrap().index as usize
    );
    assert_eq!(
        (&arp[..6], &arp[6..12], &arp[22..28]),
        (&[0xff; 6][..], &mac.0[..], &mac.0[..])
    );

    // Nothing of it went through eth0 to the pair's other end, which would have been heard inside.
    setsockopt(
        &inside,
        sockopt::ReceiveTimeout,
        &nix::sys::time::TimeVal::new(0, 1),
    )
    .unwrap();
    let mut buffer = [0; 256];
    while let Ok((length, Some(from))) = recvfrom::<LinkAddr>(inside.as_raw_fd(), &mut buffer) {
        let frame = &buffer[..length];
        let ours =
            is_arp_for(frame, [192, 0, 2, 5]) || is_override_advertisement_for(frame, address);
        let name = netlink
            .link(u32::try_from(from.ifindex()).unwrap())
            .unwrap()
            .unwrap()
            .name;
        assert!(!ours || name == "net1", "announced through {name}");
    }
}
