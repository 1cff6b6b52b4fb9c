//! The VLAN trio: id, priority and tag protocol (spec/sriov-cni.md §1.1).

use host::netlink::vf::{Vlan, VlanProtocol};

use super::Invalid;

/// `None` without `vlan`; the other two need it.
pub(super) fn validate(
    id: Option<i64>,
    qos: Option<i64>,
    protocol: Option<&str>,
) -> Result<Option<Vlan>, Invalid> {
    let Some(id) = id else {
        if let Some(qos) = qos {
            return Err(Invalid::new(
                "vlanQoS",
                qos,
                "needs vlan; add vlan or remove vlanQoS",
            ));
        }
        if let Some(protocol) = protocol {
            return Err(Invalid::new(
                "vlanProto",
                format!("{protocol:?}"),
                "needs vlan; add vlan or remove vlanProto",
            ));
        }
        return Ok(None);
    };
    let vlan = Vlan {
        id: u16::try_from(id)
            .ok()
            .filter(|id| *id <= 4094)
            .ok_or_else(|| {
                Invalid::new(
                    "vlan",
                    id,
                    "invalid VLAN id; give 1 to 4094, or 0 for no VLAN",
                )
            })?,
        qos: match qos {
            None => 0,
            Some(qos) => u8::try_from(qos)
                .ok()
                .filter(|qos| *qos <= 7)
                .ok_or_else(|| Invalid::new("vlanQoS", qos, "invalid priority; give 0 to 7"))?,
        },
        protocol: protocol.map_or(Ok(VlanProtocol::Dot1Q), parse)?,
    };
    if vlan.id == 0 && vlan.qos != 0 {
        return Err(Invalid::new(
            "vlanQoS",
            vlan.qos,
            "cannot be used with vlan 0; set vlan or remove vlanQoS",
        ));
    }
    if vlan.id == 0 && vlan.protocol == VlanProtocol::Dot1Ad {
        return Err(Invalid::new(
            "vlanProto",
            "802.1ad",
            "cannot be used with vlan 0; set vlan or remove vlanProto",
        ));
    }
    Ok(Some(vlan))
}

fn parse(text: &str) -> Result<VlanProtocol, Invalid> {
    match text.to_ascii_lowercase().as_str() {
        "802.1q" => Ok(VlanProtocol::Dot1Q),
        "802.1ad" => Ok(VlanProtocol::Dot1Ad),
        _ => Err(Invalid::new(
            "vlanProto",
            format!("{text:?}"),
            "give \"802.1q\" or \"802.1ad\"",
        )),
    }
}
