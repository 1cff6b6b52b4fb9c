//! The pod's namespace is gone, forgotten, or another one has its path and inode.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    Scenario,
    rig::{NET1, Rig, come_back, has, in_pod, may_change_own_address},
};
use crate::guest::{cni::Sandbox, hardware::interface_of, shell::ip};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("namespace gone (K4)", gone),
    ("DEL without namespace", forgotten),
    ("same path and inode", reused),
];

/// All that igb can be asked for.
pub fn everything(mac: &str) -> Value {
    json!({
        "vlan": 100, "vlanQoS": 3, "mac": mac, "trust": "on", "spoofchk": "off", "max_tx_rate": 200,
    })
}

fn gone(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let keys = everything("02:00:00:00:04:01");
    let pod = Sandbox::create("gone")?;
    rig.add(&pod, &vf, &keys)?;
    has(&vf, &keys)?;
    in_pod(&pod, &vf, NET1)?;
    pod.lose_netns()?;
    let name = come_back(&vf.address)?;
    rig.del(&pod, &vf, &keys)?;
    let restored = interface_of(&vf.address)?.unwrap_or_default();
    may_change_own_address(&vf)?;
    rig.del(&pod, &vf, &keys)?;
    Ok(format!(
        "the kernel gave the VF back as {name}; DEL: {restored}, VLAN, QoS, MAC, trust, spoof check and rate as before"
    ))
}

fn forgotten(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(1);
    let keys = everything("02:00:00:00:04:02");
    let pod = Sandbox::create("forgotten")?;
    rig.add(&pod, &vf, &keys)?;
    rig.del(&pod.without_netns(), &vf, &keys)?;
    let links = pod.ip_json("link show")?;
    ensure!(
        links.as_array().is_some_and(|links| links.len() == 1),
        "left in the pod: {links}"
    );
    Ok("DEL with an empty CNI_NETNS takes the VF out of the living namespace".to_owned())
}

/// A namespace made after another's end has its inode, and may have its path.
fn reused(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let keys = everything("02:00:00:00:04:03");
    let pod = Sandbox::create("reused")?;
    let inode = pod.inode()?;
    rig.add(&pod, &vf, &keys)?;
    pod.lose_netns()?;
    come_back(&vf.address)?;
    again_with_inode("reused", inode)?;
    pod.ip(&format!("link add {NET1} type dummy"))?;
    let dummy = pod.ip_json(&format!("link show dev {NET1}"))?;
    rig.del(&pod, &vf, &keys)?;
    let after = pod.ip_json(&format!("link show dev {NET1}"))?;
    ensure!(
        dummy == after,
        "DEL changed the net1 of the new namespace from {dummy} to {after}"
    );
    Ok(format!(
        "inode {inode} and path are another namespace's: its own net1 untouched, VF restored"
    ))
}

/// Makes a namespace of this name and inode; the kernel gives a free inode number out again at once, but frees it late.
pub fn again_with_inode(name: &str, inode: u64) -> Result<Sandbox> {
    for _ in 0..100 {
        let pod = Sandbox::create(name)?;
        if pod.inode()? == inode {
            return Ok(pod);
        }
        ip(&format!("netns delete {name}"))?;
    }
    anyhow::bail!("the kernel gave inode {inode} to none of 100 namespaces")
}
