//! Traffic counters of VFs, as the PF's driver tells them (`IFLA_VF_STATS`).

use crate::error::Result;
use crate::netlink::Netlink;
use crate::netlink::attribute::{attributes, u32_at, u64_at};
use crate::netlink::message::{LinkQuestion, RTM_GETLINK};
use crate::netlink::transport::Reply;
use crate::netlink::vf::Pf;

/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;
const IFLA_VFINFO_LIST: u16 = 22;
const IFLA_VF_INFO: u16 = 1;
const IFLA_VF_MAC: u16 = 1;
const IFLA_VF_STATS: u16 = 8;

/// Counters of one VF since its driver or its PF's began to count. All zero if the driver does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VfCounters {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Broadcast packets received.
    pub rx_broadcast: u64,
    /// Multicast packets received.
    pub rx_multicast: u64,
    /// Packets not received.
    pub rx_dropped: u64,
    /// Packets not sent.
    pub tx_dropped: u64,
}

impl VfCounters {
    /// Each with its name in sysfs.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("rx_packets", self.rx_packets),
            ("tx_packets", self.tx_packets),
            ("rx_bytes", self.rx_bytes),
            ("tx_bytes", self.tx_bytes),
            ("rx_broadcast", self.rx_broadcast),
            ("rx_multicast", self.rx_multicast),
            ("rx_dropped", self.rx_dropped),
            ("tx_dropped", self.tx_dropped),
        ]
    }
}

impl Netlink {
    /// Counters of a PF's VFs by index, ordered. The answer must fit into 64 KiB, which is enough for some 150 VFs;
    /// beyond that the kernel refuses.
    pub fn vf_counters(&mut self, pf: &Pf) -> Result<Vec<(u32, VfCounters)>> {
        let question = LinkQuestion {
            index: pf.index,
            vfs: true,
            statistics: true,
            ..LinkQuestion::default()
        };
        let reply = self.transport.ask(RTM_GETLINK, &question);
        let reply =
            reply.map_err(|failure| failure.during(format!("read the counters of VFs of {pf}")))?;
        Ok(decode(&reply))
    }
}

fn decode(reply: &Reply) -> Vec<(u32, VfCounters)> {
    let message = reply.payload.get(HEADER..).unwrap_or_default();
    let lists = attributes(message).filter(|(kind, _)| *kind == IFLA_VFINFO_LIST);
    let nests = lists
        .flat_map(|(_, list)| attributes(list))
        .filter(|(kind, _)| *kind == IFLA_VF_INFO);
    let mut counters: Vec<(u32, VfCounters)> = nests.filter_map(|(_, nest)| one(nest)).collect();
    counters.sort_unstable_by_key(|(index, _)| *index);
    counters
}

fn one(nest: &[u8]) -> Option<(u32, VfCounters)> {
    let find = |wanted| attributes(nest).find(|(kind, _)| *kind == wanted);
    let index = u32_at(find(IFLA_VF_MAC)?.1, 0)?;
    let mut counters = VfCounters::default();
    for (kind, value) in attributes(find(IFLA_VF_STATS)?.1) {
        let counter = match kind {
            0 => &mut counters.rx_packets,
            1 => &mut counters.tx_packets,
            2 => &mut counters.rx_bytes,
            3 => &mut counters.tx_bytes,
            4 => &mut counters.rx_broadcast,
            5 => &mut counters.rx_multicast,
            7 => &mut counters.rx_dropped,
            8 => &mut counters.tx_dropped,
            _ => continue,
        };
        *counter = u64_at(value, 0)?;
    }
    Some((index, counters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::append;

    fn nest(index: u32, with_counters: bool) -> Vec<u8> {
        let mut nest = Vec::new();
        append(
            &mut nest,
            IFLA_VF_MAC,
            &[&index.to_ne_bytes()[..], &[0; 32]].concat(),
        );
        if with_counters {
            let mut counters = Vec::new();
            for (kind, value) in [(0_u16, 11_u64), (3, 44), (6, 99), (8, 88)] {
                append(&mut counters, kind, &value.to_ne_bytes());
            }
            append(&mut nest, IFLA_VF_STATS, &counters);
        }
        nest
    }

    #[test]
    fn counters_are_read_by_vf_and_a_vf_without_any_is_left_out() {
        let mut list = Vec::new();
        for (index, with_counters) in [(5, true), (2, false), (1, true)] {
            append(&mut list, IFLA_VF_INFO, &nest(index, with_counters));
        }
        let mut payload = vec![0; HEADER];
        append(&mut payload, IFLA_VFINFO_LIST, &list);
        let read = decode(&Reply { kind: 16, payload });
        let expected = VfCounters {
            rx_packets: 11,
            tx_bytes: 44,
            tx_dropped: 88,
            ..VfCounters::default()
        };
        assert_eq!(read, [(1, expected), (5, expected)]);
    }
}
