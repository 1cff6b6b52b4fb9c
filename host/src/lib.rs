//! The node as seen and changed by Ferrovia: sysfs, PCI functions, SR-IOV, netlink, namespaces and durable files.
//!
//! This is the only crate that touches the kernel. It knows nothing of CNI or Kubernetes, has no async function, and
//! reads no environment variable; roots (`/sys`, `/proc`) are handed in.

pub mod auxiliary;
pub mod boot;
pub mod clock;
pub mod default_route;
pub mod driver;
pub mod error;
pub mod file;
pub mod lock;
pub mod log_file;
pub mod mac;
pub mod netdev;
pub mod netlink;
pub mod netns;
pub mod pci;
pub mod sriov;
pub mod sysctl;
pub mod sysfs;
#[cfg(feature = "testing")]
pub mod testing;
pub mod vdpa;
pub mod vfio;
