//! The device plugin as a DaemonSet's pod runs it: no capability, read-only root, the runtime's seccomp profile.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    changes::{set_count, settle},
    offers::{self, seconds},
    stage::Stage,
};
use crate::{
    guest::{
        cluster::{NODE, POD_START},
        pod::PodSpec,
    },
    scenario::demo::{
        networks::{DPDK, STORAGE},
        start,
    },
};

const POD: &str = "sriovdp";

/// What the container is given of the host: name, path, whether it may write there. Each is needed:
/// the sockets that it makes and those that the kubelet looks for; the kubelet's answer who holds what; the files for
/// multus; the pools; the program itself, which an image would carry.
const GIVEN: [(&str, &str, bool); 6] = [
    ("device-plugins", "/var/lib/kubelet/device-plugins", true),
    (
        "plugins-registry",
        "/var/lib/kubelet/plugins_registry",
        true,
    ),
    ("pod-resources", "/var/lib/kubelet/pod-resources", false),
    ("devinfo", "/var/run/k8s.cni.cncf.io/devinfo/dp", true),
    ("pools", "/run/pools", false),
    ("programs", "/exchange/bin", false),
];

/// The pod sees and does all that the process on the host did: pools, events of the kernel, allocations.
pub(super) async fn serves(stage: &mut Stage<'_>) -> Result<String> {
    stage
        .node
        .sriovdp
        .terminate(Duration::from_secs(10))
        .await?;
    let client = stage.node.cluster.client.clone();
    client.create(&manifest()).await?;
    client.wait_phase(POD, "Running", POD_START).await?;
    let shown = stage.wait_all().await?;
    let confined = confinement(stage).await?;

    let pf = stage.node.hardware.pfs[1].clone();
    set_count(&pf.address, 0)?;
    let gone = offers::wait(STORAGE, [""; 0]).await?;
    set_count(&pf.address, pf.vfs.len())?;
    let back = stage.wait_all().await?;
    settle(stage, 1)?;

    start(stage.node, &PodSpec::new("user").devices(DPDK, 1)).await?;
    let vf = stage.device_of("user", DPDK).await?;
    client.delete_pod("user", Duration::from_mins(1)).await?;
    client.delete_pod(POD, Duration::from_mins(1)).await?;
    stage.restart(&[]).await?;
    stage.wait_all().await?;
    let paths: Vec<String> = GIVEN
        .iter()
        .filter(|(name, ..)| *name != "programs")
        .map(|(_, path, writable)| format!("{path} {}", if *writable { "rw" } else { "ro" }))
        .collect();
    Ok(format!(
        "{confined}\npools offered after {}; count 0 seen after {}, 7 after {}; a pod got {vf}\ngiven: host network, \
         user 0 (the kubelet's folders are root's, 0750), {}",
        seconds(shown),
        seconds(gone),
        seconds(back),
        paths.join(", ")
    ))
}

/// What the kernel says of the process, which is the first of its container.
async fn confinement(stage: &Stage<'_>) -> Result<String> {
    let words = [
        "/bin/cat",
        "/proc/1/status",
        "/proc/1/mounts",
        "/proc/1/cmdline",
    ];
    let text = stage
        .node
        .runtime
        .run(POD, &words, Duration::from_secs(10))
        .await?;
    ensure!(
        text.contains("/exchange/bin/sriovdp"),
        "the container's first process is no sriovdp:\n{text}"
    );
    let wanted = [
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ];
    for (name, value) in wanted {
        let seen = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim);
        ensure!(
            seen == Some(value),
            "{name} of the device plugin's process is {seen:?}, wanted {value}"
        );
    }
    let root = text
        .lines()
        .find_map(|line| line.split_once(" / ").map(|(_, rest)| rest))
        .context("no root mount")?;
    ensure!(
        root.split([' ', ',']).any(|option| option == "ro"),
        "the container's root is mounted {root}"
    );
    Ok("no capability, no_new_privs, seccomp filter, read-only root".to_owned())
}

fn manifest() -> Value {
    let volumes: Vec<Value> = GIVEN
        .iter()
        .map(|(name, path, _)| json!({"name": name, "hostPath": {"path": path, "type": "Directory"}}))
        .collect();
    let mounts: Vec<Value> = GIVEN
        .iter()
        .map(|(name, path, writable)| json!({"name": name, "mountPath": path, "readOnly": !writable}))
        .collect();
    let config = Stage::config_file();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "nodeName": NODE,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 10,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            // Interfaces of PFs, routes and uevents are those of this namespace.
            "hostNetwork": true,
            "containers": [{
                "name": "sriovdp",
                "image": "lab.local/busybox:1",
                "imagePullPolicy": "Never",
                "command": ["/exchange/bin/sriovdp", "--config-file", config, "--reconcile-seconds", "0"],
                "securityContext": {
                    "runAsUser": 0,
                    "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    })
}
