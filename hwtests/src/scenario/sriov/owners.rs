//! A VF belongs to one attachment at a time, and only that one's DEL touches it.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    Scenario,
    namespaces::{again_with_inode, everything},
    rig::{NET1, Rig, come_back, has, in_pod},
};
use crate::guest::cni::Sandbox;

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("late DEL", late_del),
    ("late DEL, path reused", late_del_of_same_path),
    ("VF of a living pod", living),
    ("ADD again (K5)", again),
    ("VF of a dead pod", dead),
];

fn late_del(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let old = Sandbox::create("old")?;
    let keys = everything("02:00:00:00:05:01");
    rig.add(&old, &vf, &keys)?;
    old.lose_netns()?;
    come_back(&vf.address)?;
    let new = Sandbox::create("new")?;
    add_and_late_del(rig, &old, &new, &new)
}

fn late_del_of_same_path(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let old = Sandbox::create("same")?;
    let inode = old.inode()?;
    rig.add(&old, &vf, &everything("02:00:00:00:05:02"))?;
    old.lose_netns()?;
    come_back(&vf.address)?;
    let inside = again_with_inode("same", inode)?;
    let new = Sandbox {
        id: "same-path".to_owned(),
        ..inside.clone()
    };
    add_and_late_del(rig, &old, &new, &inside)
}

/// `inside` names the new owner's namespace for `ip`.
fn add_and_late_del(
    rig: &Rig<'_>,
    old: &Sandbox,
    new: &Sandbox,
    inside: &Sandbox,
) -> Result<String> {
    let vf = rig.vf(0);
    let keys = json!({
        "vlan": 200, "mac": "02:00:00:00:05:09", "trust": "on", "spoofchk": "off",
    });
    rig.add(new, &vf, &keys)?;
    let before = has(&vf, &keys)?;
    for _ in 0..2 {
        rig.del(old, &vf, &everything("02:00:00:00:05:01"))?;
        let after = has(&vf, &keys)?;
        ensure!(before == after, "the late DEL changed {before} to {after}");
        in_pod(inside, &vf, NET1)?;
    }
    rig.del(new, &vf, &keys)?;
    Ok(
        "the new owner's VLAN 200, MAC, trust and interface are as they were after two late DELs"
            .to_owned(),
    )
}

fn living(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(1);
    let keys = everything("02:00:00:00:05:03");
    let first = Sandbox::create("first")?;
    let second = Sandbox::create("second")?;
    rig.add(&first, &vf, &keys)?;
    let before = has(&vf, &keys)?;
    let refusal = rig.refused(&second, &vf, &json!({"vlan": 7}))?;
    ensure!(
        refusal.code == 11 && refusal.text.contains("is already allocated"),
        "{refusal:?}"
    );
    // The runtime's DEL after a failed ADD.
    rig.del(&second, &vf, &json!({"vlan": 7}))?;
    ensure!(
        before == has(&vf, &keys)?,
        "the refused ADD or its DEL changed the VF"
    );
    in_pod(&first, &vf, NET1)?;
    rig.del(&first, &vf, &keys)?;
    Ok(refusal.text)
}

fn again(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let pod = Sandbox::create("again")?;
    let first = everything("02:00:00:00:05:04");
    let second = json!({"vlan": 300, "mac": "02:00:00:00:05:05"});
    rig.add(&pod, &vf, &first)?;
    rig.add(&pod, &vf, &second)?;
    has(&vf, &second)?;
    has(
        &vf,
        &json!({"trust": "off", "spoofchk": "on", "max_tx_rate": 0, "vlanQoS": 0}),
    )?;
    in_pod(&pod, &vf, NET1)?;
    rig.del(&pod, &vf, &second)?;
    Ok("a second ADD of the same container and interface has its own VLAN and MAC and none of the first's trust, rate and QoS".to_owned())
}

fn dead(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(3);
    let dead = Sandbox::create("dead")?;
    rig.add(&dead, &vf, &everything("02:00:00:00:05:06"))?;
    dead.lose_netns()?;
    // At once: the VF may still be on its way back.
    let next = Sandbox::create("next")?;
    let keys = json!({"vlan": 9});
    rig.add(&next, &vf, &keys)?;
    let settings = has(&vf, &keys)?;
    has(
        &vf,
        &json!({"trust": "off", "spoofchk": "on", "max_tx_rate": 0}),
    )?;
    in_pod(&next, &vf, NET1)?;
    rig.del(&next, &vf, &keys)?;
    rig.del(&dead, &vf, &keys)?;
    Ok(format!(
        "the next ADD restores what a dead pod left, then sets its own: {settings}"
    ))
}
