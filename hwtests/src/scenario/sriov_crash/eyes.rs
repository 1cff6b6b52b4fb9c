//! Looking at VFs, pods and files: by `ip`, sysfs and the names and contents of files, with no code of the programs
//! under test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    cell::{Cell, Kind, Pod},
    config::{Asked, plugin},
};
use crate::guest::{
    cni::Sandbox,
    hardware::{Hardware, Pf, wait_for},
    shell::{ip_json, run},
};

/// Where CNI plugins keep state; all of it is on the disk that survives a boot.
const STATE: &str = "/var/lib/cni";
/// What is compared of a VF's interface. Its permanent address is not: igbvf takes whatever address the PF sets for
/// that, and nobody can set it.
const PROPERTIES: [&str; 9] = [
    "ifname",
    "address",
    "mtu",
    "txqlen",
    "flags",
    "altnames",
    "promiscuity",
    "allmulti",
    "link_type",
];

/// A VF: its driver, the PF's settings for it, its interface on the host.
pub type VfLook = Value;

/// What was there before anything was done in this boot.
#[derive(Debug)]
pub struct Eyes {
    hardware: Hardware,
    vfs: BTreeMap<String, VfLook>,
    links: BTreeSet<String>,
}

impl Eyes {
    /// Takes the baseline.
    ///
    /// # Errors
    /// When `ip` or sysfs cannot be read.
    pub fn open(hardware: &Hardware) -> Result<Self> {
        let links = ip_json("-details link show")?;
        Ok(Self {
            vfs: vfs(hardware, &links)?,
            links: names(&links),
            hardware: hardware.clone(),
        })
    }

    /// The VF is what it was; udev may still be at work on an interface that came back.
    ///
    /// # Errors
    /// When it is not, with what differs.
    pub fn unchanged(&self, vf: &str, before: Option<&VfLook>) -> Result<()> {
        let before = before.unwrap_or(&self.vfs[vf]);
        if self.now(vf)? == *before {
            return Ok(());
        }
        run("udevadm", ["settle"])?;
        if !self.interface(vf).is_empty()
            && before["interface"]["flags"]
                .to_string()
                .contains("LOWER_UP")
        {
            // An interface that was set up gets its carrier a moment later.
            let _ = self.carrier(&self.interface(vf));
        }
        let now = self.now(vf)?;
        ensure!(
            now == *before,
            "VF {vf} differs: {}",
            differences(before, &now)
        );
        Ok(())
    }

    /// The VF's name on the host; empty if it has no interface.
    pub fn interface(&self, vf: &str) -> String {
        let look = self.vfs.get(vf).map(|look| &look["interface"]["ifname"]);
        look.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The address of the VF's interface.
    ///
    /// # Errors
    /// When it has none.
    pub fn address(&self, vf: &str) -> Result<String> {
        let address = self.vfs[vf]["interface"]["address"].as_str();
        Ok(address
            .with_context(|| format!("VF {vf} has no interface"))?
            .to_owned())
    }

    /// Waits for an interface of the host to be up with carrier.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn carrier(&self, interface: &str) -> Result<()> {
        wait_for(&format!("carrier on {interface}"), || {
            let links = ip_json(&format!("link show dev {interface}"))?;
            Ok(links[0]["flags"].to_string().contains("LOWER_UP"))
        })
    }

    /// Name of the VF's PF, and the VF's index.
    ///
    /// # Errors
    /// When it is no VF of this machine.
    pub fn pf_of(&self, vf: &str) -> Result<(String, usize)> {
        let of = |pf: &Pf| Some((pf.name.clone(), pf.vfs.iter().position(|of| of == vf)?));
        self.hardware
            .pfs
            .iter()
            .find_map(of)
            .with_context(|| format!("{vf} is no VF"))
    }

    /// The VF as it is now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn now(&self, vf: &str) -> Result<VfLook> {
        let mut all = vfs(&self.hardware, &ip_json("-details link show")?)?;
        all.remove(vf).with_context(|| format!("VF {vf} is gone"))
    }

    /// The device is in the pod, as asked.
    ///
    /// # Errors
    /// When it is not, with what is there.
    pub fn owned(&self, cell: &Cell, device: &str, pod: Pod, sandbox: &Sandbox) -> Result<()> {
        let kind = cell.row.kind;
        let asked = Asked::of(cell, pod);
        if kind.is_vf() {
            let settings = &self.now(device)?["settings"];
            let (vlan, mac) = (&settings["vlan_list"][0], &settings["address"]);
            let wanted = json!([
                asked.vlan,
                asked.qos,
                asked.mac,
                false,
                asked.trust,
                asked.max_tx_rate
            ]);
            let rate = &settings["rate"]["max_tx"];
            let rate = if rate.is_null() {
                &settings["max_tx_rate"]
            } else {
                rate
            };
            let shown = json!([
                vlan["vlan"],
                vlan["qos"],
                mac,
                settings["spoofchk"],
                settings["trust"],
                rate
            ]);
            ensure!(
                shown == wanted,
                "VF {device} is {settings}, asked for {wanted}"
            );
        }
        if kind == Kind::Userspace {
            return Ok(());
        }
        let links = sandbox.ip_json(&format!("-details address show dev {}", cell.ifname()))?;
        let link = &links[0];
        let addressed = link["addr_info"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        ensure!(addressed, "{} has no address: {link}", sandbox.id);
        match plugin(kind) {
            Some(plugin) => ensure!(
                link["linkinfo"]["info_kind"] == plugin,
                "{} has no {plugin}: {link}",
                sandbox.id
            ),
            None => ensure!(
                link["parentdev"] == device && link["address"] == asked.mac.as_str(),
                "{} has not {device} with {}: {link}",
                sandbox.id,
                asked.mac
            ),
        }
        Ok(())
    }

    /// Nothing on the host but what was there: links, namespaces, files of CNI plugins.
    ///
    /// # Errors
    /// When there is more, or less.
    pub fn nothing_left(&self) -> Result<()> {
        let links = names(&ip_json("-details link show")?);
        let changed: Vec<_> = links.symmetric_difference(&self.links).collect();
        ensure!(
            changed.is_empty(),
            "links of the host came or went: {changed:?}"
        );
        let namespaces = ip_json("netns list")?;
        ensure!(namespaces == json!([]), "namespaces are left: {namespaces}");
        let files = files(&|_, _| true)?;
        ensure!(files.is_empty(), "files are left: {}", files.join(", "));
        Ok(())
    }
}

