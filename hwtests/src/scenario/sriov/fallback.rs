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
    ("fallback modes", modes),
    ("fallback chained", chained),
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

/// Every mode of both plugins.
fn modes(rig: &Rig<'_>) -> Result<String> {
    let rows = [
        ("macvlan", "ens5", "private"),
        ("macvlan", "ens5", "vepa"),
        ("macvlan", "ens5", "passthru"),
        ("ipvlan", "ens6", "l3"),
        ("ipvlan", "ens6", "l3s"),
    ];
    for (kind, master, mode) in rows {
        let pod = Sandbox::create(&format!("{kind}-{mode}"))?;
        let mut asked = config(kind, master, mode, 0);
        let result = rig.sriov.call("ADD", &pod, NET1, &asked)?.success()?;
        let link = pod.ip_json(&format!("-details link show dev {NET1}"))?[0].clone();
        let told = &link["linkinfo"];
        ensure!(
            told["info_kind"] == kind && told["info_data"]["mode"] == mode,
            "{mode}: {link}"
        );
        asked["prevResult"] = result;
        rig.sriov.call("CHECK", &pod, NET1, &asked)?.success()?;
        rig.sriov.call("DEL", &pod, NET1, &asked)?.success()?;
        no_links(&pod)?;
    }
    let told = rows.map(|(kind, _, mode)| format!("{kind} {mode}"));
    Ok(told.join(", "))
}

/// Without IPAM, ipvlan takes the addresses that the plugin before it got.
fn chained(rig: &Rig<'_>) -> Result<String> {
    let pod = Sandbox::create("chained")?;
    let mut asked = config("ipvlan", "ens6", "l2", 0);
    asked.as_object_mut().map(|keys| keys.remove("ipam"));
    asked["prevResult"] = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{"name": NET1, "sandbox": pod.netns}],
        "ips": [{"interface": 0, "address": "10.93.0.5/24"}],
    });
    let result = rig.sriov.call("ADD", &pod, NET1, &asked)?.success()?;
    let addresses = pod.ip_json(&format!("-4 address show dev {NET1}"))?;
    ensure!(
        addresses[0]["addr_info"][0]["local"] == "10.93.0.5"
            && result["ips"][0]["address"] == "10.93.0.5/24",
        "{result}, {addresses}"
    );
    rig.sriov.call("DEL", &pod, NET1, &asked)?.success()?;
    no_links(&pod)?;
    Ok("10.93.0.5 of prevResult is on the ipvlan and in the result".to_owned())
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
