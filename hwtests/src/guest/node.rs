//! The node under test: hardware, runtime, cluster and the three programs, installed as an admin installs them.

use std::{
    collections::BTreeMap,
    fs,
    ops::{Deref, DerefMut},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    cluster::{Cluster, NODE, exec::Runtime},
    containerd::{CNI_BIN_DIR, CNI_CONF_DIR, Generation},
    hardware::{Hardware, VfState, wait_for},
    service::Service,
    shell::ip,
};
use crate::{lab::qemu::PLAIN_NIC_MACS, report::Reporter};

/// VFs made on each PF.
pub const VFS_PER_PF: usize = 7;
/// VFs of the first PF that go to vfio-pci, by index.
const VFIO: std::ops::Range<usize> = 5..7;
/// Plain NICs: the manual's NAD names the first as macvlan's master; ipvlan has the second.
const PLAIN_NICS: [&str; 2] = ["ens5", "ens6"];
/// Where the socket of multus-daemon is.
const MULTUS_SOCKET: &str = "/run/multus/multus.sock";

/// Where things come from and go to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder with `sriov`, `sriovdp`, `multus` and `multus-daemon`.
    pub programs: PathBuf,
    /// Folder for logs.
    pub logs: PathBuf,
    /// Real Kubernetes binaries, if there are any.
    pub assets: Option<PathBuf>,
    /// Whether the cluster is one in which DaemonSets run.
    pub managed: bool,
    /// The container runtime.
    pub runtime: Generation,
    /// Programs that are replaced by another file, by name: the honesty test plants faults so.
    pub replaced: BTreeMap<String, PathBuf>,
    /// Whether all of a story is played, or the spread that fits into CI's time.
    pub long: bool,
    /// Which boot on this disk it is, from 1.
    pub boot: u32,
}

/// The node before anything of ours is on it: hardware, runtime with a primary network, cluster.
#[derive(Debug)]
pub struct Base {
    /// PFs and VFs.
    pub hardware: Hardware,
    /// State of every VF before any pod.
    pub baseline: BTreeMap<String, VfState>,
    /// The cluster.
    pub cluster: Cluster,
    /// The container runtime.
    pub runtime: Runtime,
    _containerd: Service,
}

/// The node with our programs, started by hand.
#[derive(Debug)]
pub struct Node {
    /// All but our programs.
    pub base: Base,
    /// The device plugin.
    pub sriovdp: Service,
    /// The planner.
    pub multus_daemon: Service,
}

impl Deref for Node {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl Base {
    /// Sets up hardware, the reference plugins with a primary network, the runtime and the cluster.
    ///
    /// # Errors
    /// When a part does not come up; the message names it and shows the end of its log.
    pub async fn start(options: &Options) -> Result<Self> {
        let hardware = set_up_hardware()?;
        let baseline = hardware.observe()?;
        set_up_network()?;
        let containerd = options.runtime.start(&options.logs).await?;
        let cluster = Cluster::start(
            Path::new("/run/lab"),
            &options.logs,
            options.assets.as_deref(),
            options.managed,
        )
        .await?;
        Ok(Self {
            runtime: Runtime::connect().await?,
            hardware,
            baseline,
            cluster,
            _containerd: containerd,
        })
    }

    /// As [`Base::start`], as a step of the report; `None` if it does not hold.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub async fn reported(
        options: &Options,
        report: &mut Reporter,
        step: &str,
    ) -> Result<Option<Self>> {
        report.head("containerd", &options.runtime.version()?)?;
        let mut base = None;
        let up = async {
            let up = base.insert(Self::start(options).await?);
            let rows = up.cluster.parts.iter();
            let rows = rows.map(|(what, is)| format!("{what}: {is}"));
            Ok(rows.collect::<Vec<_>>().join("\n"))
        };
        report.step(step, up).await?;
        Ok(base)
    }

    /// Three pools: kernel VFs and vfio VFs of the first PF, kernel VFs of the second.
    pub fn pools(&self) -> Value {
        pools(&self.hardware)
    }
}

impl Node {
    /// Sets up everything, installs the programs by hand and starts them.
    ///
    /// # Errors
    /// When a part does not come up; the message names it and shows the end of its log.
    pub async fn start(options: &Options) -> Result<Self> {
        let base = Base::start(options).await?;
        install(options, &base.hardware)?;
        let sriovdp = start_sriovdp(options)?;
        let multus_daemon = start_multus_daemon(options, &base.cluster).await?;
        Ok(Self {
            base,
            sriovdp,
            multus_daemon,
        })
    }
}

/// Starts the device plugin on the configuration of its ConfigMap.
///
/// # Errors
/// When it does not start.
pub fn start_sriovdp(options: &Options) -> Result<Service> {
    Service::start(
        &options.logs,
        "sriovdp",
        &options.program("sriovdp"),
        &["--config-file", "/etc/pcidp/config.json"],
    )
}

