//! What the emulated driver cannot do, asked for together with what it can: named, and the rest undone.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, Vf},
};
use crate::guest::{cni::Sandbox, shell::ip};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("link state refused", |rig| {
        refused(
            rig,
            &json!({"link_state": "enable"}),
            "link state",
            UNSUPPORTED,
        )
    }),
    ("802.1ad refused", |rig| {
        refused(
            rig,
            &json!({"vlanProto": "802.1ad"}),
            "VLAN",
            "protocol not supported",
        )
    }),
    ("min rate refused", |rig| {
        refused(rig, &json!({"min_tx_rate": 10}), "rate", INVALID)
    }),
    ("rate above the link's", |rig| {
        refused(rig, &json!({"max_tx_rate": 100_000}), "rate", INVALID)
    }),
    ("VF out of range", out_of_range),
    ("address igb refuses", bad_address),
    ("IPAM fails", ipam_fails),
];

const UNSUPPORTED: &str = "operation not supported";
const INVALID: &str = "invalid argument";

/// One value that igb refuses, among others that it takes.
fn refused(rig: &Rig<'_>, keys: &Value, step: &str, errno: &str) -> Result<String> {
    let vf = rig.vf(0);
    let before = rig.see()?;
    let pod = Sandbox::create("refused")?;
    let mut all = everything("02:00:00:00:08:01");
    for (key, value) in keys.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    let refusal = rig.refused(&pod, &vf, &all)?;
    let text = refusal.text.to_lowercase();
    let pf = &rig.machine.hardware.pfs[0];
    for part in [
        format!(
            "set {} on vf 0 of {} ({})",
            step.to_lowercase(),
            pf.name,
            pf.address
        ),
        errno.to_owned(),
        "by driver igb".to_owned(),
        "reason vfconfigunsupported".to_owned(),
    ] {
        ensure!(text.contains(&part), "{part:?} is not said: {refusal:?}");
    }
    ensure!(refusal.code == 103, "{refusal:?}");
    // Undone by ADD itself, not by the DEL that a runtime sends afterwards.
    rig.is_back(&before)?;
    rig.del(&pod, &vf, &all)?;
    Ok(refusal.text)
}

/// The plugin finds a VF's index by its address, so a VF that is not there has none; the driver's own answer for an
/// index that it does not have is EINVAL.
fn out_of_range(rig: &Rig<'_>) -> Result<String> {
    let pf = &rig.machine.hardware.pfs[0];
    let last = Vf {
        address: pf.address.replace(":00.0", ":1f.7"),
        ..rig.vf(0)
    };
    let pod = Sandbox::create("range")?;
    let refusal = rig.refused(&pod, &last, &everything("02:00:00:00:08:02"))?;
    ensure!(refusal.code == 100, "{refusal:?}");
    // A function that is no VF.
    let itself = Vf {
        address: pf.address.clone(),
        ..rig.vf(0)
    };
    let no_vf = rig.refused(&pod, &itself, &json!({}))?;
    ensure!(no_vf.code == 100, "{no_vf:?}");
    let driver = ip(&format!("link set {} vf {} vlan 5", pf.name, pf.vfs.len()))
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    ensure!(driver.contains("Invalid argument"), "igb says {driver:?}");
    Ok(format!("{}\n{}", refusal.text.trim(), no_vf.text.trim()))
}

fn bad_address(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let pod = Sandbox::create("address")?;
    let mut texts = Vec::new();
    for mac in [
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
    ] {
        let refusal = rig.refused(&pod, &vf, &json!({"mac": mac, "vlan": 100}))?;
        ensure!(
            refusal.code == 7 && refusal.text.contains(mac),
            "{refusal:?}"
        );
        texts.push(refusal.text.trim().to_owned());
    }
    Ok(texts.join("\n"))
}

/// Everything is set and the interface is in the pod when the IPAM plugin refuses.
fn ipam_fails(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(1);
    let before = rig.see()?;
    let pod = Sandbox::create("ipam")?;
    let mut keys = everything("02:00:00:00:08:03");
    keys["cniVersion"] = json!("1.0.0");
    keys["ipam"] = json!({"type": "static", "addresses": [{"address": "no address"}]});
    let refusal = rig.refused(&pod, &vf, &keys)?;
    rig.is_back(&before)?;
    keys["ipam"] = json!({"type": "not-installed"});
    let missing = rig.refused(&pod, &vf, &keys)?;
    rig.is_back(&before)?;
    let links = pod.ip_json("link show")?;
    ensure!(
        links.as_array().is_some_and(|links| links.len() == 1),
        "{NET1} or another link is left in the pod: {links}"
    );
    Ok(format!("{}\n{}", refusal.text.trim(), missing.text.trim()))
}
