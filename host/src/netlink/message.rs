//! What is sent: a message's number, and the part after the header.
//!
//! rtnetlink's own enum of all messages is avoided: through it the linker would keep the writers of traffic control,
//! neighbours, rules and all the rest in every CNI binary. For the same reason links are asked for by [`LinkQuestion`],
//! which is all that a program needs that never changes a link.

use rtnetlink::packet_core::Emitable;

/// Makes a link.
#[cfg(feature = "testing")]
pub(super) const RTM_NEWLINK: u16 = 16;
/// Deletes a link.
pub(super) const RTM_DELLINK: u16 = 17;
/// Asks for links.
pub(super) const RTM_GETLINK: u16 = 18;
/// Changes a link.
pub(super) const RTM_SETLINK: u16 = 19;
/// Adds an address.
pub(super) const RTM_NEWADDR: u16 = 20;
/// Removes an address.
pub(super) const RTM_DELADDR: u16 = 21;
/// Asks for addresses.
pub(super) const RTM_GETADDR: u16 = 22;
/// Adds a route.
pub(super) const RTM_NEWROUTE: u16 = 24;
/// Removes a route.
pub(super) const RTM_DELROUTE: u16 = 25;
/// Asks for routes.
pub(super) const RTM_GETROUTE: u16 = 26;
/// Adds properties of a link, i.e. alternative names.
pub(super) const RTM_NEWLINKPROP: u16 = 108;
/// Removes properties of a link.
pub(super) const RTM_DELLINKPROP: u16 = 109;

/// Answers without the statistics of every protocol, which are half of an answer.
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
/// Answers with the list of VFs.
const RTEXT_FILTER_VF: u32 = 1;

const IFLA_IFNAME: u16 = 3;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_ALT_IFNAME: u16 = 53;

/// Asks for one link, or in a dump for all.
#[derive(Debug, Default)]
pub(super) struct LinkQuestion<'a> {
    /// Its index; 0 if asked for by name or for all.
    pub(super) index: u32,
    /// Its name or an alternative name.
    pub(super) name: Option<&'a str>,
    /// With the list of its VFs.
    pub(super) vfs: bool,
    /// With statistics, its own and those of its VFs.
    pub(super) statistics: bool,
}

impl LinkQuestion<'_> {
    fn bytes(&self) -> Vec<u8> {
        // struct ifinfomsg: family, padding, type, index, flags, change mask.
        let mut bytes = vec![0; 4];
        bytes.extend(self.index.to_ne_bytes());
        bytes.extend([0; 8]);
        if let Some(name) = self.name {
            // Longer texts than a name can have may be alternative names, which have an attribute of their own.
            let alternative = name.len() >= nix::libc::IFNAMSIZ;
            let kind = if alternative {
                IFLA_ALT_IFNAME
            } else {
                IFLA_IFNAME
            };
            append(&mut bytes, kind, &[name.as_bytes(), &[0]].concat());
        }
        let vfs = if self.vfs { RTEXT_FILTER_VF } else { 0 };
        let skipped = if self.statistics {
            0
        } else {
            RTEXT_FILTER_SKIP_STATS
        };
        let mask = skipped | vfs;
        append(&mut bytes, IFLA_EXT_MASK, &mask.to_ne_bytes());
        bytes
    }
}

impl Emitable for LinkQuestion<'_> {
    fn buffer_len(&self) -> usize {
        self.bytes().len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let bytes = self.bytes();
        buffer[..bytes.len()].copy_from_slice(&bytes);
    }
}

/// An attribute: length, kind, value, padding to four bytes. A value that is too long for its length field would be
/// cut; names come here only after the kernel's own limit, and the mask is four bytes.
pub(super) fn append(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let value = &value[..value.len().min(1024)];
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

    use super::*;

    fn of_rtnetlink(message: &LinkMessage) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn a_question_by_name_is_written_as_rtnetlink_writes_it() {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName("ens1f0".into()),
            LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]),
        ];
        let question = LinkQuestion {
            name: Some("ens1f0"),
            ..LinkQuestion::default()
        };
        assert_eq!(question.bytes(), of_rtnetlink(&message));
    }

    #[test]
    fn a_question_for_vfs_by_index_is_written_as_rtnetlink_writes_it() {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.attributes = vec![LinkAttribute::ExtMask(vec![
            LinkExtentMask::Vf,
            LinkExtentMask::SkipStats,
        ])];
        let question = LinkQuestion {
            index: 7,
            vfs: true,
            ..LinkQuestion::default()
        };
        assert_eq!(question.bytes(), of_rtnetlink(&message));
    }
}
