//! Fake sysfs trees under a temporary directory, described in the notation of spec/device-plugin.md §8.1.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: builds trees for tests"
)]
#![expect(
    clippy::expect_used,
    reason = "a tree that cannot be built must stop the test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::sysfs::Sysfs;
use crate::testing::notation::{Child, Device, children, devices};

/// Base fixture F1 of spec/device-plugin.md §8.1.
pub const F1: &str = "
    pci 0000:18:00.0{8086:1572, 0200, drv=i40e, numa=0, net=[pf0], vfs=64/3, virtfn 0..2=0000:18:02.0}
    pci 0000:18:02.0{8086:154c, 0200, drv=iavf, numa=0, net=[pf0v0], pf=0000:18:00.0}
    pci 0000:18:02.1{8086:154c, 0200, drv=iavf, numa=0, net=[pf0v1], pf=0000:18:00.0}
    pci 0000:18:02.2{8086:154c, 0200, drv=vfio-pci, numa=0, iommu=17, pf=0000:18:00.0}
    pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, numa=1, net=[pf1], vfs=8/2, virtfn 0..1=0000:af:00.2}
    pci 0000:af:00.2{15b3:1018, 0200, drv=mlx5_core, numa=1, ib=[mlx5_2], pf=0000:af:00.0}
    pci 0000:af:00.3{15b3:1018, 0200, drv=mlx5_core, numa=1, ib=[mlx5_3], pf=0000:af:00.0}
    pci 0000:04:00.0{8086:1521, 0200, drv=igb, net=[mgmt0]}
    pci 0000:b1:00.0{8086:0d5c, 1200, drv=vfio-pci, iommu=40}
    pci 0000:00:01.0{8086:2030, cls=0604}
";

/// A sysfs tree in a temporary directory, removed with this value.
#[derive(Debug)]
pub struct FakeSysfs {
    directory: TempDir,
}

impl Default for FakeSysfs {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeSysfs {
    /// A tree without devices.
    pub fn new() -> Self {
        let fake = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        for directory in [
            "bus/pci/devices",
            "bus/pci/drivers",
            "class/net",
            "kernel/iommu_groups",
        ] {
            fs::create_dir_all(fake.root().join(directory)).expect("a directory in the fake tree");
        }
        fake.file("bus/pci/drivers_probe", "");
        fake
    }

    /// A tree with the devices of `notation` (see [`F1`] for an example).
    pub fn parse(notation: &str) -> Self {
        let fake = Self::new();
        fake.add(notation);
        fake
    }

    /// Adds devices, or replaces those of the same address.
    pub fn add(&self, notation: &str) -> &Self {
        for device in devices(notation) {
            self.remove(path_of(&device.address));
            self.build(&device);
        }
        for child in children(notation) {
            self.hang(&child);
        }
        self
    }

    /// Takes a device off the auxiliary or vdpa bus, as the kernel does when it is deleted.
    pub fn unplug(&self, bus: &str, name: &str) -> &Self {
        let link = format!("bus/{bus}/devices/{name}");
        if let Ok(target) = fs::read_link(self.root().join(&link)) {
            self.remove(&target);
        }
        self.remove(link)
    }

    fn hang(&self, child: &Child) {
        let base = format!("bus/pci/devices/{}/{}", child.on, child.name);
        self.remove(&base).directory(&base);
        let on_bus = format!("bus/{}/devices/{}", child.bus, child.name);
        self.link(on_bus, self.root().join(&base));
        if let Some(number) = &child.sfnum {
            self.file(format!("{base}/sfnum"), &format!("{number}\n"));
        }
        if let Some(driver) = &child.driver {
            let directory = format!("bus/{}/drivers/{driver}", child.bus);
            self.directory(&directory)
                .link(format!("{base}/driver"), self.root().join(directory));
        }
        if let Some(node) = &child.node {
            self.directory(format!("{base}/{node}"));
        }
        for name in &child.ib {
            self.directory(format!("{base}/infiniband/{name}"));
        }
        for name in &child.net {
            let interface = format!("{base}/net/{name}");
            self.file(format!("{interface}/operstate"), "up\n");
            self.link(format!("class/net/{name}"), self.root().join(&interface));
        }
    }

    /// The tree as production code sees it.
    pub fn sysfs(&self) -> Sysfs {
        Sysfs::new(self.root())
    }

    /// What stands for `/sys`.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file below the root, with its directories.
    pub fn file(&self, path: impl AsRef<Path>, content: &str) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a path with a directory")).expect("a directory");
        fs::write(&path, content).expect("a file in the fake tree");
        self
    }

