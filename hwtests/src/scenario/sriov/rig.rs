//! What every scenario starts from and must end with: free VFs, a plugin to call, and eyes that are `ip`'s.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    guest::{
        cni::{Plugin, Refusal, Sandbox},
        hardware::{VfState, interface_of},
        machine::Machine,
        shell::{ip, ip_json, run},
    },
    scenario::leftovers,
};

/// State directory of `sriov`.
pub const STATE: &str = "/var/lib/cni/sriov";
/// The Go program's name in the guest.
pub const PEER: &str = "peer-sriov";
/// Name of the interface that pods get.
pub const NET1: &str = "net1";
/// Name of the network unless a scenario needs two.
pub const NETWORK: &str = "rack";

/// The node as a scenario sees it.
#[derive(Debug)]
pub struct Rig<'a> {
    /// PFs and VFs.
    pub machine: &'a Machine,
    /// The program under test.
    pub sriov: Plugin,
    /// The Go program, if the host has one.
    pub peer: Option<Plugin>,
}

/// One VF.
#[derive(Debug, Clone)]
pub struct Vf {
    /// PCI address.
    pub address: String,
    /// Interface of its PF.
    pub pf: String,
    /// Index on the PF.
    pub index: usize,
}

/// A VF with what [`VfState`] leaves out: what a pod can do to an interface.
pub type Seen = BTreeMap<String, (VfState, Value)>;

impl<'a> Rig<'a> {
    /// The programs on this machine.
    ///
    /// # Errors
    /// When `sriov` is not there.
    pub fn new(machine: &'a Machine) -> Result<Self> {
        let peer = machine.programs.join(PEER).exists();
        Ok(Self {
            machine,
            sriov: Plugin::new(&fast_copy(&machine.programs, "sriov")?),
            peer: peer
                .then(|| fast_copy(&machine.programs, PEER))
                .transpose()?
                .map(|program| Plugin::new(&program)),
        })
    }

    /// VF `index` of the first PF. 0 to 4 have interfaces, 5 and 6 are on vfio-pci.
    pub fn vf(&self, index: usize) -> Vf {
        self.vf_of(0, index)
    }

    /// VF `index` of PF `pf`.
    pub fn vf_of(&self, pf: usize, index: usize) -> Vf {
        let pf = &self.machine.hardware.pfs[pf];
        Vf {
            address: pf.vfs[index].clone(),
            pf: pf.name.clone(),
            index,
        }
    }

    /// A configuration for a VF with further keys.
    pub fn config(vf: &Vf, keys: &Value) -> Value {
        let mut config = json!({
            "cniVersion": "1.1.0", "name": NETWORK, "type": "sriov", "deviceID": vf.address,
        });
        for (key, value) in keys.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config
    }

    /// ADD that must succeed; returns the result.
    ///
    /// # Errors
    /// When it fails.
    pub fn add(&self, sandbox: &Sandbox, vf: &Vf, keys: &Value) -> Result<Value> {
        let config = Self::config(vf, keys);
        let answer = self.sriov.call("ADD", sandbox, NET1, &config)?;
        answer
            .success()
            .with_context(|| format!("ADD of {} for {}", vf.address, sandbox.id))
    }

    /// ADD that must be refused.
    ///
    /// # Errors
    /// When it succeeds, or dies.
    pub fn refused(&self, sandbox: &Sandbox, vf: &Vf, keys: &Value) -> Result<Refusal> {
        let config = Self::config(vf, keys);
        let answer = self.sriov.call("ADD", sandbox, NET1, &config)?;
        answer.refusal()
    }

    /// DEL that must succeed and print nothing.
    ///
    /// # Errors
    /// When it fails or prints.
    pub fn del(&self, sandbox: &Sandbox, vf: &Vf, keys: &Value) -> Result<()> {
        let config = Self::config(vf, keys);
        let answer = self.sriov.call("DEL", sandbox, NET1, &config)?;
        let printed = answer
            .success()
            .with_context(|| format!("DEL of {} for {}", vf.address, sandbox.id))?;
        ensure!(printed.is_null(), "DEL printed {printed}");
        Ok(())
    }

