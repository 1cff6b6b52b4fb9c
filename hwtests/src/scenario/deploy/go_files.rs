//! A node that Go multus had, without its programs: what they and their pods leave there, as files in their formats
//! (spec/multus.md §5.2 and §6, spec/sriov-cni.md §2.1). With the programs themselves it is the story `replacement`.

use std::{
    cell::Cell,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::steps::{ROLLOUT, VLAN, mv, through};
use crate::{
    guest::{
        cni::{CNI_PATH, Plugin, Sandbox},
        containerd::CNI_BIN_DIR,
        node::{Base, Options, start_sriovdp},
        pod::PodSpec,
        shell::ip,
    },
    scenario::{
        demo::{
            all_is_back,
            networks::{KERNEL, kernel_vf},
            start,
        },
        go_multus::{CREDENTIALS, KUBECONFIG, THICK_CONF, THIN_CONF, primary, thin_conf, write},
        installation::first_is_ours,
        load::{DELETION, Load, come_and_go},
        look,
    },
};

/// The pods, with the last one's network being the primary alone.
const PODS: [&str; 3] = ["go-vf", "go-mv", "go-plain"];
const NET1: &str = "net1";
/// Where Go multus has its state, and where the runtime and delegates have libcni's cache.
const MULTUS: &str = "/var/lib/cni/multus";
const RESULTS: &str = "/var/lib/cni/results";
/// Where Go sriov has its state.
const SRIOV: &str = "/var/lib/cni/sriov";
/// Folder of the thick daemon's socket, and the socket: ours has the same.
const SOCKETS: &str = "/run/multus";
const SOCKET: &str = "/run/multus/multus.sock";
/// A socket that the Go device plugin forgets when it is killed.
const STALE: &str = "/var/lib/kubelet/plugins_registry/intel.com_sriov_net.sock";
/// An end that is asked for.
const END: Duration = Duration::from_secs(10);

/// Three pods run, and their networks and files are as the Go programs make them. Our device plugin stands in for
/// theirs, since the kubelet's own record of who has which device must be true.
pub(super) async fn pods_alive(base: &Base, options: &Options) -> Result<String> {
    fs::create_dir_all("/etc/pcidp").context("create /etc/pcidp")?;
    write(Path::new("/etc/pcidp/config.json"), &base.pools())?;
    let mut sriovdp = start_sriovdp(options)?;
    look::offered(KERNEL, 5).await?;
    for name in PODS {
        let pod = PodSpec::new(name);
        let pod = match name {
            "go-vf" => pod.networks("through").devices(KERNEL, 1),
            "go-mv" => pod.networks("mv"),
            _ => pod,
        };
        start(base, &pod).await?;
    }
    sriovdp.terminate(END).await?;
    drop(std::os::unix::net::UnixListener::bind(STALE).context("leave a stale socket")?);
    installation()?;
    for name in PODS {
        let (id, netns) = base.runtime.sandbox(name).await?;
        let pod = Sandbox { id, netns };
        let mut delegates = vec![default_delegate(&pod)?];
        match name {
            "go-vf" => delegates.push(vf_of(base, &pod).await?),
            "go-mv" => delegates.push(macvlan_of(&pod)?),
            _ => {}
        }
        write(&Path::new(MULTUS).join(&pod.id), &json!(delegates))?;
    }
    modes()?;
    kernel_vf(base, PODS[0], NET1, VLAN).await
}

/// The pods are as they were, and go with full restore.
pub(super) async fn pods_go(base: &Base) -> Result<String> {
    kernel_vf(base, PODS[0], NET1, VLAN).await?;
    let links = look::links(base, PODS[1]).await?;
    ensure!(
        links.contains_key(NET1),
        "pod {} has only {:?}",
        PODS[1],
        links.keys()
    );
    for name in PODS {
        base.cluster.client.delete_pod(name, DELETION).await?;
    }
    all_is_back(base)
}

/// An old thick daemon starts once more: it removes the folder of sockets and puts its configuration first. Then it ends,
/// and takes the socket away.
pub(super) async fn thick_cleans_up(base: &Base, options: &Options) -> Result<String> {
    let load = Load {
        name: "go",
        least: if options.long { 3 } else { 1 },
        refusals: None,
    };
    let done = Cell::new(false);
    let cleaned = async {
        let cleaned = async {
            // The folder, too, behind the mount of our container: our daemon ends, and the kubelet starts it on the new one.
            fs::remove_dir_all(SOCKETS).context("remove the folder of sockets")?;
            fs::create_dir(SOCKETS).context("make the folder of sockets")?;
            let thick = json!({
                "cniVersion": "1.0.0", "name": "multus-cni-network", "type": "multus-shim",
                "clusterNetwork": "/host/etc/cni/net.d/10-bridge.conflist", "logToStderr": true,
            });
            write(Path::new(THICK_CONF), &thick)?;
            first_is_ours().await?;
            // At its end it removes the socket at this path, which is ours again.
            socket().await?;
            fs::remove_file(SOCKET).context("remove the socket")?;
            socket().await?;
            first_is_ours().await
        }
        .await;
        done.set(true);
        cleaned
    };
    let (cleaned, load) = tokio::join!(cleaned, come_and_go(base, load, &done));
    cleaned?;
    fs::remove_dir_all(CREDENTIALS).context("remove what Go thin left")?;
    load
}

/// Waits until our daemon listens where the plugin asks it.
async fn socket() -> Result<()> {
    let deadline = Instant::now() + ROLLOUT;
    while !Path::new(SOCKET).exists() {
        ensure!(
            Instant::now() < deadline,
            "no {SOCKET} after {} s",
            ROLLOUT.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The folders that Go makes with permissions that only root's capabilities overcome.
fn modes() -> Result<()> {
    for (folder, mode) in [
        ("/var/run/k8s.cni.cncf.io/devinfo/dp", 0o000),
        ("/var/lib/cni/sriov/pci/vf_lock", 0o600),
        ("/var/lib/cni/sriov/pci", 0o600),
        (SRIOV, 0o600),
    ] {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))
            .with_context(|| format!("change the mode of {folder}"))?;
    }
    Ok(())
}

/// Configuration, credentials, and programs that are not what they were: ours must not need them.
fn installation() -> Result<()> {
    for folder in [
        CREDENTIALS,
        &format!("{MULTUS}/results"),
        &format!("{SRIOV}/pci/vf_lock"),
    ] {
        fs::create_dir_all(folder).with_context(|| format!("create {folder}"))?;
    }
    fs::write(Path::new(CREDENTIALS).join(KUBECONFIG), "").context("write the kubeconfig")?;
    for name in ["multus", "sriov"] {
        let path = Path::new(CNI_BIN_DIR).join(name);
        fs::write(&path, "#!/bin/sh\necho gone >&2\nexit 1\n")
            .with_context(|| format!("write {name}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {name} executable"))?;
    }
    write(Path::new(THIN_CONF), &thin_conf(&primary()?))
}

/// The primary's attachment was the runtime's; it becomes that of a delegate, and the runtime's is one of Go multus.
fn default_delegate(pod: &Sandbox) -> Result<Value> {
    let primary = primary()?;
    let name = primary["name"].as_str().context("a network without name")?;
    let cached = Path::new(RESULTS).join(format!("{name}-{}-eth0", pod.id));
    let text = fs::read(&cached).with_context(|| format!("read {}", cached.display()))?;
    fs::write(
        Path::new(MULTUS)
            .join("results")
            .join(cached.file_name().context("a cache without name")?),
        &text,
    )
    .context("write the delegate's cache")?;
    let mut entry: Value = serde_json::from_slice(&text).context("read the runtime's cache")?;
    let thin = thin_conf(&primary);
    entry["networkName"] = thin["name"].clone();
    entry["config"] = json!(BASE64_STANDARD.encode(thin.to_string()));
    let theirs = format!("multus-cni-network-{}-eth0", pod.id);
    write(&Path::new(RESULTS).join(theirs), &entry)?;
    fs::remove_file(&cached).context("remove the runtime's cache")?;
    Ok(delegate(&primary, &json!({"Name": ""})))
}

/// A VF as Go sriov attaches it, by `ip`, and its records.
async fn vf_of(base: &Base, pod: &Sandbox) -> Result<Value> {
    let given = look::devices(PODS[0]).await?;
    let vf = given.get(KERNEL).and_then(|ids| ids.first());
    let vf = vf.with_context(|| format!("the kubelet gave {given:?}"))?;
    let mut pfs = base.hardware.pfs.iter();
    let place = pfs.find_map(|pf| Some((pf, pf.vfs.iter().position(|one| one == vf)?)));
    let (pf, index) = place.with_context(|| format!("{vf} is no VF of this node"))?;
    let was = &base.baseline[vf];
    let mut config = through();
    config["deviceID"] = json!(vf);
    config["trust"] = json!("on");
    config["spoofchk"] = json!("off");
    let netns = Path::new(&pod.netns).file_name().unwrap_or_default();
    let netns = netns.to_string_lossy();
    ip(&format!(
        "link set dev {} vf {index} vlan {VLAN} trust on spoofchk off",
        pf.name
    ))?;
    ip(&format!("link set dev {} down", was.interface))?;
    ip(&format!(
        "link set dev {} netns {netns} name {NET1}",
        was.interface
    ))?;
    let lease = Plugin::new(Path::new("/usr/lib/cni/host-local"));
    let result = lease.call("ADD", pod, NET1, &config)?.success()?;
    let address = result["ips"][0]["address"]
        .as_str()
        .with_context(|| format!("a lease without address: {result}"))?;
    ip(&format!("-netns {netns} address add {address} dev {NET1}"))?;
    ip(&format!("-netns {netns} link set dev {NET1} up"))?;

    let mut record = config.clone();
    let more = json!({
        "Master": pf.name, "VFID": index, "MAC": "", "MTU": was.mtu, "runtimeConfig": {}, "ipam": {"type": "host-local"},
        "vlanQoS": 0, "vlanProto": "802.1q", "min_tx_rate": null, "max_tx_rate": null,
        "OrigVfState": {
            "HostIFName": was.interface, "SpoofChk": true, "Trust": false, "AdminMAC": was.settings["address"],
            "EffectiveMAC": was.mac, "Vlan": 0, "VlanQoS": 0, "VlanProto": 33024, "MinTxRate": 0, "MaxTxRate": 0,
            "LinkState": 0, "MTU": was.mtu,
        },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        record[key.as_str()] = value.clone();
    }
    let state = Path::new(SRIOV);
    write(&state.join(format!("{}-{NET1}", pod.id)), &record)?;
    fs::write(state.join("pci").join(vf), &pod.netns).context("write the allocation")?;
    fs::write(state.join(format!("pci/vf_lock/{vf}.lock")), "").context("write the lock")?;
    let result = json!({
        "cniVersion": "1.0.0", "dns": {}, "ips": [{"address": address, "interface": 0}],
        "interfaces": [{"name": NET1, "mac": was.mac, "mtu": was.mtu, "sandbox": pod.netns}],
    });
    attached(pod, &config, &result)?;
    Ok(delegate(
        &config,
        &json!({"Name": "default/through", "deviceID": vf, "resourceName": KERNEL}),
    ))
}

/// Macvlan by the reference plugin.
fn macvlan_of(pod: &Sandbox) -> Result<Value> {
    let config = mv();
    let first = CNI_PATH.split(':').next().unwrap_or_default();
    let plugin = Plugin::new(&Path::new(first).join("macvlan"));
    let result = plugin.call("ADD", pod, NET1, &config)?.success()?;
    attached(pod, &config, &result)?;
    Ok(delegate(&config, &json!({"Name": "default/mv"})))
}

/// libcni's cache of an attachment.
fn attached(pod: &Sandbox, config: &Value, result: &Value) -> Result<()> {
    let name = config["name"].as_str().context("a network without name")?;
    let entry = json!({
        "kind": "cniCacheV1", "containerId": pod.id, "config": BASE64_STANDARD.encode(config.to_string()),
        "ifName": NET1, "networkName": name, "netns": pod.netns, "cniArgs": [["IgnoreUnknown", "true"]],
        "capabilityArgs": {}, "result": result,
    });
    let file = format!("results/{name}-{}-{NET1}", pod.id);
    write(&Path::new(MULTUS).join(file), &entry)
}

/// One entry of the file that Go multus keeps for a sandbox.
fn delegate(config: &Value, more: &Value) -> Value {
    let is_list = config["plugins"].is_array();
    let none = json!({"plugins": null});
    let mut entry = json!({
        "Conf": if is_list { &none } else { config }, "ConfList": if is_list { config } else { &none },
        "ifnameRequest": "", "macRequest": "", "infinibandGUIDRequest": "", "ipRequest": null, "default-route": null,
        "IsFilterV4Gateway": false, "IsFilterV6Gateway": false, "deviceID": "", "resourceName": "",
        "Bytes": BASE64_STANDARD.encode(config.to_string()),
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        entry[key.as_str()] = value.clone();
    }
    entry
}
