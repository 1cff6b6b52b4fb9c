//! What each cell's network asks for: every attribute that the emulated driver takes, values of the cell's own.

use serde_json::{Value, json};

use super::{
    cell::{Cell, Kind, Pod, Verb},
    mischief,
    situation::Situation,
};

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
    /// The values that a pod's network has.
    pub fn of(cell: &Cell, pod: Pod) -> Self {
        let number = cell.number * 2 + usize::from(pod == Pod::Second);
        let [.., high, low] = number.to_be_bytes();
        Self {
            vlan: 100 + u16::from(low),
            qos: 1 + low % 7,
            mac: format!("02:c0:ff:ee:{high:02x}:{low:02x}"),
            max_tx_rate: 100 + u32::from(low),
            mtu: 1400,
            // A trusted VF would not be refused.
            trust: cell.number.is_multiple_of(2) && cell.situation != Situation::Pinned,
        }
    }

    /// The configuration of the network of the cell's first pod, whose commands are aborted, or of its second one, which
    /// asks for nothing special.
    pub fn config(&self, cell: &Cell, pod: Pod, device: &str) -> Value {
        let (kind, situation) = (cell.row.kind, cell.situation);
        let fails = cell.row.verb == Verb::RollBack && pod == Pod::First;
        // An ipvlan takes no address that another one has on the same master.
        let [.., high, low] = cell.number.to_be_bytes();
        let subnet = format!("10.{}.{low}", 77 + high);
        let mut ranges = vec![json!([{"subnet": format!("{subnet}.0/24")}])];
        if kind == Kind::Kernel {
            ranges.push(json!([{"subnet": format!("fd00:77:{:x}::/64", cell.number)}]));
        }
        let mut config = json!({
            "cniVersion": "1.0.0", "name": cell.name(), "type": "sriov", "deviceID": device, "logLevel": "debug",
            "ipam": {
                "type": if mischief::is_needed(cell) { mischief::NAME } else { "host-local" },
                "ranges": ranges,
                // No network of the pod leads to the second gateway, so its kernel refuses the route.
                "routes": [{"dst": "198.51.100.0/24", "gw": if fails { "203.0.113.9".to_owned() } else { format!("{subnet}.1") }}],
            },
        });
        if let Some(plugin) = plugin(kind) {
            let (master, mode) = if kind == Kind::Macvlan {
                ("ens5", "bridge")
            } else {
                ("ens6", "l2")
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
            config["ipv6Dad"] = json!("off");
        } else {
            config["resetPolicy"] = json!("flr");
        }
        if fails && situation == Situation::Refused {
            config["min_tx_rate"] = json!(10);
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