    /// Makes a directory below the root.
    pub fn directory(&self, path: impl AsRef<Path>) -> &Self {
        fs::create_dir_all(self.root().join(path)).expect("a directory in the fake tree");
        self
    }

    /// Makes or replaces a link below the root; `target` is relative to it, or absolute.
    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> &Self {
        self.remove(&path);
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a path with a directory")).expect("a directory");
        symlink(target, &path).expect("a link in the fake tree");
        self
    }

    /// Removes a file, link or directory tree below the root; nothing there is fine.
    pub fn remove(&self, path: impl AsRef<Path>) -> &Self {
        let path = self.root().join(path);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {
                fs::remove_dir_all(&path).expect("removing a directory");
            }
            Ok(_) => fs::remove_file(&path).expect("removing a file"),
            Err(_) => {}
        }
        self
    }

    /// Binds a function to another driver, or to none, as the kernel would show it.
    pub fn set_driver(&self, address: &str, driver: Option<&str>) -> &Self {
        let link = path_of(address) + "/driver";
        let Some(driver) = driver else {
            return self.remove(link);
        };
        let directory = format!("bus/pci/drivers/{driver}");
        self.file(format!("{directory}/bind"), "")
            .file(format!("{directory}/unbind"), "");
        self.link(link, self.root().join(directory))
    }

    fn build(&self, device: &Device) {
        let base = path_of(&device.address);
        let attribute = |name: &str, content: &str| {
            self.file(format!("{base}/{name}"), &format!("{content}\n"));
        };
        attribute("driver_override", "(null)");
        Self::identify(device, &attribute);
        for (name, content) in [("numa_node", &device.numa), ("acpi_index", &device.acpi)] {
            if let Some(content) = content {
                attribute(name, content);
            }
        }
        if let Some((total, now)) = &device.vfs {
            attribute("sriov_totalvfs", total);
            attribute("sriov_numvfs", now);
            attribute("sriov_drivers_autoprobe", "1");
        }
        for (index, vf) in &device.virtfn {
            self.link(format!("{base}/virtfn{index}"), format!("../{vf}"));
        }
        if let Some(pf) = &device.pf {
            self.link(format!("{base}/physfn"), format!("../{pf}"));
        }
        if device.driver.is_some() {
            self.set_driver(&device.address, device.driver.as_deref());
        }
        if let Some((group, noiommu)) = &device.iommu {
            let directory = self.root().join("kernel/iommu_groups").join(group);
            self.directory(&directory)
                .link(format!("{base}/iommu_group"), &directory);
            if *noiommu {
                self.file(directory.join("name"), "vfio-noiommu\n");
            }
        }
        for (kind, names) in [
            ("uio", &device.uio),
            ("infiniband", &device.ib),
            ("vfio-dev", &device.vfio),
            ("net", &device.net),
        ] {
            for name in names.iter().flatten() {
                self.directory(format!("{base}/{kind}/{name}"));
            }
        }
        self.interfaces(device, &base);
    }

    fn identify(device: &Device, attribute: &dyn Fn(&str, &str)) {
        let class = device.class.as_deref().unwrap_or("0000");
        attribute("class", &format!("0x{class}00"));
        let Some((vendor, product)) = &device.id else {
            return;
        };
        attribute("vendor", &format!("0x{vendor}"));
        attribute("device", &format!("0x{product}"));
        let (base, sub) = class.split_at(class.len() / 2);
        let alias = format!(
            "pci:v0000{}d0000{}sv00000000sd00000000bc{}sc{}i00",
            vendor.to_uppercase(),
            product.to_uppercase(),
            base.to_uppercase(),
            sub.to_uppercase()
        );
        attribute("modalias", &alias);
    }

    /// `/sys/class/net` shows the same directories.
    fn interfaces(&self, device: &Device, base: &str) {
        for name in device.net.iter().flatten() {
            let interface = format!("{base}/net/{name}");
            self.file(format!("{interface}/operstate"), "up\n");
            self.link(format!("class/net/{name}"), self.root().join(&interface));
            self.link(format!("{interface}/device"), self.root().join(base));
        }
        for (name, file, content) in &device.interface_files {
            self.file(format!("{base}/net/{name}/{file}"), &format!("{content}\n"));
        }
    }
}

fn path_of(address: &str) -> String {
    format!("bus/pci/devices/{address}")
}

#[cfg(test)]
mod tests;
