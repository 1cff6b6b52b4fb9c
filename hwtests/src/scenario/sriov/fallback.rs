//! The same pod without a NIC: a software slot is served by macvlan or ipvlan.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    Scenario,
    rig::{NET1, Rig},
};
use crate::guest::cni::{Plugin, Sandbox};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("fallback to macvlan", |rig| {
        software(rig, "macvlan", "ens5", "bridge")
    }),
    ("fallback to ipvlan", |rig| {
        software(rig, "ipvlan", "ens6", "l2")
    }),
    ("fallback, pod gone", pod_gone),
    ("fallback refused", refused),
];

/// A network with fallback, and a software slot of its pool.
pub fn config(kind: &str, master: &str, mode: &str, slot: usize) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "soft", "type": "sriov", "vlan": 100, "deviceID": format!("software-{slot}"),
        "fallback": {"type": kind, "master": master, "mode": mode},
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.90.0.0/24"}]]},
    })
}

fn software(rig: &Rig<'_>, kind: &str, master: &str, mode: &str) -> Result<String> {
    let first = Sandbox::create(&format!("{kind}-one"))?;
    let second = Sandbox::create(&format!("{kind}-two"))?;
    let asked = config(kind, master, mode, 0);
    let result = rig.sriov.call("ADD", &first, NET1, &asked)?.success()?;
    let other = config(kind, master, mode, 1);
    rig.sriov.call("ADD", &second, NET1, &other)?.success()?;

    let link = first.ip_json(&format!("-details address show dev {NET1}"))?[0].clone();
    ensure!(link["linkinfo"]["info_kind"] == kind, "{link}");
    same_shape(&result, &first, &link)?;
    let address = result["ips"][0]["address"].as_str().unwrap_or_default();
    let host = address.split('/').next().unwrap_or_default();
    second.exec(&format!("ping -c 1 -W 5 {host}"))?;

    let mut with_result = asked.clone();
    with_result["prevResult"] = result.clone();
    let check = || rig.sriov.call("CHECK", &first, NET1, &with_result);
    check()?.success()?;
    // The configuration has lost the key meanwhile: the ledger knows.
    let mut bare = asked;
    bare.as_object_mut().map(|keys| keys.remove("fallback"));
    for _ in 0..2 {
        rig.sriov.call("DEL", &first, NET1, &bare)?.success()?;
    }
    no_links(&first)?;
    check()?.refusal()?;
    rig.sriov.call("DEL", &second, NET1, &other)?.success()?;
    Ok(format!(
        "{kind} {address}, reached from another pod; deleted with a configuration without fallback"
    ))
}

/// One interface with name, MAC and sandbox, every address on it: as with a VF.
fn same_shape(result: &Value, pod: &Sandbox, link: &Value) -> Result<()> {
    let interfaces = result["interfaces"].as_array().map_or(0, Vec::len);
    let interface = &result["interfaces"][0];
    ensure!(
        interfaces == 1
            && interface["name"] == NET1
            && interface["sandbox"] == *pod.netns
            && interface["mac"] == link["address"]
            && result["ips"][0]["interface"] == 0
            && result["cniVersion"] == "1.0.0",
        "{result}, link {link}"
    );
    Ok(())
}

fn no_links(pod: &Sandbox) -> Result<()> {
    let links = pod.ip_json("link show")?;
    ensure!(
        links.as_array().is_some_and(|links| links.len() == 1),
        "left in {}: {links}",
        pod.id
    );
    Ok(())
}

fn pod_gone(rig: &Rig<'_>) -> Result<String> {
    let pod = Sandbox::create("soft-gone")?;
    let asked = config("macvlan", "ens5", "bridge", 0);
    rig.sriov.call("ADD", &pod, NET1, &asked)?.success()?;
    pod.lose_netns()?;
    rig.sriov.call("DEL", &pod, NET1, &asked)?.success()?;
    Ok("DEL succeeds without namespace; its lease and record are gone".to_owned())
}

fn refused(rig: &Rig<'_>) -> Result<String> {
    let pod = Sandbox::create("soft-refused")?;
    let mut rows = Vec::new();
    let mut without = config("macvlan", "ens5", "bridge", 0);
    without.as_object_mut().map(|keys| keys.remove("fallback"));
    let mut forgotten = config("macvlan", "ens5", "bridge", 0);
    forgotten
        .as_object_mut()
        .map(|keys| keys.remove("deviceID"));
    let no_master = config("macvlan", "not-there", "bridge", 0);
    let bridge = config("bridge", "ens5", "bridge", 0);
    for (asked, said) in [
        (&without, "no fallback configured"),
        (&forgotten, "VF pci addr is required"),
        (&no_master, "fallback macvlan"),
        (&bridge, "\"bridge\""),
    ] {
        let (code, text) = refusal(&rig.sriov, &pod, asked)?;
        ensure!(text.contains(said), "{said} is not said: {code} {text}");
        rows.push(format!("{code} {}", text.trim()));
        rig.sriov.call("DEL", &pod, NET1, asked)?.success()?;
        no_links(&pod)?;
    }
    Ok(rows.join("\n"))
}

fn refusal(sriov: &Plugin, pod: &Sandbox, config: &Value) -> Result<(u64, String)> {
    let refusal = sriov.call("ADD", pod, NET1, config)?.refusal()?;
    Ok((refusal.code, refusal.text))
}
