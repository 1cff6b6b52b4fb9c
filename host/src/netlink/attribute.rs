//! Attributes of a netlink message, read from raw bytes.
//!
//! Messages to the kernel are built with rtnetlink's types. Replies are read here instead, because those types lose
//! what matters (an unreported setting becomes `false`) and fail for a whole dump over one attribute they do not know.

use std::net::IpAddr;

use crate::mac::MacAddress;

/// Iterates over the attributes of a block; stops at the first one that does not fit.
pub(super) fn attributes(mut block: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(block, 0)?);
        // The top bits flag nesting and byte order.
        let kind = u16_at(block, 2)? & 0x3fff;
        let value = block.get(4..length)?;
        block = block.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*bytes))
}

/// A string up to its terminating zero.
pub(super) fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// A hardware address of exactly six bytes; others (InfiniBand has twenty) are not Ethernet.
pub(super) fn mac(value: &[u8]) -> Option<MacAddress> {
    (value.len() == 6).then(|| MacAddress::from_bytes(value))?
}

/// An address of four or sixteen bytes.
pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(value) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_with_padding_and_without_flag_bits() {
        let mut block = Vec::new();
        block.extend(5u16.to_ne_bytes());
        block.extend(3u16.to_ne_bytes());
        block.extend([7, 0, 0, 0]);
        block.extend(8u16.to_ne_bytes());
        block.extend((0x16_u16 | 0x8000).to_ne_bytes());
        block.extend(9u32.to_ne_bytes());
        let read: Vec<_> = attributes(&block).collect();
        assert_eq!(read, [(3, &[7u8][..]), (22, &9u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn a_cut_or_senseless_block_ends_the_reading() {
        assert_eq!(attributes(&[8, 0, 1, 0, 1]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[4, 0]).count(), 0);
    }

    #[test]
    fn only_six_bytes_are_an_ethernet_address() {
        assert_eq!(
            mac(&[2, 0, 0, 0, 0, 1]),
            Some(MacAddress([2, 0, 0, 0, 0, 1]))
        );
        assert_eq!(mac(&[0; 20]), None);
        assert_eq!(mac(&[]), None);
    }
}
