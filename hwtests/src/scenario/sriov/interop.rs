//! The Go `sriov` beside ours, on one state directory: pods of either are deleted by the other.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, Vf, come_back, has, in_pod, is_recorded, may_change_own_address},
};
use crate::guest::{
    cni::{Plugin, Sandbox},
    shell::ip,
};

/// All scenarios of this file; they need the Go program.
pub const ALL: &[Scenario] = &[
    ("Go adds, we delete", go_adds),
    ("Go adds, pod dies", go_pod_dies),
    ("Go adds vfio, we delete", go_adds_vfio),
    ("Go's VF is refused", go_holds),
    ("we add, Go deletes", we_add),
];

fn go<'a>(rig: &'a Rig<'_>) -> Result<&'a Plugin> {
    rig.peer.as_ref().context("no Go program")
}

fn added_by_go(rig: &Rig<'_>, pod: &Sandbox, vf: &Vf, mac: &str) -> Result<()> {
    let keys = everything(mac);
    let config = Rig::config(vf, &keys);
    let answer = go(rig)?.call("ADD", pod, NET1, &config)?;
    answer.success().context("ADD of the Go program")?;
    has(vf, &keys).map(drop)
}

fn go_adds(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let pod = Sandbox::create("go-adds")?;
    added_by_go(rig, &pod, &vf, "02:00:00:00:0b:01")?;
    in_pod(&pod, &vf, NET1)?;
    rig.del(&pod, &vf, &json!({}))?;
    may_change_own_address(&vf)?;
    Ok("every attribute, name, MAC and MTU restored; the VF may change its own MAC".to_owned())
}

/// Once DEL is ours, once the next ADD takes the VF back.
fn go_pod_dies(rig: &Rig<'_>) -> Result<String> {
    let before = rig.see()?;
    let vf = rig.vf(1);
    let pod = Sandbox::create("go-dies")?;
    added_by_go(rig, &pod, &vf, "02:00:00:00:0b:02")?;
    pod.lose_netns()?;
    rig.del(&pod, &vf, &json!({}))?;
    rig.is_back(&before).context("DEL after the pod's end")?;
    let pod = Sandbox::create("go-dies-too")?;
    added_by_go(rig, &pod, &vf, "02:00:00:00:0b:03")?;
    pod.lose_netns()?;
    let next = Sandbox::create("go-next")?;
    let keys = json!({"vlan": 7});
    rig.add(&next, &vf, &keys)?;
    has(
        &vf,
        &json!({"vlan": 7, "trust": "off", "spoofchk": "on", "max_tx_rate": 0}),
    )?;
    rig.del(&pod, &vf, &json!({}))?;
    has(&vf, &keys)?;
    rig.del(&next, &vf, &keys)?;
    Ok(
        "restored by our DEL, and by our next ADD; the late DEL leaves the new owner alone"
            .to_owned(),
    )
}

fn go_adds_vfio(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(5);
    let pod = Sandbox::create("go-vfio")?;
    added_by_go(rig, &pod, &vf, "02:00:00:00:0b:04")?;
    rig.del(&pod, &vf, &json!({}))?;
    Ok("restored; nothing of K3's is left".to_owned())
}

fn go_holds(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let theirs = Sandbox::create("theirs")?;
    let ours = Sandbox::create("ours")?;
    added_by_go(rig, &theirs, &vf, "02:00:00:00:0b:05")?;
    let refusal = rig.refused(&ours, &vf, &json!({"vlan": 7}))?;
    ensure!(refusal.text.contains("is already allocated"), "{refusal:?}");
    rig.del(&ours, &vf, &json!({}))?;
    has(&vf, &everything("02:00:00:00:0b:05"))?;
    rig.del(&theirs, &vf, &json!({}))?;
    rig.add(&ours, &vf, &json!({"vlan": 7}))?;
    let config = Rig::config(&vf, &json!({"vlan": 8}));
    let answer = go(rig)?.call("ADD", &theirs, NET1, &config)?.refusal()?;
    ensure!(answer.text.contains("already allocated"), "{answer:?}");
    has(&vf, &json!({"vlan": 7}))?;
    rig.del(&ours, &vf, &json!({}))?;
    Ok(format!(
        "to us: {}\nto Go: {}",
        refusal.text.trim(),
        answer.text.trim()
    ))
}

/// What the Go program restores it does from our files; what it leaves of ours the next ADD clears away.
fn we_add(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(3);
    let before = rig.see()?;
    let pod = Sandbox::create("we-add")?;
    let keys = everything("02:00:00:00:0b:06");
    rig.add(&pod, &vf, &keys)?;
    let answer = go(rig)?.call("DEL", &pod, NET1, &Rig::config(&vf, &keys))?;
    answer.success().context("DEL of the Go program")?;
    let now = rig.see()?;
    ensure!(
        now[&vf.address] == before[&vf.address],
        "after Go's DEL: {:?}, before {:?}",
        now[&vf.address],
        before[&vf.address]
    );
    let left = is_recorded(&format!("ledger/{}@{NET1}", pod.id));
    pod.lose_netns()?;
    let next = Sandbox::create("we-next")?;
    rig.add(&next, &vf, &json!({"vlan": 7}))?;
    rig.del(&next, &vf, &json!({"vlan": 7}))?;
    rig.is_back(&before)?;
    // Go's reset marks the address as the PF's (K1); an admin takes the mark away.
    ip(&format!(
        "link set {} vf {} mac 00:00:00:00:00:00",
        vf.pf, vf.index
    ))?;
    let name = come_back(&vf.address)?;
    let own = &before[&vf.address].0.mac;
    for address in ["02:de:ad:00:00:04", own] {
        ip(&format!("link set dev {name} address {address}"))?;
    }
    Ok(format!(
        "name, MAC, MTU, VLAN, trust, spoof check and rate as before; our record {}",
        if left {
            "stayed until the next ADD"
        } else {
            "went with it"
        }
    ))
}