/// Starts a planner and waits until it serves: until the socket is another one than before.
///
/// # Errors
/// When it ends or does not serve in time, with the end of its log.
pub async fn start_multus_daemon(options: &Options, cluster: &Cluster) -> Result<Service> {
    let socket = || {
        fs::symlink_metadata(MULTUS_SOCKET)
            .map(|meta| meta.ino())
            .ok()
    };
    let before = socket();
    let mut daemon = Service::start_with(
        &options.logs,
        "multus-daemon",
        &options.program("multus-daemon"),
        &["--kubeconfig", &cluster.multus_kubeconfig.to_string_lossy()],
        &[("MULTUS_NODE_NAME", NODE)],
    )?;
    daemon
        .wait_until(Duration::from_mins(1), "its socket is there", async || {
            socket().is_some_and(|now| Some(now) != before)
        })
        .await?;
    Ok(daemon)
}

impl Options {
    /// File that runs as the program of this name.
    pub fn program(&self, name: &str) -> PathBuf {
        self.replaced
            .get(name)
            .cloned()
            .unwrap_or_else(|| self.programs.join(name))
    }
}

pub(super) fn set_up_hardware() -> Result<Hardware> {
    for (name, mac) in PLAIN_NICS.into_iter().zip(PLAIN_NIC_MACS) {
        let found = wait_interface(mac)?;
        ip(&format!("link set dev {found} down"))?;
        ip(&format!("link set dev {found} name {name} up"))?;
    }
    let hardware = Hardware::create(VFS_PER_PF)?;
    for index in VFIO {
        Hardware::bind_vfio(&hardware.pfs[0].vfs[index])?;
    }
    fs::write("/proc/sys/vm/nr_hugepages", "256").context("reserve hugepages")?;
    let mounts = fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
    if !mounts.contains(" /dev/hugepages ") {
        super::shell::run("mount", ["-t", "hugetlbfs", "hugetlbfs", "/dev/hugepages"])?;
    }
    Ok(hardware)
}

fn wait_interface(mac: &str) -> Result<String> {
    let mut found = None;
    wait_for(&format!("a NIC with address {mac}"), || {
        let links = super::shell::ip_json("link show")?;
        found = links.as_array().and_then(|list| {
            list.iter()
                .find(|link| link["address"] == mac)
                .and_then(|link| link["ifname"].as_str().map(str::to_owned))
        });
        Ok(found.is_some())
    })?;
    found.context("the NIC is gone again")
}

/// The reference plugins, and the primary network that pods have by them.
fn set_up_network() -> Result<()> {
    for entry in fs::read_dir("/usr/lib/cni").context("list the reference plugins")? {
        let path = entry.context("list the reference plugins")?.path();
        let name = path.file_name().context("a plugin without a name")?;
        let link = Path::new(CNI_BIN_DIR).join(name);
        if !link.exists() {
            symlink(&path, &link).with_context(|| format!("link {}", link.display()))?;
        }
    }
    fs::create_dir_all(CNI_CONF_DIR).context("create the CNI configuration's folder")?;
    write_json(
        &Path::new(CNI_CONF_DIR).join("10-bridge.conflist"),
        &primary(),
    )
}

fn install(options: &Options, hardware: &Hardware) -> Result<()> {
    for name in ["multus", "sriov"] {
        let target = Path::new(CNI_BIN_DIR).join(name);
        fs::copy(options.program(name), &target)
            .with_context(|| format!("install {}", target.display()))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {} executable", target.display()))?;
    }
    write_json(
        &Path::new(CNI_CONF_DIR).join("00-multus.conflist"),
        &multus(),
    )?;
    fs::create_dir_all("/etc/pcidp").context("create /etc/pcidp")?;
    write_json(Path::new("/etc/pcidp/config.json"), &pools(hardware))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, value.to_string()).with_context(|| format!("write {}", path.display()))
}

fn primary() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [{
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

/// The configuration as the design's section 2 has it generated.
fn multus() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "cniVersions": ["1.0.0", "1.1.0"],
        "name": "multus-cni-network",
        "plugins": [{
            "type": "multus",
            "capabilities": {"io.kubernetes.cri.pod-annotations": true},
            "clusterNetwork": "/etc/cni/net.d/10-bridge.conflist",
            "delegateTimeoutSeconds": 10,
            "logLevel": "debug",
            "logToStderr": true,
        }],
    })
}

fn pools(hardware: &Hardware) -> Value {
    let [first, second] = [&hardware.pfs[0].name, &hardware.pfs[1].name];
    json!({"resourceList": [
        {"resourceName": "sriov_net", "selectors": {"pfNames": [format!("{first}#0-4")], "drivers": ["igbvf"]}},
        {"resourceName": "sriov_dpdk", "selectors": {"pfNames": [format!("{first}#5-6")], "drivers": ["vfio-pci"]}},
        {"resourceName": "sriov_storage", "selectors": {"pfNames": [second], "drivers": ["igbvf"]}},
    ]})
}
