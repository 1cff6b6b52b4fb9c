//! The gRPC contracts of the kubelet and, for the stand-in kubelet of the lab, of the container
//! runtime; plus the one way to serve and dial them: a Unix socket. And what both daemons serve besides: metrics in the
//! text format in which Prometheus scrapes, and probes, over HTTP.
//!
//! The .proto files are our own, with the interfaces' names and numbers (kubernetes/kubelet
//! `pkg/apis/{deviceplugin/v1beta1,pluginregistration/v1,podresources/v1}`, kubernetes/cri-api
//! `pkg/apis/runtime/v1`). Nothing here knows what a device is.

pub mod http;
pub mod prometheus;
pub mod uds;

/// Device plugin contract, package `v1beta1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod deviceplugin {
    tonic::include_proto!("v1beta1");

    /// Version that a plugin announces.
    pub const VERSION: &str = "v1beta1";
    /// Health of a device that may be given to pods.
    pub const HEALTHY: &str = "Healthy";
    /// Health of a device that must not be given to pods.
    pub const UNHEALTHY: &str = "Unhealthy";
}

/// Plugin watcher contract, package `pluginregistration`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod pluginregistration {
    tonic::include_proto!("pluginregistration");

    /// What a device plugin calls itself.
    pub const DEVICE_PLUGIN: &str = "DevicePlugin";
}

/// Pod resources contract, package `v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod podresources {
    tonic::include_proto!("v1");
}

/// Container Runtime Interface, package `runtime.v1`, a subset.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod cri {
    tonic::include_proto!("runtime.v1");
}
