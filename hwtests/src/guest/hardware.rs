//! PFs and VFs of the node, set up as an admin does it by hand and looked at with `ip` and sysfs: eyes that share no
//! code with the programs under test.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::shell::{ip, ip_json, run};

/// A physical function with its virtual functions.
#[derive(Debug, Clone)]
pub struct Pf {
    /// Network interface.
    pub name: String,
    /// PCI address.
    pub address: String,
    /// PCI addresses of the VFs, by VF index.
    pub vfs: Vec<String>,
}

/// All that must be the same before a pod and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VfState {
    /// Driver bound, or empty.
    pub driver: String,
    /// Interface in the host's namespace, or empty.
    pub interface: String,
    /// Address and MTU of that interface.
    pub mac: String,
    /// MTU of that interface.
    pub mtu: u64,
    /// The PF's settings for the VF, as `ip` prints them.
    pub settings: Value,
}

impl fmt::Display for VfState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "driver {} interface {} mac {} mtu {} {}",
            self.driver, self.interface, self.mac, self.mtu, self.settings
        )
    }
}

/// The node's SR-IOV hardware.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// PFs in the order of their PCI addresses.
    pub pfs: Vec<Pf>,
}

const PCI: &str = "/sys/bus/pci/devices";

impl Hardware {
    /// Creates `per_pf` VFs on each PF of the node and waits until each kernel VF has its interface.
    ///
    /// # Errors
    /// When there is no PF, a write is refused or an interface does not come up in 30 s.
    pub fn create(per_pf: usize) -> Result<Self> {
        let mut pfs = Vec::new();
        for name in sorted(Path::new("/sys/class/net"))? {
            let device = PathBuf::from("/sys/class/net").join(&name).join("device");
            if !device.join("sriov_totalvfs").exists() {
                continue;
            }
            fs::write(device.join("sriov_numvfs"), per_pf.to_string())
                .with_context(|| format!("create {per_pf} VFs on {name}"))?;
            ip(&format!("link set {name} up"))?;
            wait_for(&format!("carrier on {name}"), || {
                Ok(read(&device.join("net").join(&name).join("carrier")).as_deref() == Some("1"))
            })?;
            let vfs = (0..per_pf)
                .map(|index| basename(&device.join(format!("virtfn{index}"))))
                .collect::<Result<_>>()?;
            pfs.push(Pf {
                address: basename(&device)?,
                name,
                vfs,
            });
        }
        if pfs.is_empty() {
            bail!("no PF on this node: no /sys/class/net/*/device/sriov_totalvfs");
        }
        pfs.sort_by(|a, b| a.address.cmp(&b.address));
        // igbvf only finds its PF when the PF is up, so it is loaded last.
        run("modprobe", ["igbvf"])?;
        for vf in pfs.iter().flat_map(|pf| &pf.vfs) {
            wait_for(&format!("an interface of VF {vf}"), || {
                Ok(interface_of(vf)?.is_some())
            })?;
        }
        run("udevadm", ["settle"])?;
        Ok(Self { pfs })
    }

    /// Binds a VF to vfio-pci through `driver_override`, and resets it: vfio-pci does so at each first open and last
    /// close, and igb then forgets the address that igbvf had made up. A baseline from before would never come back.
    ///
    /// # Errors
    /// When a write is refused, or another driver holds the VF afterwards.
    pub fn bind_vfio(vf: &str) -> Result<()> {
        let device = Path::new(PCI).join(vf);
        fs::write(device.join("driver_override"), "vfio-pci").context("write driver_override")?;
        if device.join("driver").exists() {
            fs::write(device.join("driver/unbind"), vf).context("unbind")?;
        }
        fs::write("/sys/bus/pci/drivers_probe", vf).context("probe")?;
        let driver = basename(&device.join("driver"))?;
        if driver != "vfio-pci" {
            bail!("VF {vf} is bound to {driver}, wanted vfio-pci");
        }
        fs::write(device.join("reset"), "1").with_context(|| format!("reset VF {vf}"))
    }