/// The pod has no link but its loopback.
///
/// # Errors
/// When it has one.
pub fn empty(pod: &Sandbox) -> Result<()> {
    let mut links = names(&pod.ip_json("link show")?);
    links.remove("lo");
    ensure!(links.is_empty(), "links are left in {}: {links:?}", pod.id);
    Ok(())
}

/// No file of any plugin speaks of `what`, by name or content. A killed process's temporary files are left out: they are
/// removed when they are old ([`Eyes::nothing_left`] has them in).
///
/// # Errors
/// When one does.
pub fn forgotten(what: &str) -> Result<()> {
    let found =
        files(&|path, text| !is(path, "tmp") && (path.contains(what) || text.contains(what)))?;
    if !found.is_empty() {
        bail!("left of {what}: {}", found.join(", "));
    }
    Ok(())
}

/// Removes leases of a network that a power cut has emptied: host-local writes them without a sync, and what names
/// nobody is released by no DEL. That is host-local's; nobody but it and an admin can tell.
///
/// # Errors
/// When one cannot be removed.
pub fn drop_emptied_leases(network: &str) -> Result<()> {
    let folder = Path::new(STATE).join("networks").join(network);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_lease = entry
            .file_name()
            .to_string_lossy()
            .parse::<IpAddr>()
            .is_ok();
        if is_lease && entry.metadata().is_ok_and(|meta| meta.len() == 0) {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Files below [`STATE`] that are about an attachment and match, with the beginning of what they say. Lock files and
/// the address that host-local reserved last are nobody's.
fn files(matches: &dyn Fn(&str, &str) -> bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(STATE)];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
        };
        for entry in entries {
            let path = entry
                .with_context(|| format!("list {}", folder.display()))?
                .path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            if name == "lock" || is(&name, "lock") || name.starts_with("last_reserved_ip") {
                continue;
            }
            // Another cell's file may go meanwhile.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let shown = path.display().to_string();
            if matches(&shown, &text) && path.exists() {
                found.push(format!(
                    "{shown} ({})",
                    text.chars().take(60).collect::<String>().escape_debug()
                ));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|of| of == extension)
}

fn names(links: &Value) -> BTreeSet<String> {
    let list = links.as_array().into_iter().flatten();
    list.filter_map(|link| Some(link["ifname"].as_str()?.to_owned()))
        .collect()
}

fn vfs(hardware: &Hardware, links: &Value) -> Result<BTreeMap<String, VfLook>> {
    let list = || links.as_array().into_iter().flatten();
    let mut all = BTreeMap::new();
    for pf in &hardware.pfs {
        let link = list().find(|link| link["ifname"] == pf.name.as_str());
        let settings =
            link.with_context(|| format!("ip shows no {}", pf.name))?["vfinfo_list"].as_array();
        for (index, vf) in pf.vfs.iter().enumerate() {
            let of_vf = settings.and_then(|list| list.iter().find(|entry| entry["vf"] == index));
            let netdev = list().find(|link| link["parentdev"] == vf.as_str());
            let driver = fs::read_link(Path::new("/sys/bus/pci/devices").join(vf).join("driver"));
            let driver = driver.unwrap_or_default();
            all.insert(
                vf.clone(),
                json!({
                    "driver": driver.file_name().map(|name| name.to_string_lossy().into_owned()),
                    "settings": of_vf.with_context(|| format!("ip shows no VF {index} on {}", pf.name))?,
                    "interface": netdev.map(properties),
                }),
            );
        }
    }
    Ok(all)
}

fn properties(link: &Value) -> Value {
    PROPERTIES
        .into_iter()
        .map(|key| (key.to_owned(), sorted(&link[key])))
        .collect()
}

fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(list) = value.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    value
}

/// What differs, key by key.
fn differences(before: &Value, now: &Value) -> String {
    let mut told = Vec::new();
    for part in ["driver", "settings", "interface"] {
        match (before[part].as_object(), now[part].as_object()) {
            (Some(was), Some(is)) => {
                let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
                for key in keys.into_iter().filter(|key| was.get(*key) != is.get(*key)) {
                    told.push(format!(
                        "{part} {key} was {}, is {}",
                        before[part][key], now[part][key]
                    ));
                }
            }
            _ if before[part] != now[part] => {
                told.push(format!("{part} was {}, is {}", before[part], now[part]));
            }
            _ => {}
        }
    }
    told.join("; ")
}
