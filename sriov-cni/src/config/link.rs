//! What is wanted of the VF's own interface and of announcements, beyond what upstream has (spec/sriov-cni.md §1.4).

use host::netlink::address::Detection;

use super::{Invalid, RawConfig};

/// The smallest MTU of IPv4, which the kernel asks of an Ethernet interface.
const SMALLEST_MTU: u32 = 68;

/// The largest packet of either family.
const LARGEST_MTU: u32 = 65_535;

/// The kernel allocates room for the whole queue, so a network must not ask for all of the node's memory.
const LONGEST_QUEUE: u32 = 1_000_000;

/// Properties wanted of the VF's interface. `None` leaves a property alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interface {
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Promiscuous mode.
    pub promisc: Option<bool>,
    /// All-multicast mode.
    pub allmulti: Option<bool>,
    /// Length of the transmit queue in packets.
    pub tx_queue_len: Option<u32>,
}

impl Interface {
    pub(super) fn new(raw: &RawConfig) -> Result<Self, Invalid> {
        Ok(Self {
            mtu: within("mtu", raw.mtu, SMALLEST_MTU, LARGEST_MTU, "bytes")?,
            promisc: raw.promisc,
            allmulti: raw.allmulti,
            tx_queue_len: within("txQLen", raw.tx_queue_len, 1, LONGEST_QUEUE, "packets")?,
        })
    }

    /// The first key that asks for something; a VF without an interface can have none of them.
    pub fn first_key(&self) -> Option<&'static str> {
        [
            ("mtu", self.mtu.is_some()),
            ("promisc", self.promisc.is_some()),
            ("allmulti", self.allmulti.is_some()),
            ("txQLen", self.tx_queue_len.is_some()),
        ]
        .into_iter()
        .find_map(|(key, asked)| asked.then_some(key))
    }
}

/// `optimistic` unless said otherwise: addresses are usable at once, and duplicates are found nevertheless.
pub(super) fn detection(value: Option<&str>) -> Result<Detection, Invalid> {
    match value {
        None | Some("" | "optimistic") => Ok(Detection::Optimistic),
        Some("on") => Ok(Detection::Normal),
        Some("off") => Ok(Detection::Skip),
        Some(other) => Err(Invalid::new(
            "ipv6Dad",
            format!("{other:?}"),
            "give \"on\", \"optimistic\" or \"off\"",
        )),
    }
}

fn within(
    key: &'static str,
    value: Option<i64>,
    least: u32,
    most: u32,
    unit: &str,
) -> Result<Option<u32>, Invalid> {
    value
        .map(|value| {
            u32::try_from(value)
                .ok()
                .filter(|value| (least..=most).contains(value))
                .ok_or_else(|| Invalid::new(key, value, format!("give {least} to {most} {unit}")))
        })
        .transpose()
}
