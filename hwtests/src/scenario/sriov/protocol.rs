//! CHECK, STATUS, GC and VERSION on real VFs.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, NETWORK, Rig, Vf, has, in_pod},
};
use crate::guest::{cni::Sandbox, shell::ip};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[("CHECK", check), ("STATUS", status), ("GC", gc)];

/// What is changed, who runs the words, the words that change it and those that change it back.
type Change<'a> = (
    &'a str,
    &'a dyn Fn(&str) -> Result<String>,
    &'a str,
    &'a str,
);

fn check(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let mut keys = everything("02:00:00:00:0a:01");
    // Debian's IPAM plugins know no 1.1.0.
    keys["cniVersion"] = json!("1.0.0");
    keys["ipam"] = json!({"type": "static", "addresses": [{"address": "10.88.0.2/24"}]});
    let pod = Sandbox::create("check")?;
    let result = rig.add(&pod, &vf, &keys)?;
    keys["prevResult"] = result;
    let ask = || {
        rig.sriov
            .call("CHECK", &pod, NET1, &Rig::config(&vf, &keys))
    };
    ask()?.success()?;
    let pf = &vf.pf;
    let changes: [Change<'_>; 5] = [
        (
            "VLAN",
            &ip,
            &format!("link set {pf} vf 0 vlan 8"),
            &format!("link set {pf} vf 0 vlan 100 qos 3"),
        ),
        (
            "trust",
            &ip,
            &format!("link set {pf} vf 0 trust off"),
            &format!("link set {pf} vf 0 trust on"),
        ),
        (
            "spoof check",
            &ip,
            &format!("link set {pf} vf 0 spoofchk on"),
            &format!("link set {pf} vf 0 spoofchk off"),
        ),
        (
            "MTU",
            &|words| pod.ip(words),
            "link set dev net1 mtu 1400",
            "link set dev net1 mtu 1500",
        ),
        (
            "address",
            &|words| pod.ip(words),
            "address del 10.88.0.2/24 dev net1",
            "address add 10.88.0.2/24 dev net1",
        ),
    ];
    let mut rows = Vec::new();
    for (what, run, change, back) in changes {
        run(change)?;
        let refusal = ask()?.refusal()?;
        ensure!(refusal.code == 107, "{what}: {refusal:?}");
        rows.push(refusal.text.trim().to_owned());
        run(back)?;
        ask()?.success()?;
    }
    rig.del(&pod, &vf, &keys)?;
    let refusal = ask()?.refusal()?;
    ensure!(refusal.code == 107, "after DEL: {refusal:?}");
    Ok(rows.join("\n"))
}

fn status(rig: &Rig<'_>) -> Result<String> {
    let nobody = Sandbox {
        id: String::new(),
        netns: String::new(),
    };
    let vf = rig.vf(1);
    let ask = |vf: &Vf| {
        rig.sriov
            .call("STATUS", &nobody, "", &Rig::config(vf, &json!({})))
    };
    ask(&vf)?.success()?;
    let missing = Vf {
        address: vf.address.replace(":10.", ":1f."),
        ..vf
    };
    let refusal = ask(&missing)?.refusal()?;
    ensure!(refusal.code == 50 || refusal.code == 51, "{refusal:?}");
    Ok(format!("{}: {}", refusal.code, refusal.text.trim()))
}

/// Of two networks with attachments that no runtime knows any more, only the one that GC is called for loses them.
fn gc(rig: &Rig<'_>) -> Result<String> {
    let other = json!({"name": "other", "vlan": 300});
    let known = Sandbox::create("known")?;
    let stale = Sandbox::create("stale")?;
    let foreign = Sandbox::create("foreign")?;
    let keys = everything("02:00:00:00:0a:02");
    rig.add(&known, &rig.vf(0), &json!({"vlan": 10}))?;
    rig.add(&stale, &rig.vf(1), &keys)?;
    rig.add(&foreign, &rig.vf(2), &other)?;
    let nobody = Sandbox {
        id: String::new(),
        netns: String::new(),
    };
    let config: Value = json!({
        "cniVersion": "1.1.0", "name": NETWORK, "type": "sriov",
        "cni.dev/valid-attachments": [{"containerID": known.id, "ifname": NET1}],
    });
    rig.sriov.call("GC", &nobody, "", &config)?.success()?;
    in_pod(&known, &rig.vf(0), NET1)?;
    has(&rig.vf(0), &json!({"vlan": 10}))?;
    has(
        &rig.vf(1),
        &json!({"vlan": 0, "trust": "off", "spoofchk": "on", "max_tx_rate": 0}),
    )?;
    in_pod(&foreign, &rig.vf(2), NET1)?;
    has(&rig.vf(2), &json!({"vlan": 300}))?;
    rig.del(&known, &rig.vf(0), &json!({}))?;
    rig.del(&foreign, &rig.vf(2), &other)?;
    Ok("the stale attachment's VF is restored; the valid one's and the other network's are untouched".to_owned())
}
