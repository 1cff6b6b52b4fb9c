//! What a container needs to use a device: its nodes, and what INFO tells about them.
//!
//! Read anew for each allocation: groups and RDMA devices are renumbered while a device lives.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use host::{driver, error::Error as HostError, pci::PciAddress, sysfs::Sysfs, vfio};

use crate::{plan::Device, rdma};

/// The node's trees.
#[derive(Debug, Clone)]
pub struct Roots {
    /// `/sys`.
    pub sysfs: Sysfs,
    /// `/dev`.
    pub dev: PathBuf,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Path on the host.
    pub host: PathBuf,
    /// Path in the container.
    pub container: PathBuf,
}

/// Facts of INFO: provider, key, value (spec/device-plugin.md §3.3).
pub type Info = BTreeMap<&'static str, BTreeMap<String, String>>;

/// What one device needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Nodes in order, without repetition.
    pub nodes: Vec<DeviceNode>,
    /// Facts by provider.
    pub info: Info,
    /// RDMA devices, for the DeviceInfo file.
    pub rdma: Vec<String>,
}

/// Why a device cannot be given to a container now.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// sysfs tells something else than what the device needs.
    #[error("allocate {address}")]
    Device {
        /// The device.
        address: PciAddress,
        #[source]
        /// What is wrong.
        source: HostError,
    },
    /// The device is not what the pool offered any more.
    #[error("allocate {address}: its driver is {now} now, the pool offered it with {offered}")]
    DriverChanged {
        /// The device.
        address: PciAddress,
        /// Driver at the last scan.
        offered: String,
        /// Driver now.
        now: String,
    },
}

/// Who drives a function, as far as containers are concerned.
enum Binding {
    /// Its network interface is moved into the pod.
    Kernel,
    /// A process opens its IOMMU group.
    Vfio,
    /// A process maps it through UIO.
    Uio,
}

fn binding(driver: &str) -> Binding {
    match driver {
        "uio" | "igb_uio" | "uio_pci_generic" => Binding::Uio,
        // vfio-pci and its variants: mlx5_vfio_pci, ice_vfio_pci, hisi_acc_vfio_pci, ...
        driver if driver.contains("vfio") => Binding::Vfio,
        _ => Binding::Kernel,
    }
}

/// Reads what `device` needs.
pub fn access(roots: &Roots, device: &Device) -> Result<Access, AccessError> {
    let address = device.function.address;
    let failed = |source| AccessError::Device { address, source };
    let driver = current_driver(roots, device)?;
    let mut found = Access {
        nodes: Vec::new(),
        info: Info::new(),
        rdma: Vec::new(),
    };
    found.tell("generic", "deviceID", &address);
    match binding(&driver) {
        Binding::Kernel => {}
        Binding::Vfio => {
            let group = vfio::group(&roots.sysfs, address).map_err(failed)?;
            found.node("/dev/vfio/vfio");
            found.tell("vfio", "mount", "/dev/vfio/vfio");
            found.tell("vfio", "dev-mount", &group.container_path().display());
            found.push(DeviceNode {
                host: group.host_path(),
                container: group.container_path(),
            });
        }
        Binding::Uio => {
            let node = vfio::uio_node(&roots.sysfs, address).map_err(failed)?;
            found.tell("uio", "mount", &node.display());
            found.node(node);
        }
    }
    if device.rdma {
        found.rdma(roots, address).map_err(failed)?;
    }
    if device.vhost_net {
        found.vhost(&roots.dev);
    }
    if let Some(extra) = &device.extra {
        found.info.insert("extra", extra.clone());
    }
    Ok(found)
}

fn current_driver(roots: &Roots, device: &Device) -> Result<String, AccessError> {
    let address = device.function.address;
    let now = driver::current(&roots.sysfs, address)
        .map_err(|source| AccessError::Device { address, source })?;
    match now {
        Some(now) if Some(&now) == device.function.driver.as_ref() => Ok(now),
        now => Err(AccessError::DriverChanged {
            address,
            offered: device.function.driver.clone().unwrap_or("none".to_owned()),
            now: now.unwrap_or("none".to_owned()),
        }),
    }
}

impl Access {
    fn tell(&mut self, provider: &'static str, key: &str, value: &(impl ToString + ?Sized)) {
        self.info
            .entry(provider)
            .or_default()
            .insert(key.to_owned(), value.to_string());
    }

    /// A node with the same path on both sides.
    fn node(&mut self, path: impl Into<PathBuf>) {
        let host = path.into();
        self.push(DeviceNode {
            container: host.clone(),
            host,
        });
    }

    fn push(&mut self, node: DeviceNode) {
        if !self.nodes.contains(&node) {
            self.nodes.push(node);
        }
    }

    fn rdma(&mut self, roots: &Roots, address: PciAddress) -> Result<(), HostError> {
        self.rdma = rdma::devices(&roots.sysfs, address)?;
        for device in self.rdma.clone() {
            for found in rdma::character_devices(&roots.sysfs, &roots.dev, &device)? {
                // ucm is given, but no consumer knows a key for it.
                if found.kind != "ucm" {
                    self.tell("rdma", found.kind, &found.path.display());
                }
                self.node(found.path);
            }
        }
        if let Some(first) = self.rdma.first().cloned() {
            self.tell("rdma", "rdma_dev", &first);
        }
        Ok(())
    }

    /// Both nodes or neither: one without the other is of no use.
    fn vhost(&mut self, dev: &Path) {
        if !(dev.join("vhost-net").exists() && dev.join("net/tun").exists()) {
            tracing::warn!(
                "no vhost-net or no tun on this node: load the modules vhost_net and tun"
            );
            return;
        }
        self.node("/dev/vhost-net");
        self.node("/dev/net/tun");
        self.tell("vhost", "net-mount", "/dev/vhost-net");
        self.tell("vhost", "tun-mount", "/dev/net/tun");
    }
}
