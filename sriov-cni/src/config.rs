//! What is asked of one attachment: the network configuration, validated.
//!
//! [`RawConfig`] is what the bytes say (Go's rules: keys in any letter case, `null` is absent, unknown keys ignored);
//! [`Config`] is what may be carried out. Internal state of the Go plugin that stdin may carry (`Master`, `VFID`, `MTU`,
//! `OrigVfState`) is never read. Rules: spec/sriov-cni.md §1.

mod device;
mod fallback;
mod link;
mod mac;
mod raw;
mod reset;
mod vlan;

use cni::args::Args;
use cni::version::Version;
use host::mac::MacAddress;
use host::netlink::address::Detection;
use host::netlink::vf::{LinkState, Vlan};
use host::pci::PciAddress;

pub use fallback::{Fallback, slot};
pub use link::Interface;
pub use raw::{Network, RawConfig, Unreadable};
pub use reset::ResetPolicy;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What every command needs of the network.
    pub network: Network,
    /// The VF to hand out.
    pub vf: PciAddress,
    /// Address wanted for the VF; `None` leaves the address alone.
    pub mac: Option<MacAddress>,
    /// VLAN wanted; `None` leaves it alone, id 0 means "no VLAN".
    pub vlan: Option<Vlan>,
    /// Lowest transmit rate in Mbit/s; `None` leaves it alone.
    pub min_tx_rate: Option<u32>,
    /// Highest transmit rate in Mbit/s, 0 for no limit; `None` leaves it alone.
    pub max_tx_rate: Option<u32>,
    /// Source address check of the NIC; `None` leaves it alone.
    pub spoofchk: Option<bool>,
    /// Trust of the VF; `None` leaves it alone.
    pub trust: Option<bool>,
    /// Link state as the VF sees it; `None` leaves it alone.
    pub link_state: Option<LinkState>,
    /// What is wanted of its own interface.
    pub interface: Interface,
    /// How IPv6 makes sure that nobody else has an address.
    pub ipv6_dad: Detection,
    /// The neighbours are told of the pod's addresses.
    pub announce: bool,
    /// What the VF goes back to.
    pub reset_policy: ResetPolicy,
    /// What was taken otherwise than it is written, for the log.
    pub warnings: Vec<String>,
}

/// A value that cannot be carried out: which key, which value, and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key} {value}: {problem}")]
pub struct Invalid {
    /// The key of the configuration, or where else the value came from.
    pub key: &'static str,
    /// The value as written.
    pub value: String,
    /// What is wrong and what is right.
    pub problem: String,
}

impl Invalid {
    pub(crate) fn new(
        key: &'static str,
        value: impl std::fmt::Display,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            key,
            value: format!("{value}"),
            problem: problem.into(),
        }
    }
}

impl Config {
    /// Checks every rule of spec/sriov-cni.md §1.1 and §1.2. `args` is the content of `CNI_ARGS`.
    pub fn new(raw: RawConfig, args: &Args) -> Result<Self, Invalid> {
        fallback::slot(&raw)?;
        let vf = device::choose(&raw)?;
        let mac = mac::choose(&raw, args)?;
        let vlan = vlan::validate(raw.vlan, raw.vlan_qos, raw.vlan_proto.as_deref())?;
        let min_tx_rate = rate("min_tx_rate", raw.min_tx_rate)?;
        let max_tx_rate = rate("max_tx_rate", raw.max_tx_rate)?;
        if let (Some(min), Some(max)) = (min_tx_rate, max_tx_rate)
            && max != 0
            && min > max
        {
            return Err(Invalid::new(
                "min_tx_rate",
                min,
                format!(
                    "greater than max_tx_rate {max}; lower it, or set max_tx_rate 0 for no limit"
                ),
            ));
        }
        let mut warnings = Vec::new();
        Ok(Self {
            vf,
            mac,
            vlan,
            min_tx_rate,
            max_tx_rate,
            spoofchk: switch(
                "spoofchk",
                raw.spoofchk.as_deref(),
                raw.strict,
                &mut warnings,
            )?,
            trust: switch("trust", raw.trust.as_deref(), raw.strict, &mut warnings)?,
            link_state: link_state(raw.link_state.as_deref())?,
            interface: Interface::new(&raw)?,
            ipv6_dad: link::detection(raw.ipv6_dad.as_deref())?,
            announce: raw.announce,
            reset_policy: reset::policy(raw.reset_policy.as_deref())?,
            warnings,
            network: raw.network,
        })
    }
}

/// The result can be printed in the configured version. 0.1.0 and 0.2.0 have no place for an attachment without
/// addresses; upstream notices when the VF is already in the pod (spec/sriov-cni.md §2.5).
pub fn printable(network: &Network) -> Result<(), Invalid> {
    if network.version < Version::V0_3_0 && network.ipam.is_none() {
        return Err(Invalid::new(
            "cniVersion",
            network.version,
            // The first words are upstream's; tools match them.
            "cannot convert: no valid IP addresses; add ipam or use cniVersion 0.3.0 or newer",
        ));
    }
    Ok(())
}

/// Mbit/s that fit the kernel's field.
fn rate(key: &'static str, value: Option<i64>) -> Result<Option<u32>, Invalid> {
    value
        .map(|rate| {
            u32::try_from(rate)
                .map_err(|_| Invalid::new(key, rate, "give Mbit/s, 0 or more; 0 means no limit"))
        })
        .transpose()
}

/// `on` or `off`. Upstream takes any typing error for `off`; `"strict": false` brings that back.
fn switch(
    key: &'static str,
    value: Option<&str>,
    strict: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<bool>, Invalid> {
    match value {
        None | Some("") => Ok(None),
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(other) if !strict => {
            warnings.push(format!("{key} {other:?} is taken for \"off\""));
            Ok(Some(false))
        }
        Some(other) => Err(Invalid::new(
            key,
            format!("{other:?}"),
            "give \"on\" or \"off\"",
        )),
    }
}

fn link_state(value: Option<&str>) -> Result<Option<LinkState>, Invalid> {
    match value {
        None | Some("") => Ok(None),
        Some("auto") => Ok(Some(LinkState::Auto)),
        Some("enable") => Ok(Some(LinkState::Enable)),
        Some("disable") => Ok(Some(LinkState::Disable)),
        Some(other) => Err(Invalid::new(
            "link_state",
            format!("{other:?}"),
            "give \"auto\", \"enable\" or \"disable\"",
        )),
    }
}

#[cfg(test)]
mod tests;
