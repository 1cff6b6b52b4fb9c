//! The block `provision`: `sriovdp provision` makes VFs and binds drivers, or says why not.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    changes::{set_count, settle},
    offers::{self, seconds},
    stage::Stage,
};
use crate::{
    guest::{
        hardware::Hardware,
        node::Options,
        pod::{PodSpec, network},
        shell::run,
    },
    report::{Line, Reporter},
    scenario::demo::{
        networks::{DPDK, KERNEL},
        start,
    },
};

/// Where the configuration and what it gave wait for the next boot: on the disk.
const CONFIG: &str = "/state/provision.json";
const RESULT: &str = "/state/provisioned.json";
const POD: &str = "user";

/// From zero VFs to two pools with two drivers, which the kubelet sees; the same again changes nothing.
pub(super) async fn from_zero(stage: &mut Stage<'_>) -> Result<String> {
    let first = stage.node.hardware.pfs[0].clone();
    set_count(&first.address, 0)?;
    offers::wait(KERNEL, [""; 0]).await?;
    let config = block(stage, 7);
    stage.configure(&config)?;
    let plan = sriovdp(stage.options, "plan", &Stage::config_file())?;
    ensure!(
        plan.contains("sriov_numvfs") && set(&first.address)?.is_empty(),
        "sriovdp plan does not print the write of sriov_numvfs, or did it: {plan}"
    );
    let began = std::time::Instant::now();
    sriovdp(stage.options, "provision", &Stage::config_file())?;
    let took = began.elapsed();
    offers::wait(KERNEL, &first.vfs[..5]).await?;
    let seen = offers::wait(DPDK, &first.vfs[5..]).await?;
    settle(stage, 0)?;
    let before = set(&first.address)?;
    ensure!(
        before == wanted(&first.vfs),
        "drivers are {before:?}, wanted {:?}",
        wanted(&first.vfs)
    );
    fs::write(CONFIG, config.to_string()).context("keep the configuration")?;
    fs::write(RESULT, json!(before).to_string()).context("keep the result")?;

    let states = stage.node.hardware.observe()?;
    let again = sriovdp(stage.options, "provision", &Stage::config_file())?;
    ensure!(
        again.contains("as configured"),
        "a second run does not say that nothing is to be done: {again}"
    );
    ensure!(
        stage.node.hardware.observe()? == states,
        "a second run changed a VF"
    );
    Ok(format!(
        "plan: {} writes; 7 VFs, 5 igbvf and 2 vfio-pci in {}, all offered {} later; second run: nothing written",
        plan.lines().filter(|line| line.contains("/sys/")).count(),
        seconds(took),
        seconds(seen)
    ))
}

/// Another VF count is refused with the pod's name while one VF is in use, and a count that no PF has is refused.
pub(super) async fn refusals(stage: &mut Stage<'_>) -> Result<String> {
    let client = stage.node.cluster.client.clone();
    let config = r#"{"cniVersion":"1.0.0","name":"user","type":"sriov"}"#;
    client
        .create(&network("user", Some(KERNEL), config))
        .await?;
    let pod = PodSpec::new(POD).networks("user").devices(KERNEL, 1);
    start(stage.node, &pod).await?;
    let first = stage.node.hardware.pfs[0].clone();
    let in_use = refused(stage, &block(stage, 4), POD)?;
    client
        .delete_pod(POD, std::time::Duration::from_mins(1))
        .await?;
    let too_many = refused(stage, &block(stage, 8), "8")?;
    ensure!(
        set(&first.address)? == wanted(&first.vfs),
        "a refused run changed the VFs"
    );
    stage.configure(&stage.pools())?;
    stage.wait_all().await?;
    Ok(format!("{in_use}\n{too_many}"))
}

