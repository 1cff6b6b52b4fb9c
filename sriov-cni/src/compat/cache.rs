//! The Go plugin's cache of one attachment: the merged configuration with its internal state, keys sorted.

use std::collections::BTreeMap;

use cni::plugin::Attachment;
use cni::raw::{Object, raw};
use host::mac::MacAddress;
use host::netlink::vf::{LinkState, Rate, VfAttribute, VfState, Vlan, VlanProtocol};
use host::pci::PciAddress;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::record::{FORMAT, Ipam, Mode, Netdev, Original, Phase, Record};

/// What the cache holds and a record does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Name of the PF's interface.
    pub pf_name: String,
    /// Index of the VF.
    pub index: u32,
    /// MTU that the result told.
    pub mtu: u32,
    /// Address that was asked.
    pub mac: Option<MacAddress>,
}

/// `IFLA_VF_LINK_STATE_*`, as the Go plugin stores them.
const LINK_STATES: [(LinkState, i64); 3] = [
    (LinkState::Auto, 0),
    (LinkState::Enable, 1),
    (LinkState::Disable, 2),
];

#[derive(Deserialize)]
struct Cache {
    #[serde(default)]
    name: String,
    #[serde(rename = "deviceID")]
    device_id: PciAddress,
    #[serde(default)]
    ipam: Kind,
    vlan: Option<i64>,
    min_tx_rate: Option<i64>,
    max_tx_rate: Option<i64>,
    #[serde(default)]
    spoofchk: String,
    #[serde(default)]
    trust: String,
    #[serde(default)]
    link_state: String,
    #[serde(default, rename = "MAC")]
    mac: String,
    #[serde(rename = "OrigVfState")]
    before: Before,
}

#[derive(Default, Deserialize)]
struct Kind {
    #[serde(default)]
    r#type: String,
}

/// The VF before, with the names and the order of the Go type.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Before {
    #[serde(rename = "HostIFName")]
    host_ifname: String,
    spoof_chk: bool,
    trust: bool,
    #[serde(rename = "AdminMAC")]
    admin_mac: String,
    #[serde(rename = "EffectiveMAC")]
    effective_mac: String,
    vlan: i64,
    #[serde(rename = "VlanQoS")]
    vlan_qos: i64,
    vlan_proto: i64,
    min_tx_rate: u32,
    max_tx_rate: u32,
    link_state: i64,
    #[serde(rename = "MTU")]
    mtu: u32,
}

/// The cache as a record; `None` if it names no VF or is no cache.
pub(super) fn read(bytes: &[u8], attachment: &Attachment) -> Option<Record> {
    let cache: Cache = serde_json::from_slice(bytes).ok()?;
    let before = state(&cache.before);
    let kernel = !cache.before.host_ifname.is_empty();
    let mac: Option<MacAddress> = cache.mac.parse().ok();
    // Values do not matter: undo asks which attributes were set, and the record's state says to what.
    let attributes = [
        cache.vlan.map(|_| VfAttribute::Vlan(before.vlan)),
        mac.map(VfAttribute::Mac),
        cache
            .min_tx_rate
            .or(cache.max_tx_rate)
            .map(|_| VfAttribute::Rate(before.rate)),
        (!cache.spoofchk.is_empty()).then_some(VfAttribute::SpoofCheck(cache.spoofchk == "on")),
        (!cache.trust.is_empty()).then_some(VfAttribute::Trust(cache.trust == "on")),
        (!cache.link_state.is_empty()).then_some(VfAttribute::LinkState(before.link_state)),
    ];
    Some(Record {
        format: FORMAT,
        attachment: attachment.clone(),
        network: cache.name,
        owner: None,
        vf: cache.device_id,
        pf: None,
        mode: if kernel {
            Mode::Kernel
        } else {
            Mode::Userspace
        },
        phase: Phase::Committed,
        original: Original {
            netdev: kernel.then(|| Netdev {
                name: cache.before.host_ifname.clone(),
                address: cache.before.effective_mac.parse().ok(),
                mtu: Some(cache.before.mtu).filter(|mtu| *mtu != 0),
                ..Netdev::default()
            }),
            attributes: Some(before),
        },
        attributes: attributes.into_iter().flatten().collect(),
        address: mac.filter(|_| kernel),
        mac_pinned: None,
        reset_function: false,
        ipam: (!cache.ipam.r#type.is_empty()).then_some(Ipam {
            r#type: cache.ipam.r#type,
            config: None,
            args: String::new(),
            path: String::new(),
        }),
    })
}

