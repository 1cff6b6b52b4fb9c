//! Rows of the DEL table (spec/sriov-cni.md §3.1) that no other file of this story shows: a lock that is held, IPAM that
//! fails, files that are missing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, STATE, has, in_pod},
};
use crate::guest::{cni::Sandbox, hardware::wait_for};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("VF locked", locked),
    ("IPAM DEL fails", ipam_fails),
    ("files missing", files_missing),
];

/// Another process holds the lock that the Go program takes, too.
struct Holder(Child);

impl Holder {
    fn of(file: &Path) -> Result<Self> {
        fs::create_dir_all(file.parent().context("a lock file without folder")?)
            .context("create the folder of locks")?;
        let lock = file.to_string_lossy().into_owned();
        let child = Command::new("flock")
            .args(["--no-fork", &lock, "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .context("start flock")?;
        let holder = Self(child);
        wait_for("flock to hold the lock", || {
            let tried = Command::new("flock")
                .args(["--nonblock", &lock, "true"])
                .status()
                .context("try the lock")?;
            Ok(!tried.success())
        })?;
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn locked(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let keys = everything("02:00:00:00:0d:01");
    let pod = Sandbox::create("locked")?;
    let file = Path::new(STATE).join(format!("pci/vf_lock/{}.lock", vf.address));
    let holder = Holder::of(&file)?;
    let add = rig.refused(&pod, &vf, &keys)?;
    drop(holder);
    rig.add(&pod, &vf, &keys)?;
    let before = has(&vf, &keys)?;
    let holder = Holder::of(&file)?;
    let answer = rig
        .sriov
        .call("DEL", &pod, NET1, &Rig::config(&vf, &keys))?;
    let del = answer.refusal()?;
    ensure!(
        add.code == 11 && del.code == 11,
        "ADD: {add:?}, DEL: {del:?}"
    );
    ensure!(
        before == has(&vf, &keys)?,
        "the VF was changed without its lock"
    );
    in_pod(&pod, &vf, NET1)?;
    drop(holder);
    rig.del(&pod, &vf, &keys)?;
    Ok(format!("11 {}; then both succeed", del.text.trim()))
}

/// Succeeds at ADD; at DEL only once a file is there.
const FLAKY: &str = r#"#!/bin/sh
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.91.0.2/24"}]}' ;;
DEL) [ -e /run/lab-bin/ipam-works ] || { echo '{"cniVersion":"1.0.0","code":177,"msg":"the lease server is away"}'; exit 1; } ;;
esac
"#;

fn ipam_fails(rig: &Rig<'_>) -> Result<String> {
    let program = "/opt/cni/bin/lab-ipam";
    fs::write(program, FLAKY).with_context(|| format!("write {program}"))?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {program} executable"))?;
    let works = Path::new("/run/lab-bin/ipam-works");
    let _ = fs::remove_file(works);

    let vf = rig.vf(1);
    let before = rig.see()?;
    let mut keys = everything("02:00:00:00:0d:02");
    keys["cniVersion"] = json!("1.0.0");
    keys["ipam"] = json!({"type": "lab-ipam"});
    let pod = Sandbox::create("ipam-del")?;
    rig.add(&pod, &vf, &keys)?;
    let answer = rig
        .sriov
        .call("DEL", &pod, NET1, &Rig::config(&vf, &keys))?;
    let refusal = answer.refusal()?;
    ensure!(refusal.code == 177, "{refusal:?}");
    let now = rig.see()?;
    ensure!(
        now[&vf.address] == before[&vf.address],
        "the VF waits for IPAM: {:?}",
        now[&vf.address]
    );
    let next = Sandbox::create("ipam-next")?;
    rig.add(&next, &vf, &json!({"vlan": 7}))?;
    fs::write(works, "").context("let the IPAM plugin work")?;
    rig.del(&pod, &vf, &keys)?;
    has(&vf, &json!({"vlan": 7}))?;
    rig.del(&next, &vf, &json!({"vlan": 7}))?;
    Ok(format!(
        "{} {}; the VF is back at once and serves the next pod; DEL again releases the address",
        refusal.code,
        refusal.text.trim()
    ))
}

/// The VF's own file, the cache, and both.
fn files_missing(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let before = rig.see()?;
    let keys = everything("02:00:00:00:0d:03");
    let all = [
        "pci/{vf}",
        "{pod}-net1",
        "ledger/{pod}@net1",
        "ledger/pci/{vf}",
    ];
    for (number, file) in all.into_iter().enumerate() {
        let pod = Sandbox::create(&format!("missing-{number}"))?;
        rig.add(&pod, &vf, &keys)?;
        let file = file.replace("{vf}", &vf.address).replace("{pod}", &pod.id);
        fs::remove_file(Path::new(STATE).join(&file)).with_context(|| format!("remove {file}"))?;
        rig.del(&pod, &vf, &keys)?;
        rig.is_back(&before)
            .with_context(|| format!("without {file}"))?;
    }
    Ok(format!(
        "{}: DEL restores without each of them",
        all.join(", ")
    ))
}