fn refused(stage: &mut Stage<'_>, config: &Value, says: &str) -> Result<String> {
    let file = Path::new("/run/refused.json");
    fs::write(file, config.to_string()).context("write a configuration")?;
    match sriovdp(stage.options, "provision", file) {
        Ok(said) => bail!("sriovdp provision does it: {said}"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(
                text.contains(says) && text.contains("refused"),
                "the refusal does not name {says:?}: {text}"
            );
            let line = text.lines().find(|line| line.contains("refused"));
            Ok(line.unwrap_or(&text).to_owned())
        }
    }
}

/// Asks for the next boot: after it the same configuration must bring the same state.
pub(super) fn ask_for_a_reboot(report: &mut Reporter) -> Result<()> {
    report.line(&Line::NextBoot { power_cut: false })
}

/// Whether a boot before left something to compare with.
pub(super) fn is_kept() -> bool {
    Path::new(RESULT).exists()
}

/// In a fresh boot, before anything else: from the kernel's zero VFs to what was there before it.
pub(super) fn after_reboot(options: &Options) -> Result<String> {
    let text = fs::read_to_string(RESULT).context("read what was there before the reboot")?;
    fs::remove_file(RESULT).context("use it once")?;
    let before: BTreeMap<String, String> = serde_json::from_str(&text)?;
    let pf = pf_of_config()?;
    ensure!(
        set(&pf)?.is_empty(),
        "the PF has VFs right after a boot: nothing would be shown"
    );
    run("modprobe", ["igbvf"])?;
    let said = sriovdp(options, "provision", Path::new(CONFIG))?;
    let now = set(&pf)?;
    ensure!(
        now == before,
        "before the reboot {before:?}, after it {now:?}: {said}"
    );
    Ok(format!("{} VFs with the same drivers as before", now.len()))
}

fn pf_of_config() -> Result<String> {
    let text = fs::read_to_string(CONFIG).context("read the configuration")?;
    let config: Value = serde_json::from_str(&text)?;
    let name = config["provision"][0]["pf"]["pfNames"][0]
        .as_str()
        .context("no PF in the configuration")?;
    Hardware::address_of(name)
}

/// The story's pools and the first PF's VFs: the last two of seven on vfio-pci.
fn block(stage: &Stage<'_>, count: usize) -> Value {
    let mut config = stage.pools();
    let mut groups = vec![json!({"vfs": "0-3", "driver": "default", "pool": KERNEL})];
    if count > 4 {
        groups.push(json!({"vfs": "5-6", "driver": "vfio-pci", "pool": DPDK}));
    }
    config["provision"] = json!([{
        "pf": {"pfNames": [stage.node.hardware.pfs[0].name]},
        "numVfs": count,
        "groups": groups,
        "onMismatch": "refuse",
    }]);
    config
}

/// Driver by VF, as [`block`] wants it with seven.
fn wanted(vfs: &[String]) -> BTreeMap<String, String> {
    let driver = |index| if index < 5 { "igbvf" } else { "vfio-pci" };
    let with_driver = vfs
        .iter()
        .enumerate()
        .map(|(index, vf)| (vf.clone(), driver(index).to_owned()));
    with_driver.collect()
}

/// Driver by VF, as sysfs has it.
fn set(pf: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for index in 0..64 {
        let vf = Path::new("/sys/bus/pci/devices")
            .join(pf)
            .join(format!("virtfn{index}"));
        let Ok(folder) = fs::canonicalize(&vf) else {
            break;
        };
        let name = |path: &Path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let driver = fs::canonicalize(folder.join("driver")).ok();
        found.insert(
            name(&folder).context("a VF without address")?,
            driver.as_deref().and_then(name).unwrap_or_default(),
        );
    }
    Ok(found)
}

/// Runs a command of `sriovdp`; gives all that it says.
fn sriovdp(options: &Options, command: &str, config: &Path) -> Result<String> {
    let output = Command::new(options.program("sriovdp"))
        .arg(command)
        .arg("--config-file")
        .arg(config)
        .output()
        .with_context(|| format!("run sriovdp {command}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("sriovdp {command} ended with {}: {said}", output.status);
    }
    Ok(said)
}
