//! What a VF's own driver and the PF's ask for: addresses that may be set in one order only, VFs without interface,
//! properties of the interface (corrections K1 to K3).

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, come_back, has, in_pod, may_change_own_address},
};
use crate::guest::{cni::Sandbox, shell::ip};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("MAC without trust (K1)", mac_without_trust),
    ("addresses differ (K2)", addresses_differ),
    ("vfio VF (K3)", vfio),
    ("vfio VF, pod gone", vfio_gone),
    ("interface keys", interface_keys),
    ("reset policies", reset_policies),
];

fn mac_without_trust(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let keys = json!({"mac": "02:00:00:00:01:01"});
    let pod = Sandbox::create("k1")?;
    for round in 0..2 {
        rig.add(&pod, &vf, &keys)?;
        has(&vf, &json!({"mac": keys["mac"], "trust": "off"}))?;
        let link = in_pod(&pod, &vf, NET1)?;
        ensure!(link["address"] == keys["mac"], "round {round}: {link}");
        rig.del(&pod, &vf, &keys)?;
        may_change_own_address(&vf)
            .with_context(|| format!("round {round}: the VF cannot change its own MAC"))?;
    }
    Ok(
        "02:00:00:00:01:01 on PF and interface, trust off; back, the VF may change its own MAC"
            .to_owned(),
    )
}

/// An admin set the VF's address on the PF, and the interface kept its own.
fn addresses_differ(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(1);
    let name = come_back(&vf.address)?;
    let file = format!("/sys/class/net/{name}/address");
    let own = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    let own = own.trim();
    ip(&format!(
        "link set {} vf {} mac 02:00:00:00:02:01",
        vf.pf, vf.index
    ))?;
    let before = rig.see()?;
    let result = (|| {
        let pod = Sandbox::create("k2")?;
        for keys in [json!({"vlan": 100}), json!({"mac": "02:00:00:00:02:02"})] {
            rig.add(&pod, &vf, &keys)?;
            has(&vf, &keys)?;
            in_pod(&pod, &vf, NET1)?;
            rig.del(&pod, &vf, &keys)?;
            rig.is_back(&before)?;
        }
        Ok("PF 02:00:00:00:02:01 and the interface's own address: both come back, and the next ADD works".to_owned())
    })();
    ip(&format!(
        "link set {} vf {} mac 00:00:00:00:00:00",
        vf.pf, vf.index
    ))?;
    let name = come_back(&vf.address)?;
    for address in ["02:de:ad:00:00:03", own] {
        ip(&format!("link set dev {name} address {address}"))?;
    }
    result
}

fn vfio(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(5);
    let keys = everything("02:00:00:00:03:01");
    let pod = Sandbox::create("k3")?;
    let result = rig.add(&pod, &vf, &keys)?;
    let settings = has(&vf, &keys)?;
    let interface = &result["interfaces"][0];
    ensure!(
        interface["mac"] == keys["mac"]
            && interface["pciID"] == *vf.address
            && interface["name"] == NET1
            && interface["sandbox"] == *pod.netns,
        "{result}"
    );
    let links = pod.ip_json("link show")?;
    ensure!(
        links.as_array().is_some_and(|links| links.len() == 1),
        "something is in the pod: {links}"
    );
    rig.del(&pod, &vf, &keys)?;
    rig.del(&pod, &vf, &keys)?;
    Ok(format!(
        "{settings}; back with the first DEL, the second is a success too"
    ))
}

fn vfio_gone(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(6);
    let pod = Sandbox::create("k3-gone")?;
    rig.add(&pod, &vf, &everything("02:00:00:00:03:02"))?;
    pod.lose_netns()?;
    let next = Sandbox::create("k3-next")?;
    let keys = json!({"vlan": 5});
    rig.add(&next, &vf, &keys)?;
    has(
        &vf,
        &json!({"vlan": 5, "trust": "off", "spoofchk": "on", "max_tx_rate": 0}),
    )?;
    rig.del(&pod, &vf, &keys)?;
    has(&vf, &keys)?;
    rig.del(&next, &vf, &keys)?;
    Ok(
        "the next pod gets the VF without the dead one's trust and rate; the late DEL leaves it"
            .to_owned(),
    )
}

fn interface_keys(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let keys = json!({"mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 77, "trust": "on"});
    let pod = Sandbox::create("keys")?;
    let result = rig.add(&pod, &vf, &keys)?;
    let link = in_pod(&pod, &vf, NET1)?;
    let flag = |name: &str| {
        link["flags"]
            .as_array()
            .is_some_and(|flags| flags.iter().any(|flag| flag == name))
    };
    ensure!(
        link["mtu"] == 1400 && link["txqlen"] == 77 && flag("PROMISC") && flag("ALLMULTI"),
        "{link}"
    );
    ensure!(result["interfaces"][0]["mtu"] == 1400, "{result}");
    rig.del(&pod, &vf, &keys)?;
    Ok("mtu 1400, promisc, allmulti, txQLen 77 in the pod; none of it afterwards".to_owned())
}

/// `flr` resets a vfio VF, `defaults` leaves what a driver starts with.
fn reset_policies(rig: &Rig<'_>) -> Result<String> {
    let reset = Path::new("/sys/bus/pci/devices")
        .join(rig.vf(5).address)
        .join("reset");
    ensure!(reset.exists(), "the VF cannot be reset");
    let mut rows = Vec::new();
    for (vf, policy) in [(rig.vf(5), "flr"), (rig.vf(3), "defaults")] {
        let mut keys = everything("02:00:00:00:03:03");
        keys["resetPolicy"] = json!(policy);
        let pod = Sandbox::create(&format!("reset-{policy}"))?;
        rig.add(&pod, &vf, &keys)?;
        has(&vf, &keys)?;
        rig.del(&pod, &vf, &keys)?;
        rows.push(policy);
    }
    Ok(rows.join(", "))
}
