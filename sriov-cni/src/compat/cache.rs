//! The Go plugin's cache of one attachment: the merged configuration with its internal state, keys sorted.

use std::collections::BTreeMap;

use cni::plugin::Attachment;
use cni::raw::Object;
use host::mac::MacAddress;
use host::netlink::vf::{LinkState, Rate, VfAttribute, VfState, Vlan, VlanProtocol};
use host::pci::PciAddress;
use serde::Deserialize;
use serde_json::{Value, json};

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
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
        ipam: (!cache.ipam.r#type.is_empty()).then_some(Ipam {
            r#type: cache.ipam.r#type,
            config: None,
            args: String::new(),
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
    let mut cache: BTreeMap<&str, Value> = BTreeMap::new();
    // What the Go plugin writes for every key it knows, in the letter case it writes.
    for key in ["cniVersion", "name", "type"] {
        cache.insert(key, value(config, key).unwrap_or_else(|| json!("")));
    }
    for key in ["vlan", "vlanQoS", "vlanProto", "min_tx_rate", "max_tx_rate"] {
        cache.insert(key, value(config, key).unwrap_or(Value::Null));
    }
    if !cache["vlan"].is_null() {
        let defaults = [("vlanQoS", json!(0)), ("vlanProto", json!("802.1q"))];
        for (key, default) in defaults {
            let given = cache.insert(key, default);
            if let Some(given) = given.filter(|given| !given.is_null()) {
                cache.insert(key, given);
            }
        }
    }
    for key in ["capabilities", "dns", "prevResult"] {
        cache.extend(value(config, key).map(|value| (key, value)));
    }
    for key in ["spoofchk", "trust", "link_state", "logLevel", "logFile"] {
        cache.extend(
            value(config, key)
                .filter(|value| *value != json!(""))
                .map(|value| (key, value)),
        );
    }
    cache.insert(
        "runtimeConfig",
        value(config, "runtimeConfig").unwrap_or_else(|| json!({})),
    );
    cache.insert(
        "ipam",
        match &record.ipam {
            Some(ipam) => json!({ "type": ipam.r#type }),
            None => json!({}),
        },
    );
    cache.insert("deviceID", json!(record.vf));
    cache.insert("Master", json!(facts.pf_name));
    cache.insert(
        "MAC",
        json!(facts.mac.map_or_else(String::new, |mac| mac.to_string())),
    );
    cache.insert("MTU", json!(facts.mtu));
    cache.insert("VFID", json!(facts.index));
    cache.insert("OrigVfState", before(record));
    json!(cache).to_string()
}

fn value(config: &Object, key: &str) -> Option<Value> {
    config.typed_folded(key).ok().flatten()
}

fn before(record: &Record) -> Value {
    let state = record.original.attributes.as_ref();
    let netdev = record.original.netdev.as_ref();
    json!({
        "HostIFName": netdev.map_or("", |netdev| netdev.name.as_str()),
        "SpoofChk": state.is_none_or(|state| state.spoof_check.unwrap_or(true)),
        "Trust": state.is_some_and(|state| state.trust.unwrap_or(false)),
        "AdminMAC": state.map_or(MacAddress::ZERO, |state| state.mac),
        "EffectiveMAC": netdev.and_then(|netdev| netdev.address).map_or_else(String::new, |mac| mac.to_string()),
        "Vlan": state.map_or(0, |state| state.vlan.id),
        "VlanQoS": state.map_or(0, |state| state.vlan.qos),
        "VlanProto": state.map_or(0, |state| state.vlan.protocol.ethertype()),
        "MinTxRate": state.map_or(0, |state| state.rate.min),
        "MaxTxRate": state.map_or(0, |state| state.rate.max),
        "LinkState": state.map_or(0, link_state_number),
        "MTU": netdev.and_then(|netdev| netdev.mtu).unwrap_or_default(),
    })
}

fn link_state_number(state: &VfState) -> i64 {
    let number = LINK_STATES
        .iter()
        .find(|(entry, _)| *entry == state.link_state);
    number.map_or(0, |(_, number)| *number)
}
