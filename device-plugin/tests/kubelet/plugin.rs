//! The daemon on a fake node.

use std::{path::PathBuf, sync::Arc, time::Duration};

use host::{
    file::{self, Durability},
    netlink::link::Link,
    testing::sysfs::FakeSysfs,
};
use sriovdp::{
    daemon::{self, Settings},
    node::Network,
    watch::{self, Topics},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::{FakeKubelet, LIMIT};

type Running = (CancellationToken, JoinHandle<()>);

/// A node with a kubelet and a plugin.
pub(crate) struct Node {
    pub(crate) kubelet: FakeKubelet,
    pub(crate) fake: FakeSysfs,
    pub(crate) topics: Topics,
    pub(crate) config: PathBuf,
    pub(crate) device_info: PathBuf,
    pub(crate) settings: Settings,
    plugin: Option<Running>,
    earlier: Option<Running>,
    _directory: tempfile::TempDir,
}

/// A PF with VFs of this number, on driver igbvf; the PF's interface is `pf0`.
pub(crate) fn vfs(count: u8) -> String {
    let children = count.checked_sub(1).map_or(String::new(), |last| {
        format!(", virtfn 0..{last}=0000:01:10.0")
    });
    let pf = format!(
        "pci 0000:01:00.0{{8086:10c9, 0200, drv=igb, net=[pf0], numa=0, vfs=7/{count}{children}}}"
    );
    let vf = |index| {
        format!(
            "pci 0000:01:10.{index}{{8086:10ca, 0200, drv=igbvf, numa=0, iommu={index}, pf=0000:01:00.0}}"
        )
    };
    let lines: Vec<String> = [pf].into_iter().chain((0..count).map(vf)).collect();
    lines.join("\n")
}

/// Ids of the first VFs.
pub(crate) const VF: [&str; 4] = [
    "0000:01:10.0",
    "0000:01:10.1",
    "0000:01:10.2",
    "0000:01:10.3",
];

/// One pool with all VFs of pf0.
pub(crate) const NET: &str =
    r#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0"]}}]}"#;

impl Node {
    /// A node with two VFs, the kubelet and the plugin stopped.
    pub(crate) fn new(watcher: bool, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        file::create_dir(&at("etc"), 0o700).unwrap();
        let kubelet = FakeKubelet::stopped(&at("kubelet"), watcher);
        let fake = FakeSysfs::parse(&vfs(2));
        let settings = Settings {
            config: at("etc/config.json"),
            prefix: "intel.com".to_owned(),
            kubelet_root: at("kubelet"),
            sysfs_root: fake.root().to_owned(),
            dev_root: at("dev"),
            device_info: at("devinfo/dp"),
            cdi: sriovdp::handover::cdi::Settings {
                directory: at("cdi"),
                ..Default::default()
            },
            // Only events may bring a change.
            reconcile: None,
            settle: Duration::from_millis(1),
            pause: Duration::from_millis(20),
            proc_root: "/proc".into(),
            http: None,
            warm_up: Duration::ZERO,
        };
        let node = Self {
            kubelet,
            fake,
            topics: Topics::default(),
            config: at("etc/config.json"),
            device_info: at("devinfo/dp"),
            settings,
            plugin: None,
            earlier: None,
            _directory: directory,
        };
        node.configure(config);
        node
    }

    pub(crate) fn configure(&self, config: &str) {
        file::write(&self.config, config.as_bytes(), 0o600, Durability::Process).unwrap();
    }

    /// Starts the plugin.
    pub(crate) fn start(&mut self) {
        let pf0 = Link {
            index: 1,
            name: "pf0".to_owned(),
            link_type: 1,
            ..Link::default()
        };
        let network = Network::new(&[pf0], &[]);
        let look = Arc::new(move || Ok(network.clone()));
        let stop = CancellationToken::new();
        let topics = self.topics.clone();
        let running = daemon::run(self.settings.clone(), topics, look, stop.clone());
        self.plugin = Some((stop.clone(), tokio::spawn(running)));
        let config = [self.config.parent().unwrap().to_owned()];
        let kubelet = [self.kubelet.registry(), self.kubelet.plugins()];
        watch::start(self.topics.clone(), &config, &kubelet, stop).unwrap();
    }

    /// Starts the next generation of the plugin beside the one that runs.
    pub(crate) fn start_next(&mut self) {
        self.earlier = self.plugin.take();
        self.start();
    }

    /// Stops the plugin, the later one if there are two, and waits for it.
    pub(crate) async fn stop(&mut self) {
        Self::end(self.plugin.take()).await;
        self.plugin = self.earlier.take();
    }

    /// Stops the earlier generation and waits for it.
    pub(crate) async fn stop_earlier(&mut self) {
        Self::end(self.earlier.take()).await;
    }

    async fn end(running: Option<Running>) {
        let (stop, task) = running.unwrap();
        stop.cancel();
        tokio::time::timeout(LIMIT, task)
            .await
            .expect("the plugin stops")
            .unwrap();
    }

    /// Replaces the PF and its VFs, and announces it as the kernel's uevents would.
    pub(crate) fn set_vfs(&self, count: u8) {
        for index in 0..8 {
            self.fake
                .remove(format!("bus/pci/devices/0000:01:10.{index}"));
        }
        self.fake.add(&vfs(count));
        self.topics.devices.announce();
    }
}
