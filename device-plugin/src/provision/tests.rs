//! Rules (a) to (h) of spec/ecosystem.md §1.4 on a kernel that treats VFs as igb does.

mod fake;
mod policy;
mod record;
mod rules;

use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;
use crate::{
    config::{self, Defaults, Provision},
    holder::{Holder, Holding},
    node::{self, Network},
};

use fake::{FakeKernel, PF};

const BOOT: &str = "this boot";
/// VF 2 and VF 4 of ens1f0.
const VF2: &str = "0000:01:10.4";
const VF4: &str = "0000:01:11.0";

/// Two drivers on one PF.
const TWO: &str = r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":7,
    "groups":[{"vfs":"0-3"},{"vfs":"4-6","driver":"vfio-pci"}]}"#;

/// A node with its kernel, kubelet and ledger.
struct Bench {
    kernel: FakeKernel,
    network: RefCell<Network>,
    holdings: RefCell<Result<Vec<Holding>, String>>,
    asked: Cell<u32>,
    state: TempDir,
}

impl Bench {
    fn new() -> Self {
        let links = ["ens1f0", "ens2f0", "eth0"];
        let links: Vec<_> = (1..)
            .zip(links)
            .map(|(index, name)| node::tests::link(index, name))
            .collect();
        let network = Network::new(&links, &[node::tests::default_route("0.0.0.0/0", 3)]);
        Self {
            kernel: FakeKernel::new(),
            network: RefCell::new(network),
            holdings: RefCell::new(Ok(Vec::new())),
            asked: Cell::new(0),
            state: tempfile::tempdir().unwrap(),
        }
    }

    /// A node that was made so, with a log that begins afterwards.
    fn provisioned(text: &str) -> Self {
        let bench = Self::new();
        assert_eq!(bench.run(text)[0].result, Done::Changed);
        bench.kernel.writes();
        bench
    }

    fn functions(&self) -> Vec<Function> {
        let sysfs = self.kernel.sysfs.sysfs();
        let node = node::scan(&sysfs, &self.network.borrow()).unwrap();
        observe(&sysfs, &self.network.borrow(), &node).unwrap()
    }

    fn with<T>(&self, work: impl FnOnce(&Provisioner<'_>) -> T) -> T {
        let look = || Ok(self.functions());
        let holdings = || {
            self.asked.set(self.asked.get() + 1);
            self.holdings.borrow().clone()
        };
        work(&Provisioner {
            hands: &self.kernel,
            look: &look,
            holdings: &holdings,
            state: self.state.path().to_owned(),
            boot: BOOT.to_owned(),
            dev: PathBuf::from("/dev"),
            sysfs: self.kernel.sysfs.sysfs(),
        })
    }

    /// `sriovdp provision` with these entries.
    fn run(&self, entries: &str) -> Vec<Report> {
        self.with(|provisioner| provisioner.run(&parse(entries)).unwrap())
    }

    /// `sriovdp plan` with these entries.
    fn plan(&self, entries: &str) -> Vec<Report> {
        self.with(|provisioner| provisioner.plan(&parse(entries)).unwrap())
    }

    fn pending(&self, entries: &str) -> Vec<String> {
        let pending = pending(&parse(entries), &self.functions());
        let line = |(address, why)| format!("{address}: {why}");
        pending.into_iter().map(line).collect()
    }

    fn hold(&self, id: &str) {
        *self.holdings.borrow_mut() = Ok(vec![Holding {
            resource: "intel.com/net".to_owned(),
            id: id.parse().unwrap(),
            holder: Holder {
                namespace: "default".to_owned(),
                pod: "app-1".to_owned(),
                container: "main".to_owned(),
            },
        }]);
    }

    fn state_file(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.state.path().join(path);
        host::file::create_dir(path.parent().unwrap(), 0o700).unwrap();
        host::file::write(
            &path,
            text.as_bytes(),
            0o600,
            host::file::Durability::Process,
        )
        .unwrap();
    }
}

fn parse(entries: &str) -> Vec<Provision> {
    let text = format!(r#"{{"provision":[{entries}],"resourceList":[]}}"#);
    let defaults = Defaults {
        prefix: "intel.com".to_owned(),
        socket_directory: "/s".into(),
    };
    let loaded = config::load(text.as_bytes(), &defaults).unwrap();
    assert_eq!(loaded.provision_rejected, []);
    loaded.config.provision
}

fn lines(reports: &[Report]) -> Vec<String> {
    reports.iter().map(ToString::to_string).collect()
}
