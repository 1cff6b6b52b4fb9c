//! Bad input of every kind: each gives one clear error and leaves the node as it was.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    demo::{
        all_is_back,
        networks::{KERNEL, STORAGE},
        start,
    },
    look,
};
use crate::{
    guest::{
        cluster::NODE,
        containerd::CNI_BIN_DIR,
        hardware::{interface_of, wait_for},
        node::{Node, Options},
        pod::{PodSpec, network},
    },
    report::Reporter,
};

/// A refused pod's events must say why within this time, several retries of the kubelet included.
const REFUSED: Duration = Duration::from_mins(2);

/// A pod that must be refused, and what its event must say.
struct Case {
    name: &'static str,
    networks: Vec<Value>,
    pod: PodSpec,
    says: Vec<String>,
}

/// Plays all cases.
///
/// # Errors
/// When the report cannot be written.
pub async fn play(node: &mut Node, options: &Options, report: &mut Reporter) -> Result<()> {
    report.step("bad pools", async { pools(options) }).await?;
    let prepared = report
        .step("bad input: prepare", async { prepare(node).await })
        .await?;
    if prepared.is_none() {
        return Ok(());
    }
    let cases = cases(node).await?;
    for case in &cases {
        for network in &case.networks {
            node.cluster.client.create(network).await?;
        }
        let manifest = case.pod.manifest(NODE);
        node.cluster.client.create(&manifest).await?;
    }
    for case in &cases {
        report
            .step(case.name, async { refused(node, case).await })
            .await?;
    }
    report
        .step("bad input: node as before", async {
            restore(node, &cases).await
        })
        .await?;
    Ok(())
}

/// `sriovdp validate` names the place of each mistake.
fn pools(options: &Options) -> Result<String> {
    let cases = [
        ("not JSON", "{\"resourceList\": [", "line 1"),
        (
            "unknown device type",
            r#"{"resourceList":[{"resourceName":"a","deviceType":"gpu","selectors":{}}]}"#,
            "gpu",
        ),
        (
            "impossible range",
            r#"{"resourceList":[{"resourceName":"a","selectors":{"pfNames":["eth0#3-1"]}}]}"#,
            "3-1",
        ),
        (
            "duplicate name",
            r#"{"resourceList":[{"resourceName":"a","selectors":{}},{"resourceName":"a","selectors":{}}]}"#,
            "intel.com/a",
        ),
    ];
    let mut rows = Vec::new();
    for (name, text, says) in cases {
        let file = Path::new("/run/bad-pools.json");
        fs::write(file, text).context("write a pool configuration")?;
        let output = Command::new(options.program("sriovdp"))
            .arg("validate")
            .arg(file)
            .output()
            .context("run sriovdp validate")?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        ensure!(
            !output.status.success(),
            "{name}: sriovdp validate accepts {text}"
        );
        ensure!(
            message.contains(says),
            "{name}: sriovdp validate does not say {says:?}: {message}"
        );
        rows.push(format!("{name}: {}", message.trim().replace('\n', " ")));
    }
    Ok(rows.join("\n"))
}

/// A pod that holds a VF, a VF without driver, and delegates that misbehave.
async fn prepare(node: &Node) -> Result<String> {
    node.cluster
        .client
        .create(&network(
            "held",
            Some(KERNEL),
            r#"{"cniVersion":"1.0.0","name":"held","type":"sriov"}"#,
        ))
        .await?;
    start(
        node,
        &PodSpec::new("holder").networks("held").devices(KERNEL, 1),
    )
    .await?;
    for (name, body) in [
        ("prints-nothing", "cat > /dev/null"),
        ("prints-garbage", "cat > /dev/null; echo '<html>'"),
        (
            "hangs",
            "case $CNI_COMMAND in ADD) exec sleep 600;; esac; cat > /dev/null",
        ),
    ] {
        let path = Path::new(CNI_BIN_DIR).join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).context("write a delegate")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("chmod")?;
    }
    let vf = no_driver(node);
    fs::write(format!("/sys/bus/pci/devices/{vf}/driver/unbind"), vf).context("unbind a VF")?;
    Ok(format!("holder has a VF; {vf} has no driver"))
}

/// The last VF of the second PF is the one without driver.
fn no_driver(node: &Node) -> &str {
    node.hardware.pfs[1].vfs.last().map_or("", String::as_str)
}