    /// Every VF, by PCI address.
    ///
    /// # Errors
    /// When `ip` or sysfs cannot be read.
    pub fn see(&self) -> Result<Seen> {
        let links = ip_json("-details link show")?;
        let mut seen = Seen::new();
        for (vf, state) in self.machine.hardware.observe()? {
            let link = links
                .as_array()
                .and_then(|list| list.iter().find(|link| link["ifname"] == *state.interface))
                .map_or(Value::Null, own_properties);
            seen.insert(vf, (state, link));
        }
        Ok(seen)
    }

    /// What the PF tells about a VF.
    ///
    /// # Errors
    /// When `ip` shows no such VF.
    pub fn settings(vf: &Vf) -> Result<Value> {
        let link = ip_json(&format!("-details link show dev {}", vf.pf))?;
        link[0]["vfinfo_list"]
            .as_array()
            .and_then(|list| list.iter().find(|entry| entry["vf"] == vf.index))
            .cloned()
            .with_context(|| format!("ip shows no VF {} on {}", vf.index, vf.pf))
    }

    /// Waits until everything is as it was, and no file is left.
    ///
    /// # Errors
    /// When it is not after 10 s: what differs, and what is left.
    pub fn is_back(&self, before: &Seen) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let mut wrong: Vec<String> = self
                .see()?
                .iter()
                .filter(|(vf, now)| before.get(*vf) != Some(now))
                .map(|(vf, now)| {
                    format!(
                        "VF {vf} was {}\n  is {}",
                        show(before.get(vf)),
                        show(Some(now))
                    )
                })
                .collect();
            wrong.extend(leftovers::of_pods()?);
            if wrong.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not as before:\n{}", wrong.join("\n"));
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Takes the pods away, and after a failure what they left, so that the next scenario starts from known ground.
    ///
    /// # Errors
    /// When a VF does not come back.
    pub fn sweep(&self, before: &Seen, failed: bool) -> Result<()> {
        for entry in fs::read_dir("/run/netns").context("list namespaces")? {
            let name = entry.context("list namespaces")?.file_name();
            ip(&format!("netns delete {}", name.to_string_lossy()))?;
        }
        if !failed {
            return Ok(());
        }
        // Left mounts of the disk scenarios; an error means that there is none.
        let _ = run("umount", [STATE]);
        for folder in [STATE, "/var/lib/cni/networks"] {
            let _ = fs::remove_dir_all(folder);
        }
        for pf in &self.machine.hardware.pfs {
            for (index, vf) in pf.vfs.iter().enumerate() {
                let Some((was, link)) = before.get(vf) else {
                    continue;
                };
                if was.interface.is_empty() {
                    continue;
                }
                come_back(vf)?;
                let now = self.see()?.remove(vf);
                if now.as_ref() != Some(&(was.clone(), link.clone())) {
                    by_hand(&pf.name, index, vf, was)?;
                }
            }
        }
        Ok(())
    }
}

fn show(seen: Option<&(VfState, Value)>) -> String {
    seen.map_or_else(
        || "not there".to_owned(),
        |(state, link)| format!("{state} {link}"),
    )
}

/// Properties of a link that must come back; index, queue discipline and carrier are the kernel's own.
fn own_properties(link: &Value) -> Value {
    let flags: Vec<&Value> = link["flags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|flag| {
            ["UP", "PROMISC", "ALLMULTI"]
                .iter()
                .any(|known| *flag == known)
        })
        .collect();
    let mut names: Vec<&str> = link["altnames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    names.sort_unstable();
    json!({
        "flags": flags, "txqlen": link["txqlen"], "altnames": names, "ifalias": link["ifalias"],
        "promiscuity": link["promiscuity"], "allmulti": link["allmulti"],
    })
}

/// Waits for a VF's interface on the host.
///
/// # Errors
/// When there is none after 10 s.
pub fn come_back(vf: &str) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(name) = interface_of(vf)? {
            return Ok(name);
        }
        ensure!(
            Instant::now() < deadline,
            "VF {vf} has no interface on the host after 10 s"
        );
        sleep(Duration::from_millis(50));
    }
}

