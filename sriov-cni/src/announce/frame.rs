//! The two frames, byte by byte (RFC 826 and RFC 5227; RFC 4861 §4.4; values of spec/sriov-cni.md §2.3).

use std::net::{Ipv4Addr, Ipv6Addr};

use host::mac::MacAddress;

const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const NEXT_HEADER_ICMPV6: u8 = 58;

/// ARP request for one's own address, to everyone.
pub(super) fn gratuitous_arp(mac: MacAddress, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac.0);
    frame.extend(address.octets());
    frame.extend(BROADCAST);
    frame.extend(address.octets());
    frame
}

/// Unsolicited neighbour advertisement with the override flag, to all nodes of the link.
pub(super) fn neighbour_advertisement(mac: MacAddress, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(mac.0);
    let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
    let sum = checksum(address, length, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = ethernet(ALL_NODES_MAC, mac, 0x86dd);
    frame.extend([0x60, 0, 0, 0, 0, length, NEXT_HEADER_ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

fn ethernet(to: [u8; 6], from: MacAddress, protocol: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(86);
    frame.extend(to);
    frame.extend(from.0);
    frame.extend(protocol.to_be_bytes());
    frame
}

/// Internet checksum over the IPv6 pseudo header and the message (RFC 8200 §8.1).
fn checksum(source: Ipv6Addr, length: u8, message: &[u8]) -> u16 {
    let header = [0, 0, 0, length, 0, 0, 0, NEXT_HEADER_ICMPV6];
    let bytes: Vec<u8> = [&source.octets()[..], &ALL_NODES.octets(), &header, message].concat();
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn a_gratuitous_arp_is_a_broadcast_request_for_the_own_address() {
        let frame = gratuitous_arp(MAC, Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(frame.len(), 42);
        assert_eq!(
            frame[..14],
            [
                255, 255, 255, 255, 255, 255, 2, 0, 0, 0x12, 0x34, 0x56, 8, 6
            ]
        );
        assert_eq!(frame[20..22], [0, 1], "request");
        assert_eq!(frame[22..32], [2, 0, 0, 0x12, 0x34, 0x56, 192, 0, 2, 1]);
        assert_eq!(frame[32..], [255, 255, 255, 255, 255, 255, 192, 0, 2, 1]);
    }

    #[test]
    fn a_neighbour_advertisement_overrides_and_its_checksum_is_right() {
        let address: Ipv6Addr = "2001:db8::5".parse().unwrap();
        let frame = neighbour_advertisement(MAC, address);
        assert_eq!(frame.len(), 14 + 40 + 32);
        assert_eq!(frame[..6], ALL_NODES_MAC);
        assert_eq!(frame[21], 255, "hop limit");
        assert_eq!(frame[54..56], [136, 0]);
        assert_eq!(frame[58..62], [0x20, 0, 0, 0], "override only");
        assert_eq!(frame[62..78], address.octets());
        assert_eq!(frame[78..], [2, 1, 2, 0, 0, 0x12, 0x34, 0x56]);
        // A message that carries its checksum sums up to zero.
        assert_eq!(checksum(address, 32, &frame[54..]), 0);
    }
}
