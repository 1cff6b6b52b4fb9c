//! What a VF was when it was made and nobody had used it: a file per VF, which `sriovdp provision` writes where it is in
//! use (spec/ecosystem.md §1.4 rule f). It counts for one boot.

use std::path::Path;

use host::file;
use host::netlink::vf::{VfAttribute, VfState};
use host::pci::PciAddress;
use serde::Deserialize;

use crate::record::{Netdev, Original};

/// The version of the format that is understood.
const FORMAT: u32 = 1;

/// A VF that nobody has used in this boot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Baseline {
    format: u32,
    boot: String,
    /// Its driver.
    pub driver: Option<String>,
    /// What it was.
    pub original: Original,
}

impl Baseline {
    /// The VF's baseline; `None` if none was written in this boot that can be read.
    pub fn read(state: &Path, vf: PciAddress, boot: &str) -> Option<Self> {
        let path = state.join("baseline").join(vf.to_string());
        let read = file::read_record::<Self>(&path).ok().flatten();
        read.filter(|baseline| baseline.format == FORMAT && baseline.boot == boot)
    }
}

/// Every attribute of a state that an ADD can change and that the driver tells. The address is left alone: many drivers
/// show the VF's own one.
pub fn attributes(state: &VfState) -> Vec<VfAttribute> {
    let told = [
        Some(VfAttribute::Vlan(state.vlan)),
        Some(VfAttribute::Rate(state.rate)),
        state.spoof_check.map(VfAttribute::SpoofCheck),
        state.trust.map(VfAttribute::Trust),
        Some(VfAttribute::LinkState(state.link_state)),
    ];
    told.into_iter().flatten().collect()
}

/// In words, what of an interface is not as it was. Up or down is the administrator's business while the VF is free.
pub fn differences(before: &Netdev, now: &Netdev) -> Vec<String> {
    fn number(value: Option<u32>) -> Option<String> {
        value.map(|value| value.to_string())
    }
    fn switch(value: Option<bool>) -> Option<String> {
        value.map(|on| if on { "on" } else { "off" }.to_owned())
    }
    let properties = |netdev: &Netdev| {
        [
            ("name", Some(netdev.name.clone())),
            ("address", netdev.address.map(|address| address.to_string())),
            ("mtu", number(netdev.mtu)),
            ("txqlen", number(netdev.tx_queue_len)),
            ("promiscuous", switch(netdev.promiscuous)),
            ("allmulticast", switch(netdev.all_multicast)),
        ]
    };
    let pairs = properties(before).into_iter().zip(properties(now));
    pairs
        .filter_map(|((what, before), (_, now))| {
            let (before, now) = before.zip(now)?;
            (before != now).then(|| format!("{what} {now} instead of {before}"))
        })
        .collect()
}
