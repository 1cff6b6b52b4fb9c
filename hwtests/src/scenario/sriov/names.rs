//! Names, addresses and sizes that pods, udev and admins change while an attachment lives.

use std::{fs, path::Path, process::Child, thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, come_back, has, in_pod, may_change_own_address},
};
use crate::guest::{
    cni::{Answer, Sandbox},
    hardware::{Hardware, wait_for},
    shell::{ip, run},
};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("renamed by the pod", renamed_by_pod),
    ("changed by the pod", changed_by_pod),
    ("alternative names", alternative_names),
    ("renamed by udev", renamed_by_udev),
    ("PF renamed", pf_renamed),
    ("rebound while in use", rebound),
    ("name taken in the pod", name_taken),
];

/// Where the rule that renames a VF lies while its scenario runs.
const RULE: &str = "/run/udev/rules.d/00-lab-rename.rules";

fn renamed_by_pod(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let keys = json!({"vlan": 100});
    let pod = Sandbox::create("renamed")?;
    rig.add(&pod, &vf, &keys)?;
    pod.ip("link set dev net1 down")?;
    pod.ip("link set dev net1 name mine up")?;
    // A stranger with the name that DEL is called with.
    pod.ip("link add net1 type dummy")?;
    rig.del(&pod, &vf, &keys)?;
    pod.ip("link show dev net1")?;
    Ok("the VF is found by its PCI address; a new net1 of the pod's own is untouched".to_owned())
}

fn changed_by_pod(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(1);
    let keys = everything("02:00:00:00:06:01");
    let pod = Sandbox::create("changed")?;
    rig.add(&pod, &vf, &keys)?;
    pod.ip("link set dev net1 down")?;
    pod.ip("link set dev net1 address 02:66:00:00:00:01 mtu 1400 txqueuelen 77")?;
    pod.ip("link set dev net1 promisc on")?;
    pod.ip("link set dev net1 allmulticast on")?;
    pod.ip("link property add dev net1 altname pods-own-name")?;
    pod.ip("link set dev net1 up")?;
    rig.del(&pod, &vf, &keys)?;
    may_change_own_address(&vf)?;
    Ok("MAC, MTU, queue length, promisc, allmulti and an alternative name that the pod set are gone".to_owned())
}

fn alternative_names(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let name = come_back(&vf.address)?;
    // One is the very name that the interface gets in the pod, another one exists in the pod already.
    for alternative in [NET1, "lab-one", "lab-two"] {
        ip(&format!(
            "link property add dev {name} altname {alternative}"
        ))?;
    }
    let before = rig.see()?;
    let pod = Sandbox::create("alternative")?;
    pod.ip("link add lab-two type dummy")?;
    rig.add(&pod, &vf, &json!({}))?;
    in_pod(&pod, &vf, NET1)?;
    rig.del(&pod, &vf, &json!({}))?;
    rig.is_back(&before)?;
    for alternative in [NET1, "lab-one", "lab-two"] {
        ip(&format!(
            "link property del dev {name} altname {alternative}"
        ))?;
    }
    Ok("net1 and lab-two were in the way, were put aside and came back".to_owned())
}

/// A rule of udev's renames the interface whenever an event comes, and events keep coming.
fn renamed_by_udev(rig: &Rig<'_>) -> Result<String> {
    const ROUNDS: usize = 6;
    let vf = rig.vf(3);
    let original = come_back(&vf.address)?;
    fs::create_dir_all("/run/udev/rules.d").context("create udev's folder of rules")?;
    let rule = format!(
        "SUBSYSTEM==\"net\", ACTION!=\"remove\", KERNELS==\"{}\", NAME=\"labudev%n\"\n",
        vf.address
    );
    fs::write(RULE, rule).context("write a rule of udev's")?;
    run("udevadm", ["control", "--reload"])?;
    let result = under_udev(rig, &vf, ROUNDS, &original);
    fs::remove_file(RULE).context("remove the rule of udev's")?;
    run("udevadm", ["control", "--reload"])?;
    run("udevadm", ["settle"])?;
    let name = come_back(&vf.address)?;
    if name != original {
        let _ = ip(&format!("link property del dev {name} altname {original}"));
        ip(&format!("link set dev {name} name {original}"))?;
    }
    let renames = result?;
    Ok(format!(
        "{ROUNDS} pods got net1 and gave it back while udev renamed the VF; it was found under another name {renames} times"
    ))
}

