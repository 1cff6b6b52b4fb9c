//! An administrator takes the VFs away while a pod has one.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, Seen, Vf, has, in_pod},
};
use crate::{
    guest::{
        cni::Sandbox,
        hardware::{interface_of, wait_for},
        shell::{ip, run},
    },
    scenario::leftovers,
};

/// All scenarios of this file. The last of all, because the VFs are made anew.
pub const ALL: &[Scenario] = &[("VFs removed while in use", removed)];

fn removed(rig: &Rig<'_>) -> Result<String> {
    let before = rig.see()?;
    let vf = rig.vf_of(1, 0);
    let mut keys = everything("02:00:00:00:0e:01");
    keys["cniVersion"] = json!("1.0.0");
    keys["ipam"] = json!({"type": "host-local", "ranges": [[{"subnet": "10.92.0.0/24"}]]});
    let pod = Sandbox::create("removed")?;
    rig.add(&pod, &vf, &keys)?;
    has(&vf, &keys)?;
    in_pod(&pod, &vf, NET1)?;

    let all = rig.machine.hardware.pfs[1].vfs.len();
    count(&vf, 0)?;
    let links = pod.ip_json("link show")?;
    ensure!(
        links.as_array().is_some_and(|links| links.len() == 1),
        "the pod still has {links}"
    );
    let listed = run("/run/lab-bin/sriov", ["list"])?;
    let line = listed.lines().find(|line| line.starts_with(&vf.address));
    let line = line.context("sriov list does not tell the VF")?;
    let other = Sandbox::create("removed-other")?;
    let refused = rig.refused(&other, &vf, &keys)?;
    ensure!(refused.code == 100, "{refused:?}");
    for _ in 0..2 {
        rig.del(&pod, &vf, &keys)?;
    }
    let left = leftovers::of_pods()?;
    ensure!(left.is_empty(), "{}", left.join(", "));

    count(&vf, all)?;
    same_addresses(rig, &before)?;
    rig.add(&other, &vf, &keys)?;
    has(&vf, &keys)?;
    rig.del(&other, &vf, &keys)?;
    Ok(format!(
        "{line}; ADD: {} {}; DEL twice, nothing is left; made anew, the VF serves the next pod",
        refused.code,
        refused.text.trim()
    ))
}

/// Makes the VF's PF have so many VFs, and waits for their interfaces.
fn count(vf: &Vf, number: usize) -> Result<()> {
    let device = Path::new("/sys/class/net").join(&vf.pf).join("device");
    fs::write(device.join("sriov_numvfs"), number.to_string())
        .with_context(|| format!("set {number} VFs on {}", vf.pf))?;
    if number > 0 {
        wait_for("the VFs' interfaces", || {
            (0..number).try_fold(true, |all, index| {
                let there = device.join(format!("virtfn{index}/net")).exists();
                Ok(all && there)
            })
        })?;
    }
    run("udevadm", ["settle"]).map(drop)
}

/// A VF that is made anew makes up an address: those from before, so that all of it can be compared.
fn same_addresses(rig: &Rig<'_>, before: &Seen) -> Result<()> {
    for vf in &rig.machine.hardware.pfs[1].vfs {
        let (was, _) = before.get(vf).context("a VF that was not seen")?;
        let name = interface_of(vf)?.with_context(|| format!("VF {vf} has no interface"))?;
        ip(&format!("link set dev {name} address {}", was.mac))?;
    }
    Ok(())
}
