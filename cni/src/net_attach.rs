//! The multi-network specification: annotations, NADs, network-status, DeviceInfo (spec/multus.md
//! §2 to §4).

pub mod device_info;
pub mod nad;
pub mod selection;
pub mod status;

/// Pod annotation: the networks wanted.
pub const NETWORKS_ANNOTATION: &str = "k8s.v1.cni.cncf.io/networks";
/// Pod annotation: replaces the default network.
pub const DEFAULT_NETWORK_ANNOTATION: &str = "v1.multus-cni.io/default-network";
/// Pod annotation: what was attached.
pub const STATUS_ANNOTATION: &str = "k8s.v1.cni.cncf.io/network-status";
/// NAD annotation: the resource whose devices the network uses.
pub const RESOURCE_ANNOTATION: &str = "k8s.v1.cni.cncf.io/resourceName";