/// Puts a VF back as an admin would.
fn by_hand(pf: &str, index: usize, vf: &str, was: &VfState) -> Result<()> {
    ip(&format!(
        "link set {pf} vf {index} vlan 0 trust off spoofchk on max_tx_rate 0 mac 00:00:00:00:00:00"
    ))?;
    run("udevadm", ["settle"])?;
    let name = come_back(vf)?;
    ip(&format!("link set dev {name} down"))?;
    if name != was.interface {
        // udev may have made the old name an alternative one.
        let _ = ip(&format!(
            "link property del dev {name} altname {}",
            was.interface
        ));
        ip(&format!("link set dev {name} name {}", was.interface))?;
    }
    let name = &was.interface;
    // The kernel passes over an address that the link has already, and the PF would not hear of it.
    ip(&format!("link set dev {name} address 02:de:ad:00:00:02"))?;
    ip(&format!(
        "link set dev {name} address {} mtu {}",
        was.mac, was.mtu
    ))
    .map(drop)
}

/// Interface `name` of a sandbox as `ip` shows it, checked to be the VF and up.
///
/// # Errors
/// When it is missing, another device or down.
pub fn in_pod(sandbox: &Sandbox, vf: &Vf, name: &str) -> Result<Value> {
    let links = sandbox.ip_json(&format!("-details address show dev {name}"))?;
    let link = links[0].clone();
    ensure!(
        link["parentdev"] == *vf.address,
        "{name} of {} is no VF {}: {link}",
        sandbox.id,
        vf.address
    );
    let up = link["flags"]
        .as_array()
        .is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
    ensure!(up, "{name} of {} is down: {link}", sandbox.id);
    Ok(link)
}

/// The PF tells of the VF what these keys of a configuration ask for.
///
/// # Errors
/// Naming the first that differs.
pub fn has(vf: &Vf, keys: &Value) -> Result<Value> {
    let settings = Rig::settings(vf)?;
    let on = |value: &Value| Value::Bool(value == "on");
    for (key, wanted) in keys.as_object().into_iter().flatten() {
        let (told, wanted) = match key.as_str() {
            "vlan" => (&settings["vlan_list"][0]["vlan"], wanted.clone()),
            "vlanQoS" => (&settings["vlan_list"][0]["qos"], wanted.clone()),
            "mac" => (&settings["address"], wanted.clone()),
            "trust" => (&settings["trust"], on(wanted)),
            "spoofchk" => (&settings["spoofchk"], on(wanted)),
            "max_tx_rate" => (&settings["rate"]["max_tx"], wanted.clone()),
            _ => continue,
        };
        ensure!(
            *told == wanted || (told.is_null() && wanted == 0),
            "{key} of vf {} is {told}, wanted {wanted}: {settings}",
            vf.index
        );
    }
    Ok(settings)
}

/// The VF may give itself an address, as a fresh one may; its own is put back.
///
/// # Errors
/// When its driver or the PF's refuses.
pub fn may_change_own_address(vf: &Vf) -> Result<()> {
    let name = come_back(&vf.address)?;
    let file = format!("/sys/class/net/{name}/address");
    let own = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    ip(&format!("link set dev {name} address 02:de:ad:00:00:01"))?;
    ip(&format!("link set dev {name} address {}", own.trim())).map(drop)
}

/// Whether a path exists below the state directory of `sriov`.
pub fn is_recorded(path: &str) -> bool {
    Path::new(STATE).join(path).exists()
}

/// Copies a program off the shared folder, whose reads go through the host.
///
/// # Errors
/// When it is not there.
pub fn fast_copy(programs: &Path, name: &str) -> Result<std::path::PathBuf> {
    let target = Path::new("/run/lab-bin").join(name);
    fs::create_dir_all("/run/lab-bin").context("create /run/lab-bin")?;
    fs::copy(programs.join(name), &target).with_context(|| format!("copy {name}"))?;
    Ok(target)
}
