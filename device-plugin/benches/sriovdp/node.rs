//! The node: functions, links, pools, and the mounts that make both programs see them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use host::{
    netlink::{Netlink, create::NewLink},
    testing::sysfs::FakeSysfs,
};
use sriovdp::{
    config::{Defaults, load},
    health,
    inventory::{Inventory, Seen},
    node::{Network, scan},
    plan::plan,
};

/// Number of PFs.
pub(crate) const PFS: u32 = 16;
/// VFs of each.
const EACH: u32 = 64;
/// Number of VFs.
pub(crate) const VFS: u32 = PFS * EACH;
/// Number of pools: three on each PF, and two for what two PFs have left.
pub(crate) const POOLS: usize = 50;
/// How often the scan is measured; the median counts.
const SCANS: usize = 9;

/// A node that is mounted in place.
#[derive(Debug)]
pub(crate) struct Node {
    directory: tempfile::TempDir,
    _fake: FakeSysfs,
}

impl Node {
    /// Makes it, in namespaces of this process's own.
    pub(crate) fn new() -> Self {
        let fake = FakeSysfs::parse(&notation());
        let mut netlink = Netlink::open().unwrap();
        for pf in 0..PFS {
            netlink
                .create_link(&format!("pf{pf}"), NewLink::Bridge)
                .unwrap();
        }
        let root = fake.root().to_str().unwrap().to_owned();
        let node = Self {
            directory: tempfile::tempdir().unwrap(),
            _fake: fake,
        };
        node.configure(&config(20));
        // The Go program reads names of vendors from a file, and ends if there is none.
        fs::write(node.names(), "8086  Intel Corporation\n").unwrap();
        for covered in ["/run", "/var/lib"] {
            mount(&["-t", "tmpfs", "tmpfs", covered]);
        }
        fs::create_dir_all("/var/lib/kubelet").unwrap();
        mount(&["--bind", &root, "/sys"]);
        node
    }

    /// The pools.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("config.json")
    }

    /// A file of vendors' names.
    pub(crate) fn names(&self) -> PathBuf {
        self.directory.path().join("pci.ids")
    }

    /// Log of a program.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Replaces the pools, in one step.
    pub(crate) fn configure(&self, text: &str) {
        let next = self.directory.path().join("next");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.config()).unwrap();
    }

    /// Time of one scan of /sys with all that is decided from it, the median of some.
    pub(crate) fn scan_time() -> Duration {
        let defaults = Defaults {
            prefix: "intel.com".to_owned(),
            socket_directory: "/var/lib/kubelet/plugins_registry".into(),
        };
        let config = load(config(20).as_bytes(), &defaults).unwrap().config;
        let sysfs = host::sysfs::Sysfs::new("/sys");
        let mut times: Vec<Duration> = (0..SCANS)
            .map(|_| {
                let begun = Instant::now();
                let network = Network::observe().unwrap();
                let node = scan(&sysfs, &network).unwrap();
                let plan = plan(&config, &node);
                let signs = health::observe(&sysfs, &network, &node);
                let seen = Seen {
                    config: &config,
                    plan: &plan,
                    node: &node,
                    signs: &signs,
                };
                let pools = Inventory::default().apply(&seen, &BTreeMap::new());
                let devices: usize = pools.values().map(BTreeMap::len).sum();
                assert_eq!(devices, 16 * 60 + 8, "devices in pools");
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[SCANS / 2]
    }
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}");
}

fn notation() -> String {
    let mut text = String::new();
    for pf in 0..PFS {
        let bus = 0x10 + pf;
        let last = EACH - 1;
        // Writing to a string cannot fail.
        writeln!(
            text,
            "pci 0000:{bus:02x}:00.0{{8086:1572, 0200, drv=i40e, numa={}, net=[pf{pf}], vfs=64/{EACH}, virtfn 0..{last}=0000:{bus:02x}:02.0}}",
            pf / 8
        )
        .unwrap();
        for vf in 0..EACH {
            writeln!(
                text,
                "pci 0000:{bus:02x}:{:02x}.{}{{8086:154c, 0200, drv=iavf, numa={}, iommu={}, pf=0000:{bus:02x}:00.0}}",
                2 + vf / 8,
                vf % 8,
                pf / 8,
                pf * EACH + vf
            )
            .unwrap();
        }
    }
    text
}

/// 50 pools; the first has VFs up to `end` (excluded) of pf0.
pub(crate) fn config(end: u32) -> String {
    let mut pools: Vec<String> = (0..PFS)
        .flat_map(|pf| (0..3).map(move |third| (pf, third * 20, third * 20 + 19)))
        .map(|(pf, from, to)| pool(pf, from, if (pf, from) == (0, 0) { end - 1 } else { to }))
        .collect();
    pools.extend([pool(0, 60, 63), pool(1, 60, 63)]);
    assert_eq!(pools.len(), POOLS);
    format!("{{\"resourceList\":[{}]}}", pools.join(","))
}

fn pool(pf: u32, from: u32, to: u32) -> String {
    format!(
        "{{\"resourceName\":\"pf{pf}_{from}\",\"selectors\":{{\"vendors\":[\"8086\"],\"devices\":[\"154c\"],\"pfNames\":[\"pf{pf}#{from}-{to}\"]}}}}"
    )
}

/// The kubelet's root, which both programs have by default.
pub(crate) fn kubelet_root() -> &'static Path {
    Path::new("/var/lib/kubelet")
}