    /// PCI address behind an interface of the host.
    ///
    /// # Errors
    /// When there is no such interface, or no device behind it.
    pub fn address_of(interface: &str) -> Result<String> {
        basename(&Path::new("/sys/class/net").join(interface).join("device"))
    }

    /// Gives a VF back to the driver that the kernel chooses for it.
    ///
    /// # Errors
    /// When a write is refused.
    pub fn bind_default(vf: &str) -> Result<()> {
        let device = Path::new(PCI).join(vf);
        fs::write(device.join("driver_override"), "\n").context("clear driver_override")?;
        if device.join("driver").exists() {
            fs::write(device.join("driver/unbind"), vf).context("unbind")?;
        }
        fs::write("/sys/bus/pci/drivers_probe", vf).context("probe")
    }

    /// The state of every VF by PCI address.
    ///
    /// # Errors
    /// When `ip` or sysfs cannot be read.
    pub fn observe(&self) -> Result<BTreeMap<String, VfState>> {
        let mut all = BTreeMap::new();
        for pf in &self.pfs {
            let link = ip_json(&format!("-details link show dev {}", pf.name))?;
            for (index, vf) in pf.vfs.iter().enumerate() {
                let settings = link[0]["vfinfo_list"]
                    .as_array()
                    .and_then(|list| list.iter().find(|entry| entry["vf"] == index))
                    .cloned()
                    .with_context(|| format!("ip shows no VF {index} on {}", pf.name))?;
                all.insert(vf.clone(), observe_vf(vf, settings)?);
            }
        }
        Ok(all)
    }
}

/// Each VF whose state differs, with both states; empty if all are as they were.
pub fn differences(
    before: &BTreeMap<String, VfState>,
    after: &BTreeMap<String, VfState>,
) -> Vec<String> {
    before
        .iter()
        .filter(|(vf, state)| after.get(*vf) != Some(state))
        .map(|(vf, state)| match after.get(vf) {
            Some(now) => format!("{vf} was: {state}\n{vf} is:  {now}"),
            None => format!("{vf} is gone, was: {state}"),
        })
        .collect()
}

fn observe_vf(vf: &str, settings: Value) -> Result<VfState> {
    let device = Path::new(PCI).join(vf);
    let driver = if device.join("driver").exists() {
        basename(&device.join("driver"))?
    } else {
        String::new()
    };
    let interface = interface_of(vf)?.unwrap_or_default();
    let net = Path::new("/sys/class/net").join(&interface);
    Ok(VfState {
        driver,
        mac: read(&net.join("address")).unwrap_or_default(),
        mtu: read(&net.join("mtu"))
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
        interface,
        settings,
    })
}

/// Name of a VF's interface in the host's namespace.
///
/// # Errors
/// When the VF's folder cannot be read.
pub fn interface_of(vf: &str) -> Result<Option<String>> {
    let net = Path::new(PCI).join(vf).join("net");
    if !net.exists() {
        return Ok(None);
    }
    Ok(sorted(&net)?.into_iter().next())
}

/// VFIO group number of a VF.
///
/// # Errors
/// When the VF has no IOMMU group.
pub fn iommu_group(vf: &str) -> Result<String> {
    basename(&Path::new(PCI).join(vf).join("iommu_group"))
}

/// Waits up to 30 s for a condition.
///
/// # Errors
/// When the time is over, naming the condition; errors of the condition are passed on.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition()? {
        if Instant::now() > deadline {
            bail!("waited 30 s for {what}");
        }
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

fn basename(link: &Path) -> Result<String> {
    let target = fs::canonicalize(link).with_context(|| format!("follow {}", link.display()))?;
    let name = target.file_name().context("a link to the root")?;
    Ok(name.to_string_lossy().into_owned())
}

fn sorted(dir: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .with_context(|| format!("list {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}