fn state(before: &Before) -> VfState {
    let is_dot1ad = before.vlan_proto == i64::from(VlanProtocol::Dot1Ad.ethertype());
    let link_state = LINK_STATES
        .iter()
        .find(|(_, number)| *number == before.link_state);
    VfState {
        id: 0,
        mac: before.admin_mac.parse().unwrap_or(MacAddress::ZERO),
        vlan: Vlan {
            id: u16::try_from(before.vlan).unwrap_or_default(),
            qos: u8::try_from(before.vlan_qos).unwrap_or_default(),
            protocol: if is_dot1ad {
                VlanProtocol::Dot1Ad
            } else {
                VlanProtocol::Dot1Q
            },
        },
        rate: Rate {
            min: before.min_tx_rate,
            max: before.max_tx_rate,
        },
        link_state: link_state.map_or(LinkState::Auto, |(state, _)| *state),
        // The Go plugin takes "not told" for on; a trust that a driver does not tell must not be switched on.
        spoof_check: Some(before.spoof_chk),
        trust: Some(before.trust),
        rss_query: None,
        node_guid: None,
        port_guid: None,
    }
}

/// The cache of a committed attachment.
pub(super) fn write(record: &Record, config: &Object, facts: &Facts) -> String {
    let mut cache: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    // What the Go plugin writes for every key it knows, in the letter case it writes.
    for key in ["cniVersion", "name", "type"] {
        cache.insert(key, given(config, key).unwrap_or_else(|| raw("")));
    }
    let has_vlan = given(config, "vlan").is_some();
    for key in ["vlan", "vlanQoS", "vlanProto", "min_tx_rate", "max_tx_rate"] {
        let absent = || match key {
            "vlanQoS" if has_vlan => raw(&0),
            "vlanProto" if has_vlan => raw("802.1q"),
            _ => raw(&()),
        };
        cache.insert(key, given(config, key).unwrap_or_else(absent));
    }
    for key in ["capabilities", "dns", "prevResult"] {
        cache.extend(given(config, key).map(|value| (key, value)));
    }
    for key in ["spoofchk", "trust", "link_state", "logLevel", "logFile"] {
        let value = given(config, key).filter(|value| value.get() != "\"\"");
        cache.extend(value.map(|value| (key, value)));
    }
    let empty = || Object::new().to_raw();
    cache.insert(
        "runtimeConfig",
        given(config, "runtimeConfig").unwrap_or_else(empty),
    );
    let mut ipam = Object::new();
    if let Some(used) = &record.ipam {
        ipam.set_str("type", &used.r#type);
    }
    cache.insert("ipam", ipam.to_raw());
    cache.insert("deviceID", raw(&record.vf));
    cache.insert("Master", raw(&facts.pf_name));
    cache.insert("MAC", raw(&text(facts.mac)));
    cache.insert("MTU", raw(&facts.mtu));
    cache.insert("VFID", raw(&facts.index));
    cache.insert("OrigVfState", raw(&before(record)));
    raw(&cache).get().to_owned()
}

/// The value as written; `null` is absent.
fn given(config: &Object, key: &str) -> Option<Box<RawValue>> {
    config
        .get_folded(key)
        .filter(|value| value.get() != "null")
        .map(ToOwned::to_owned)
}

fn before(record: &Record) -> Before {
    let netdev = record.original.netdev.clone().unwrap_or_default();
    let mut before = Before {
        host_ifname: netdev.name,
        effective_mac: text(netdev.address),
        mtu: netdev.mtu.unwrap_or_default(),
        ..Before::default()
    };
    if let Some(state) = &record.original.attributes {
        before.spoof_chk = state.spoof_check.unwrap_or(true);
        before.trust = state.trust.unwrap_or(false);
        before.admin_mac = state.mac.to_string();
        before.vlan = state.vlan.id.into();
        before.vlan_qos = state.vlan.qos.into();
        before.vlan_proto = state.vlan.protocol.ethertype().into();
        (before.min_tx_rate, before.max_tx_rate) = (state.rate.min, state.rate.max);
        let number = LINK_STATES
            .iter()
            .find(|(entry, _)| *entry == state.link_state);
        before.link_state = number.map_or(0, |(_, number)| *number);
    }
    before
}

fn text(mac: Option<MacAddress>) -> String {
    mac.map_or_else(String::new, |mac| mac.to_string())
}
