//! Hardware and configuration that change under a device plugin that has no slow reconcile: events must do it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    offers::{self, seconds},
    stage::Stage,
};
use crate::{
    guest::{
        hardware::{Hardware, interface_of, wait_for},
        shell::run,
    },
    report::{Line, Reporter},
    scenario::demo::networks::{DPDK, KERNEL, STORAGE},
};

/// The second PF's VF count goes to 0, 7, 0, 4 and back to 7; the kubelet must see each (spec/corrections.md K6).
pub(super) async fn vf_count(stage: &mut Stage<'_>) -> Result<String> {
    let pf = stage.node.hardware.pfs[1].clone();
    let mut rows = Vec::new();
    // The kernel takes another count only from 0.
    for count in [0, 7, 0, 4, 0, 7] {
        set_count(&pf.address, count)?;
        let took = offers::wait(STORAGE, &pf.vfs[..count]).await?;
        rows.push(format!("{count}: {}", seconds(took)));
    }
    settle(stage, 1)?;
    Ok(format!("VFs of {}: seen {}", pf.name, rows.join(", ")))
}

/// Writes `sriov_numvfs`.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn set_count(pf: &str, count: usize) -> Result<()> {
    fs::write(
        format!("/sys/bus/pci/devices/{pf}/sriov_numvfs"),
        count.to_string(),
    )
    .with_context(|| format!("set the VF count of {pf} to {count}"))
}

/// Waits until udev has named the kernel VFs of a PF that came anew, and takes their new state for the baseline.
///
/// # Errors
/// When a VF gets no interface.
pub(super) fn settle(stage: &mut Stage<'_>, pf: usize) -> Result<()> {
    let kernel = if pf == 0 { 5 } else { stage.vfs(pf).len() };
    for vf in &stage.vfs(pf)[..kernel] {
        wait_for(&format!("an interface of VF {vf}"), || {
            Ok(interface_of(vf)?.is_some())
        })?;
    }
    run("udevadm", ["settle"])?;
    stage.node.baseline = stage.node.hardware.observe()?;
    Ok(())
}

/// A VF that is bound to vfio-pci and back to its own driver changes pools.
pub(super) async fn driver_rebind(stage: &mut Stage<'_>) -> Result<String> {
    let vfs = stage.vfs(0).to_vec();
    let (moved, rest) = vfs.split_first().context("no VF")?;
    Hardware::bind_vfio(moved)?;
    let away = offers::wait(KERNEL, &rest[..4]).await?
        + offers::wait(DPDK, [&rest[4], &rest[5], moved]).await?;
    Hardware::bind_default(moved)?;
    let back = offers::wait(KERNEL, &vfs[..5]).await? + offers::wait(DPDK, &vfs[5..]).await?;
    settle(stage, 0)?;
    Ok(format!(
        "{moved}: igbvf to vfio-pci seen after {}, back after {}",
        seconds(away),
        seconds(back)
    ))
}

/// Pools that ask for it lose their devices with the PF's carrier, others do not; the cable is QEMU's.
pub(super) async fn carrier(stage: &mut Stage<'_>, report: &mut Reporter) -> Result<String> {
    let mut pools = stage.pools();
    pools["resourceList"][2]["health"] = json!({"carrier": true});
    stage.configure(&pools)?;
    stage.wait_all().await?;
    let mut rows = Vec::new();
    let name = stage.node.hardware.pfs[1].name.clone();
    for plugged in [false, true] {
        report.line(&Line::Cable { pf: 1, plugged })?;
        let wanted = if plugged { "1" } else { "0" };
        wait_for(&format!("carrier {wanted} on {name}"), || {
            Ok(carrier_of(&name).as_deref() == Some(wanted))
        })?;
        let devices = if plugged { stage.vfs(1) } else { &[] };
        let took = offers::wait(STORAGE, devices).await?;
        let word = if plugged { "plugged in" } else { "pulled" };
        rows.push(format!("cable of {name} {word}: {}", seconds(took)));
        // Unhealthy, not gone: the kubelet still counts them.
        offers::wait_counts(stage.node, STORAGE, (stage.vfs(1).len(), devices.len())).await?;
    }
    // Without the policy the same cable means nothing: the first PF's pools have none.
    let first = stage.node.hardware.pfs[0].name.clone();
    report.line(&Line::Cable {
        pf: 0,
        plugged: false,
    })?;
    wait_for(&format!("carrier 0 on {first}"), || {
        Ok(carrier_of(&first).as_deref() == Some("0"))
    })?;
    stays(stage, Duration::from_secs(1)).await?;
    report.line(&Line::Cable {
        pf: 0,
        plugged: true,
    })?;
    wait_for(&format!("carrier 1 on {first}"), || {
        Ok(carrier_of(&first).as_deref() == Some("1"))
    })?;
    stage.configure(&stage.pools())?;
    stage.wait_all().await?;
    Ok(format!(
        "{}\n{first} pulled, no policy: all devices stay",
        rows.join(", ")
    ))
}

fn carrier_of(name: &str) -> Option<String> {
    let path = Path::new("/sys/class/net").join(name).join("carrier");
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// All devices are offered, at each look during `time`.
async fn stays(stage: &Stage<'_>, time: Duration) -> Result<()> {
    let wanted = crate::scenario::look::offers().await?;
    let end = std::time::Instant::now() + time;
    while std::time::Instant::now() < end {
        let seen = crate::scenario::look::offers().await?;
        ensure!(seen == wanted, "the offers changed to {seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.wait_all().await?;
    Ok(())
}

/// A ConfigMap edit that is no JSON, and one with a bad pool, keep the last good pools and say where the mistake is;
/// the next good edit counts.
pub(super) async fn config_edit(stage: &mut Stage<'_>) -> Result<String> {
    let mut rows = Vec::new();
    let good = format!("{:#}", stage.pools());
    let line = good.lines().count();
    let no_json = good.trim_end().trim_end_matches('}').to_owned() + "]";
    let bad_range = good.replacen("\"igbvf\"", "17", 1);
    let at = 1 + bad_range
        .lines()
        .take_while(|line| !line.contains("17"))
        .count();
    for (what, text, place) in [
        ("bracket", &no_json, format!("line {line}, column 1")),
        ("driver 17", &bad_range, format!("line {at}, column ")),
    ] {
        stage.configure_text(text)?;
        let message = wait_log(stage, &place).await?;
        stays(stage, Duration::from_millis(500)).await?;
        rows.push(format!("{what}: {message}"));
    }
    let mut renamed = stage.pools();
    renamed["resourceList"][2]["resourceName"] = json!("renamed");
    stage.configure(&renamed)?;
    let took = offers::wait("intel.com/renamed", stage.vfs(1)).await?;
    stage.configure(&stage.pools())?;
    let back = stage.wait_all().await?;
    rows.push(format!(
        "good edit seen after {}, next one after {}",
        seconds(took),
        seconds(back)
    ));
    Ok(rows.join("\n"))
}

/// Waits until the device plugin's log names a place; returns what it says of it.
async fn wait_log(stage: &Stage<'_>, place: &str) -> Result<String> {
    for _ in 0..600 {
        let log = stage.node.sriovdp.log()?;
        if let Some(found) = log.lines().rev().find(|line| line.contains(place)) {
            let at = found.find("ERROR").unwrap_or_default();
            return Ok(found[at..].to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!(
        "the device plugin does not name {place:?}:\n{}",
        stage.node.sriovdp.tail()
    )
}
