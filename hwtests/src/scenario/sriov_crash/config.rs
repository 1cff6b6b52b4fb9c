//! What each cell's network asks for: every attribute that the emulated driver takes, values of the cell's own.

use serde_json::{Value, json};

use super::cell::{Kind, Verb};

/// Values of one network, as the plugin is asked for them and as `ip` must show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// VLAN id.
    pub vlan: u16,
    /// VLAN priority.
    pub qos: u8,
    /// Address.
    pub mac: String,
    /// Mbit/s.
    pub max_tx_rate: u32,
    /// Bytes.
    pub mtu: u32,
    /// Whether the VF is trusted; without, igb refuses a second address (K1).
    pub trust: bool,
}

impl Asked {
    /// The values of a network by its number.
    pub fn of(number: usize) -> Self {
        let [.., high, low] = number.to_be_bytes();
        Self {
            vlan: 100 + u16::from(low),
            qos: 1 + low % 7,
            mac: format!("02:c0:ff:ee:{high:02x}:{low:02x}"),
            max_tx_rate: 100 + u32::from(low),
            mtu: 1400,
            trust: number.is_multiple_of(2),
        }
    }

    /// The network's configuration. A rolled back ADD gets a route that the pod's kernel refuses: its gateway is on no
    /// network of the pod.
    pub fn config(&self, name: &str, kind: Kind, verb: Verb, device: &str) -> Value {
        let gateway = if verb == Verb::RollBack {
            "203.0.113.9"
        } else {
            "10.77.0.1"
        };
        let mut config = json!({
            "cniVersion": "1.1.0", "name": name, "type": "sriov", "deviceID": device, "logLevel": "debug",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.77.0.0/24"}]],
                "routes": [{"dst": "198.51.100.0/24", "gw": gateway}],
            },
        });
        if let Some(plugin) = plugin(kind) {
            let master = if kind == Kind::Macvlan {
                "ens5"
            } else {
                "ens6"
            };
            let mode = if kind == Kind::Macvlan {
                "bridge"
            } else {
                "l2"
            };
            config["fallback"] = json!({"type": plugin, "master": master, "mode": mode});
            return config;
        }
        config["vlan"] = json!(self.vlan);
        config["vlanQoS"] = json!(self.qos);
        config["mac"] = json!(self.mac);
        config["spoofchk"] = json!("off");
        config["max_tx_rate"] = json!(self.max_tx_rate);
        if self.trust {
            config["trust"] = json!("on");
        }
        if kind == Kind::Kernel {
            config["mtu"] = json!(self.mtu);
        }
        config
    }
}

/// Plugin behind a software slot.
pub fn plugin(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Kernel | Kind::Userspace => None,
        Kind::Macvlan => Some("macvlan"),
        Kind::Ipvlan => Some("ipvlan"),
    }
}