fn under_udev(rig: &Rig<'_>, vf: &super::rig::Vf, rounds: usize, original: &str) -> Result<usize> {
    let mut renames = 0;
    for round in 0..rounds {
        let pod = Sandbox::create(&format!("udev-{round}"))?;
        let before = come_back(&vf.address)?;
        renames += usize::from(before != original);
        let trigger = storm(&vf.address)?;
        // Back to the old name, so that udev has something to do while ADD is at work.
        if before != original {
            let _ = ip(&format!("link set dev {before} name {original}"));
        }
        let added = rig.add(&pod, vf, &json!({"vlan": 50}));
        finish(trigger)?;
        added?;
        in_pod(&pod, vf, NET1)?;
        let trigger = storm(&vf.address)?;
        let deleted = rig.del(&pod, vf, &json!({"vlan": 50}));
        finish(trigger)?;
        deleted?;
        has(vf, &json!({"vlan": 0}))?;
        run("udevadm", ["settle"])?;
        let name = come_back(&vf.address)?;
        ensure!(name != NET1, "the VF kept the pod's name on the host");
    }
    Ok(renames)
}

/// Ten events for the VF's interface, in the background.
fn storm(vf: &str) -> Result<Child> {
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do for d in /sys/bus/pci/devices/{vf}/net/*; do echo add > $d/uevent; done; done"
    );
    std::process::Command::new("sh")
        .args(["-c", &script])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .context("start a storm of events")
}

fn finish(mut storm: Child) -> Result<()> {
    storm.wait().context("wait for the storm's end").map(drop)
}

fn pf_renamed(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(4);
    let keys = everything("02:00:00:00:06:02");
    let pod = Sandbox::create("pf")?;
    rig.add(&pod, &vf, &keys)?;
    ip(&format!("link set dev {} name labpf", vf.pf))?;
    let deleted = rig.del(&pod, &vf, &keys);
    let _ = ip(&format!("link property del dev labpf altname {}", vf.pf));
    ip(&format!("link set dev labpf name {}", vf.pf))?;
    deleted?;
    Ok(format!("DEL while {} was named labpf", vf.pf))
}

/// An admin takes the VF's driver away from under a pod, and gives it to vfio-pci.
fn rebound(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf_of(1, 0);
    let was = rig.see()?[&vf.address].0.clone();
    let keys = everything("02:00:00:00:06:03");
    let pod = Sandbox::create("rebound")?;
    rig.add(&pod, &vf, &keys)?;
    Hardware::bind_vfio(&vf.address)?;
    let deleted = rig.del(&pod, &vf, &keys);
    let settings = has(
        &vf,
        &json!({"vlan": 0, "trust": "off", "spoofchk": "on", "max_tx_rate": 0}),
    );
    let device = Path::new("/sys/bus/pci/devices").join(&vf.address);
    fs::write(device.join("driver/unbind"), &vf.address).context("unbind vfio-pci")?;
    fs::write(device.join("driver_override"), "\n").context("clear driver_override")?;
    fs::write("/sys/bus/pci/drivers_probe", &vf.address).context("probe igbvf")?;
    let name = come_back(&vf.address)?;
    run("udevadm", ["settle"])?;
    let name = come_back(&vf.address).unwrap_or(name);
    deleted?;
    let settings = settings?;
    // A VF makes its address up at each probe.
    if name != was.interface {
        let _ = ip(&format!(
            "link property del dev {name} altname {}",
            was.interface
        ));
        ip(&format!("link set dev {name} name {}", was.interface))?;
    }
    ip(&format!(
        "link set dev {} address {}",
        was.interface, was.mac
    ))?;
    wait_for("the PF to tell the VF's own address", || {
        let told = Rig::settings(&vf)?["address"] == was.settings["address"];
        if !told {
            sleep(Duration::from_millis(50));
        }
        Ok(told)
    })?;
    Ok(format!("DEL with the VF on vfio-pci: {settings}"))
}

fn name_taken(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(0);
    let pod = Sandbox::create("taken")?;
    pod.ip("link add net1 type dummy")?;
    let before = pod.ip_json("link show dev net1")?;
    let keys = everything("02:00:00:00:06:04");
    let refusal = rig.refused(&pod, &vf, &keys)?;
    ensure!(
        refusal.code == 104 && refusal.text.contains("net1 is taken"),
        "{refusal:?}"
    );
    rig.del(&pod, &vf, &keys)?;
    ensure!(
        before == pod.ip_json("link show dev net1")?,
        "the pod's own net1 was changed"
    );
    let answer: Answer = rig
        .sriov
        .call("DEL", &pod, NET1, &Rig::config(&vf, &keys))?;
    answer.success()?;
    Ok(refusal.text)
}
