//! What a container needs to use a device: its nodes, and what INFO tells about them.
//!
//! Read anew for each allocation: groups and RDMA devices are renumbered while a device lives.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use host::{auxiliary, driver, error::Error as HostError, netdev, sysfs::Sysfs, vdpa, vfio};

use crate::{
    config::{VdpaType, VfioNodes},
    node::{DeviceId, Function},
    plan::Device,
    rdma,
};

/// The node's trees.
#[derive(Debug, Clone)]
pub struct Roots {
    /// `/sys`.
    pub sysfs: Sysfs,
    /// `/dev`.
    pub dev: PathBuf,
}

/// Node of iommufd.
const IOMMU: &str = "/dev/iommu";

impl Roots {
    /// Whether a node of `/dev` exists on this node.
    fn has(&self, path: &Path) -> bool {
        path.strip_prefix("/dev")
            .is_ok_and(|below| self.dev.join(below).exists())
    }
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
    /// The vDPA device, for the same.
    pub vdpa: Option<vdpa::Device>,
    /// The sub-function's representor, for the same.
    pub representor: Option<String>,
}

/// Why a device cannot be given to a container now.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// sysfs tells something else than what the device needs.
    #[error("allocate {id}")]
    Device {
        /// The device.
        id: String,
        #[source]
        /// What is wrong.
        source: HostError,
    },
    /// The device is not what the pool offered any more.
    #[error("allocate {id}: its driver is {now} now, the pool offered it with {offered}")]
    DriverChanged {
        /// The device.
        id: String,
        /// Driver at the last scan.
        offered: String,
        /// Driver now.
        now: String,
    },
    /// A part that the pool promises is not there now.
    #[error("allocate {id}: {missing}")]
    Missing {
        /// The device.
        id: String,
        /// What is missing, and why that may be.
        missing: String,
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

fn binding(sysfs: &Sysfs, function: &Function, driver: &str) -> Binding {
    // A sub-function's driver is that of the PCI function that it is part of.
    if function.id.pci().is_none() {
        return Binding::Kernel;
    }
    match driver {
        "uio" | "igb_uio" | "uio_pci_generic" => Binding::Uio,
        // vfio-pci and its variants: mlx5_vfio_pci, ice_vfio_pci, hisi_acc_vfio_pci, ...
        driver if driver.contains("vfio") => Binding::Vfio,
        // A variant of another name: VFIO shows a device of its own (kernel 6.1).
        _ if sysfs.function(function.address).child("vfio-dev").exists() => Binding::Vfio,
        _ => Binding::Kernel,
    }
}

/// Reads what `device` needs.
pub fn access(roots: &Roots, device: &Device) -> Result<Access, AccessError> {
    let (id, address) = (&device.function.id, device.function.address);
    let failed = |source| AccessError::Device {
        id: id.to_string(),
        source,
    };
    let mut found = Access {
        nodes: Vec::new(),
        info: Info::new(),
        rdma: Vec::new(),
        vdpa: None,
        representor: None,
    };
    found.tell("generic", "deviceID", id);
    if let DeviceId::Software(_) = id {
        // Nothing is behind a slot; only the administrator's own facts are told.
        if let Some(extra) = &device.extra {
            found.info.insert("extra", extra.clone());
        }
        return Ok(found);
    }
    let driver = current_driver(roots, device)?;
    match binding(&roots.sysfs, &device.function, &driver) {
        Binding::Kernel => {}
        Binding::Vfio => found.vfio(roots, device)?,
        Binding::Uio => {
            let node = vfio::uio_node(&roots.sysfs, address).map_err(failed)?;
            found.tell("uio", "mount", &node.display());
            found.node(node);
        }
    }
    if let (DeviceId::Auxiliary { .. }, Some(parent)) = (id, &device.function.parent) {
        found.representor = match parent.index {
            Some(number) => {
                netdev::sf_representor(&roots.sysfs, address, number).map_err(failed)?
            }
            None => None,
        };
    }
    if device.rdma {
        found.rdma(roots, id).map_err(failed)?;
        if found.rdma.is_empty() {
            return Err(missing(
                id,
                "it has no RDMA device here: another pod's namespace may still have it",
            ));
        }
    }
    if let Some(wanted) = device.vdpa {
        found.vdpa(roots, &device.function, wanted)?;
    }
    if device.vhost_net {
        found.vhost(&roots.dev);
    }
    if let Some(extra) = &device.extra {
        found.info.insert("extra", extra.clone());
    }
    Ok(found)
}

fn missing(id: &DeviceId, missing: impl Into<String>) -> AccessError {
    AccessError::Missing {
        id: id.to_string(),
        missing: missing.into(),
    }
}

fn current_driver(roots: &Roots, device: &Device) -> Result<String, AccessError> {
    let id = &device.function.id;
    if let DeviceId::Auxiliary { .. } = id
        && !auxiliary::device(&roots.sysfs, &id.to_string()).exists()
    {
        return Err(missing(id, "there is no such sub-function any more"));
    }
    let now = match driver::current(&roots.sysfs, device.function.address) {
        Ok(now) => now,
        Err(source) => {
            return Err(AccessError::Device {
                id: id.to_string(),
                source,
            });
        }
    };
    match now {
        Some(now) if Some(&now) == device.function.driver.as_ref() => Ok(now),
        now => Err(AccessError::DriverChanged {
            id: id.to_string(),
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

    /// Group nodes, the device's own where the kernel has them, as the pool wants it.
    fn vfio(&mut self, roots: &Roots, device: &Device) -> Result<(), AccessError> {
        let (id, address) = (&device.function.id, device.function.address);
        let failed = |source| AccessError::Device {
            id: id.to_string(),
            source,
        };
        if device.vfio != VfioNodes::Cdev {
            let group = vfio::group(&roots.sysfs, address).map_err(failed)?;
            self.node("/dev/vfio/vfio");
            self.tell("vfio", "mount", "/dev/vfio/vfio");
            self.tell("vfio", "dev-mount", &group.container_path().display());
            self.push(DeviceNode {
                host: group.host_path(),
                container: group.container_path(),
            });
        }
        if device.vfio == VfioNodes::Group {
            return Ok(());
        }
        let own = vfio::device_node(&roots.sysfs, address).map_err(failed)?;
        let own = own.filter(|own| roots.has(own) && roots.has(Path::new(IOMMU)));
        match own {
            Some(own) => {
                self.tell("vfio", "cdev-mount", &own.display());
                self.tell("vfio", "iommu-mount", IOMMU);
                self.node(own);
                self.node(IOMMU);
                Ok(())
            }
            None if device.vfio == VfioNodes::Both => Ok(()),
            None => Err(missing(
                id,
                "the pool's vfioMode is cdev, and this kernel shows no /dev/vfio/devices or no /dev/iommu",
            )),
        }
    }

    /// The vDPA device as it is now: it is made and bound while the function lives.
    fn vdpa(
        &mut self,
        roots: &Roots,
        function: &Function,
        wanted: VdpaType,
    ) -> Result<(), AccessError> {
        let id = &function.id;
        let name = function.vdpa.as_ref().map(|device| device.name.clone());
        let found = match name {
            Some(name) => {
                vdpa::device(&roots.sysfs, name).map_err(|source| AccessError::Device {
                    id: id.to_string(),
                    source,
                })?
            }
            None => None,
        };
        let Some(device) = found.filter(|device| device.parent == function.address) else {
            return Err(missing(id, "it has no vDPA device any more"));
        };
        if device.driver.as_deref() != Some(wanted.driver()) {
            let driver = device.driver.as_deref().unwrap_or("no driver");
            let wanted = wanted.driver();
            return Err(missing(
                id,
                format!("its vDPA device {} has {driver}, not {wanted}", device.name),
            ));
        }
        self.info.entry("vdpa").or_default();
        if wanted == VdpaType::Vhost {
            let node = device.node.clone().filter(|node| roots.has(node));
            let Some(node) = node else {
                return Err(missing(
                    id,
                    format!("its vDPA device {} has no node in /dev", device.name),
                ));
            };
            self.tell("vdpa", "mount", &node.display());
            self.node(node);
        }
        self.vdpa = Some(device);
        Ok(())
    }

    fn rdma(&mut self, roots: &Roots, id: &DeviceId) -> Result<(), HostError> {
        self.rdma = rdma::devices(&roots.sysfs, id)?;
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
