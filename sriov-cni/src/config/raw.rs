//! What the bytes of stdin say, key by key, before any rule is applied.

use cni::raw::{KeyError, Object};
use cni::version::{UnknownVersion, Version};
use serde_json::value::RawValue;

/// What every command needs of the network, DEL and GC of a broken configuration included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Name of the network.
    pub name: String,
    /// Version in which the result is printed.
    pub version: Version,
    /// Type of the IPAM plugin, if there is one.
    pub ipam: Option<String>,
    /// `logLevel` as written.
    pub log_level: Option<String>,
    /// `logFile` as written.
    pub log_file: Option<String>,
}

/// The keys of a configuration with their JSON types; values are not judged.
#[derive(Debug)]
pub struct RawConfig {
    /// What every command needs.
    pub network: Network,
    /// `deviceID`.
    pub device_id: Option<String>,
    /// `runtimeConfig.deviceID`.
    pub runtime_device_id: Option<String>,
    /// `pciBusID`, which Multus writes beside `deviceID`.
    pub pci_bus_id: Option<String>,
    /// `mac`.
    pub mac: Option<String>,
    /// `runtimeConfig.mac`.
    pub runtime_mac: Option<String>,
    /// `vlan`.
    pub vlan: Option<i64>,
    /// `vlanQoS`.
    pub vlan_qos: Option<i64>,
    /// `vlanProto`.
    pub vlan_proto: Option<String>,
    /// `min_tx_rate`, Mbit/s.
    pub min_tx_rate: Option<i64>,
    /// `max_tx_rate`, Mbit/s.
    pub max_tx_rate: Option<i64>,
    /// `spoofchk`.
    pub spoofchk: Option<String>,
    /// `trust`.
    pub trust: Option<String>,
    /// `link_state`.
    pub link_state: Option<String>,
    /// `mtu`, bytes. In this spelling only: `MTU` is internal state of the Go plugin.
    pub mtu: Option<i64>,
    /// `promisc`.
    pub promisc: Option<bool>,
    /// `allmulti`.
    pub allmulti: Option<bool>,
    /// `txQLen`, packets.
    pub tx_queue_len: Option<i64>,
    /// `ipv6Dad`.
    pub ipv6_dad: Option<String>,
    /// `announce`; true unless said otherwise.
    pub announce: bool,
    /// `resetPolicy`.
    pub reset_policy: Option<String>,
    /// `strict`; false takes every `spoofchk` and `trust` other than `on` for `off`, as upstream does.
    pub strict: bool,
    /// `fallback`: the plugin for software slots.
    pub fallback: Option<Object>,
    /// `prevResult`, byte for byte.
    pub prev_result: Option<Box<RawValue>>,
}

/// A configuration whose keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A key has a value of the wrong JSON type.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `cniVersion` is unknown.
    #[error(transparent)]
    Version(#[from] UnknownVersion),
}

impl Network {
    /// No network, for what is done for all of them.
    pub fn unnamed() -> Self {
        Self {
            name: String::new(),
            version: Version::CURRENT,
            ipam: None,
            log_level: None,
            log_file: None,
        }
    }

    /// Reads the keys that do not depend on the command.
    pub fn read(config: &Object) -> Result<Self, Unreadable> {
        let ipam: Option<Object> = config.typed_folded("ipam")?;
        let kind: Option<String> = ipam.map_or(Ok(None), |ipam| ipam.typed_folded("type"))?;
        Ok(Self {
            name: config.typed_folded("name")?.unwrap_or_default(),
            version: Version::of_config(
                &config
                    .typed_folded::<String>("cniVersion")?
                    .unwrap_or_default(),
            )?,
            ipam: kind.filter(|kind| !kind.is_empty()),
            log_level: config.typed_folded("logLevel")?,
            log_file: config
                .typed_folded::<String>("logFile")?
                .filter(|file| !file.is_empty()),
        })
    }
}

impl RawConfig {
    /// Reads every key that is known.
    pub fn read(config: &Object) -> Result<Self, Unreadable> {
        let runtime: Object = config.typed_folded("runtimeConfig")?.unwrap_or_default();
        Ok(Self {
            network: Network::read(config)?,
            device_id: config.typed_folded("deviceID")?,
            runtime_device_id: runtime.typed_folded("deviceID")?,
            pci_bus_id: config.typed_folded("pciBusID")?,
            mac: config.typed_folded("mac")?,
            runtime_mac: runtime.typed_folded("mac")?,
            vlan: config.typed_folded("vlan")?,
            vlan_qos: config.typed_folded("vlanQoS")?,
            vlan_proto: config.typed_folded("vlanProto")?,
            min_tx_rate: config.typed_folded("min_tx_rate")?,
            max_tx_rate: config.typed_folded("max_tx_rate")?,
            spoofchk: config.typed_folded("spoofchk")?,
            trust: config.typed_folded("trust")?,
            link_state: config.typed_folded("link_state")?,
            mtu: config.typed("mtu")?,
            promisc: config.typed_folded("promisc")?,
            allmulti: config.typed_folded("allmulti")?,
            tx_queue_len: config.typed_folded("txQLen")?,
            ipv6_dad: config.typed_folded("ipv6Dad")?,
            announce: config.typed_folded("announce")?.unwrap_or(true),
            reset_policy: config.typed_folded("resetPolicy")?,
            fallback: config.typed_folded("fallback")?,
            strict: config.typed_folded("strict")?.unwrap_or(true),
            prev_result: config
                .get_folded("prevResult")
                .filter(|value| value.get() != "null")
                .map(ToOwned::to_owned),
        })
    }
}
