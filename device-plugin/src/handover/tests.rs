//! G7 and G9 of spec/device-plugin.md §8.7: what the files say, and that CDI gives the right nodes.
#![expect(clippy::disallowed_methods, reason = "tests read files")]

use std::os::unix::fs::PermissionsExt;

use host::testing::sysfs::{F1, FakeSysfs};
use proto::deviceplugin::ContainerAllocateResponse;

use super::*;
use crate::{
    allocate,
    config::{Defaults, load},
    health::Signs,
    inventory::{Inventory, Seen},
    node::{scan, tests::f1_network},
    plan::plan,
};

use cdi::{Answer, Settings};

mod cdi_specification;
mod device_info_shape;

const VFIO: &str = "0000:18:02.2";
const KERNEL: &str = "0000:18:02.0";

/// A node with its pools and its directories of files.
struct World {
    fake: FakeSysfs,
    directory: tempfile::TempDir,
    listings: BTreeMap<ResourceName, Listing>,
    handover: Handover,
}

impl World {
    fn new(pools: &str) -> Self {
        Self::with(FakeSysfs::parse(F1), pools, Answer::default())
    }

    fn with(fake: FakeSysfs, pools: &str, answer: Answer) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for node in ["dev/vhost-vdpa-2", "dev/infiniband/rdma_cm"] {
            let path = directory.path().join(node);
            host::file::create_dir(path.parent().unwrap(), 0o700).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut world = Self {
            handover: handover(directory.path(), answer),
            fake,
            directory,
            listings: BTreeMap::new(),
        };
        world.configure(pools);
        world
    }

    fn configure(&mut self, pools: &str) {
        let defaults = Defaults {
            prefix: "intel.com".to_owned(),
            socket_directory: "/".into(),
        };
        let text = format!(r#"{{"resourceList":[{pools}]}}"#);
        let loaded = load(text.as_bytes(), &defaults).unwrap();
        assert_eq!(loaded.rejected, []);
        let node = scan(&self.fake.sysfs(), &f1_network()).unwrap();
        let plan = plan(&loaded.config, &node);
        let allocated = Allocated::new();
        self.listings = Inventory::default().apply(
            &Seen {
                config: &loaded.config,
                plan: &plan,
                node: &node,
                signs: &Signs::default(),
            },
            &allocated,
        );
    }

    fn roots(&self) -> Roots {
        Roots {
            sysfs: self.fake.sysfs(),
            dev: self.directory.path().join("dev"),
        }
    }

    /// What a container that asked for these devices of a pool is answered; the files are written.
    fn allocate(&self, name: &str, ids: &[&str]) -> ContainerAllocateResponse {
        let resource = resource(name);
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let devices = allocate::devices(&resource, &self.listings[&resource], &ids).unwrap();
        let granted: Vec<_> = devices
            .into_iter()
            .map(|device| (device, access::access(&self.roots(), device).unwrap()))
            .collect();
        for (device, access) in &granted {
            self.handover.give(&resource, device, access).unwrap();
        }
        allocate::response(&resource, &granted, &self.handover.cdi)
    }

    /// Names in the directory of CDI.
    fn specifications(&self) -> Vec<String> {
        host::file::list(&self.directory.path().join("cdi")).unwrap()
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(path)).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        let found = std::fs::metadata(self.directory.path().join(path)).unwrap();
        found.permissions().mode() & 0o7777
    }

    /// One answer of PodResources.
    fn held(&self, held: &[(&str, &str)]) -> Vec<(ResourceName, DeviceId)> {
        let mut allocated = Allocated::new();
        for (name, id) in held {
            let ids = allocated.entry(resource(name).to_string()).or_default();
            ids.insert(id.parse().unwrap());
        }
        let names: Vec<_> = self.listings.keys().cloned().collect();
        self.handover.clean(&names, &allocated).unwrap()
    }

    fn restart(&mut self) {
        self.handover = handover(self.directory.path(), Answer::default());
    }
}

fn handover(directory: &std::path::Path, answer: Answer) -> Handover {
    Handover {
        device_info: DeviceInfoFiles::new(directory.join("devinfo/dp")),
        cdi: Cdi::new(Settings {
            directory: directory.join("cdi"),
            by_default: true,
            answer,
        }),
    }
}

fn resource(name: &str) -> ResourceName {
    ResourceName::new("intel.com", name, std::path::Path::new("/")).unwrap()
}

fn pool(name: &str, rest: &str) -> String {
    format!(r#"{{"resourceName":"{name}",{rest}}}"#)
}

/// Names that the runtime gets through the field.
fn names(response: &ContainerAllocateResponse) -> Vec<&str> {
    let devices = response.cdi_devices.iter();
    devices.map(|device| device.name.as_str()).collect()
}

/// `path` or `path<hostPath` per node of a specification.
fn nodes(specification: &str) -> Vec<String> {
    let specification: serde_json::Value = serde_json::from_str(specification).unwrap();
    let nodes = &specification["devices"][0]["containerEdits"]["deviceNodes"];
    let show = |node: &serde_json::Value| {
        assert_eq!(node["permissions"], "rw");
        match (&node["path"], &node["hostPath"]) {
            (path, host) if path == host => path.as_str().unwrap().to_owned(),
            (path, host) => format!("{}<{}", path.as_str().unwrap(), host.as_str().unwrap()),
        }
    };
    nodes.as_array().unwrap().iter().map(show).collect()
}