async fn cases(node: &Node) -> Result<Vec<Case>> {
    let held = look::devices("holder").await?;
    let held = held[KERNEL].first().context("holder has no VF")?;
    let sriov = |name: &str, more: &Value| {
        let mut config = json!({"cniVersion": "1.0.0", "name": name, "type": "sriov"});
        if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
            config.extend(more.clone());
        }
        config.to_string()
    };
    let plain = |kind: &str| json!({"cniVersion": "1.0.0", "name": kind, "type": kind}).to_string();
    Ok(vec![
        case("NAD missing", "no-such-network", None, &["no-such-network"]),
        case(
            "NAD not JSON",
            "not-json",
            Some((None, "{\"type\":".to_owned())),
            &["not-json"],
        ),
        case(
            "NAD without type",
            "no-type",
            Some((None, r#"{"cniVersion":"1.0.0"}"#.to_owned())),
            &["no-type", "type"],
        ),
        case(
            "NAD type with slash",
            "slash",
            Some((None, plain("../sriov"))),
            &["../sriov"],
        ),
        case(
            "annotation with two @",
            "held@net1@net2",
            None,
            &["held@net1@net2"],
        ),
        Case {
            pod: PodSpec::new("too-few-devices")
                .networks("held,held")
                .devices(KERNEL, 1),
            ..case("more networks than devices", "-", None, &[KERNEL])
        },
        case(
            "VF of a live pod",
            "stolen",
            Some((None, sriov("stolen", &json!({"deviceID": held})))),
            &[held],
        ),
        case(
            "VF without driver",
            "driverless",
            Some((
                None,
                sriov("driverless", &json!({"deviceID": no_driver(node)})),
            )),
            &[no_driver(node), "bound to no driver"],
        ),
        with_device(
            "VLAN 4095",
            "vlan-4095",
            sriov("vlan-4095", &json!({"vlan": 4095})),
            &["4095"],
        ),
        with_device(
            "IPAM that fails",
            "bad-ipam",
            sriov(
                "bad-ipam",
                &json!({"ipam": {"type": "static", "addresses": [{"address": "10.0.0.300/24"}]}}),
            ),
            &["10.0.0.300"],
        ),
        case(
            "delegate prints nothing",
            "nothing",
            Some((None, plain("prints-nothing"))),
            &["prints-nothing"],
        ),
        case(
            "delegate prints garbage",
            "garbage",
            Some((None, plain("prints-garbage"))),
            &["prints-garbage"],
        ),
        case(
            "delegate hangs",
            "hanging",
            Some((None, plain("hangs"))),
            &["hangs"],
        ),
        Case {
            pod: PodSpec::new("taken-name")
                .networks(r#"[{"name":"held","interface":"eth0"}]"#)
                .devices(KERNEL, 1),
            ..case("interface name exists", "-", None, &["eth0"])
        },
    ])
}

/// A pod that asks for one network of the same name, which is created if its resource and configuration are given.
fn case(
    name: &'static str,
    networks: &str,
    nad: Option<(Option<&str>, String)>,
    says: &[&str],
) -> Case {
    let pod = networks.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    Case {
        name,
        networks: nad
            .into_iter()
            .map(|(resource, config)| network(networks, resource, &config))
            .collect(),
        pod: PodSpec::new(&format!("bad-{}", pod.trim_matches('-'))).networks(networks),
        says: says.iter().map(|&text| text.to_owned()).collect(),
    }
}

fn with_device(name: &'static str, nad: &str, config: String, says: &[&str]) -> Case {
    let case = case(name, nad, Some((Some(STORAGE), config)), says);
    Case {
        pod: case.pod.devices(STORAGE, 1),
        ..case
    }
}

/// The pod does not run, and one of its events says all that it must.
async fn refused(node: &Node, case: &Case) -> Result<String> {
    let pod = case.pod.name();
    let deadline = Instant::now() + REFUSED;
    loop {
        let events = node.cluster.client.events(pod).await?;
        // The kubelet has more to say about a pod; and a pod's own name must not count as the answer.
        let told = events.iter().filter(|event| ours(event)).find(|event| {
            let text = event.replace(pod, "");
            case.says.iter().all(|wanted| text.contains(wanted))
        });
        if let Some(event) = told {
            return Ok(shortened(event));
        }
        let state = node.cluster.client.pod(pod).await?.unwrap_or_default();
        ensure!(
            state["status"]["phase"] != "Running",
            "pod {pod} runs, it must be refused"
        );
        if Instant::now() > deadline {
            bail!(
                "no event of pod {pod} says {:?}; its events:\n{}",
                case.says,
                events.join("\n")
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// An event of ours, or the kubelet's with the runtime's message.
fn ours(event: &str) -> bool {
    let reason = event.split(':').next().unwrap_or_default();
    matches!(
        reason,
        "FailedCreatePodSandBox"
            | "NetworkNotFound"
            | "NetworkInvalid"
            | "AnnotationInvalid"
            | "PoolNotRequested"
            | "PoolExhausted"
            | "DeviceNotAllocated"
            | "InterfaceExists"
            | "IPAMFailed"
            | "DelegateFailed"
            | "DelegateTimeout"
    )
}

/// The end of a runtime's message is the cause; its beginning is the same for all.
fn shortened(event: &str) -> String {
    let letters: Vec<char> = event.chars().collect();
    let skip = letters.len().saturating_sub(220);
    let tail: String = letters[skip..].iter().collect();
    if skip > 0 { format!("...{tail}") } else { tail }
}

async fn restore(node: &Node, cases: &[Case]) -> Result<String> {
    for pod in cases.iter().map(|case| case.pod.name()).chain(["holder"]) {
        node.cluster
            .client
            .delete_pod(pod, Duration::from_mins(2))
            .await?;
    }
    let vf = no_driver(node);
    fs::write("/sys/bus/pci/drivers_probe", vf).context("bind the VF again")?;
    wait_for("the VF's interface", || Ok(interface_of(vf)?.is_some()))?;
    crate::guest::shell::run("udevadm", ["settle"])?;
    // The driver makes up an address whenever it takes a VF.
    let before = &node.baseline[vf];
    crate::guest::shell::ip(&format!(
        "link set dev {} address {}",
        before.interface, before.mac
    ))?;
    all_is_back(node)
}
