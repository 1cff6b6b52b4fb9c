//! What plugin and daemon say to each other, as JSON.
//!
//! The same documents travel over the daemon's unix socket (`POST /plan`, `POST /report`) and over
//! stdin and stdout of `multus-daemon plan` and `multus-daemon report` in thin mode. A receiver
//! ignores keys it does not know, so a newer peer may add some (spec/ecosystem.md §6.3, I7).
//! An answer that is not a success is a CNI error object `{code, msg, details}` whose `details`
//! begins with a [`Reason`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Version of the documents in this module, in [`PlanRequest::version`] and [`Plan::version`].
pub const VERSION: u32 = 1;

/// The version that a peer's document has if it is not ours, however little else of it can be understood. Peers of two
/// releases meet in every upgrade: the new plugin is in place before the new daemon serves.
pub fn other_version(document: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let claimed = serde_json::from_slice::<Versioned>(document).ok()?.version;
    (claimed != u64::from(VERSION)).then_some(claimed)
}

/// Socket the daemon listens on, unless the configuration's `daemonSocketDir` says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/multus/multus.sock";

/// File name of the socket inside `daemonSocketDir`.
pub const SOCKET_NAME: &str = "multus.sock";

/// runtimeConfig key, and capability, by which a runtime hands over the pod's annotations.
pub const ANNOTATIONS_CAPABILITY: &str = "io.kubernetes.cri.pod-annotations";

/// Path of the plan endpoint.
pub const PLAN_PATH: &str = "/plan";

/// Path of the report endpoint.
pub const REPORT_PATH: &str = "/report";

/// Name of a pod as the runtime gave it in CNI_ARGS, or as the daemon resolved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRef {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// UID of the pod; absent when the runtime does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The plugin's question before ADD: which attachments does this sandbox get?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRequest {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_NETNS, a path on the host.
    pub netns: String,
    /// CNI_IFNAME: the interface of the default network.
    pub ifname: String,
    /// The pod of K8S_POD_NAMESPACE, K8S_POD_NAME and K8S_POD_UID.
    pub pod: PodRef,
    /// The plugin's stdin, byte for byte: a [`crate::config::NetConf`].
    pub config: Box<RawValue>,
    /// The pod's annotations, when the runtime handed them over. `None`: the runtime said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The default network of the configuration as the plugin found it on the host: `clusterNetwork`
    /// (file, directory, confDir, or the file kept for a NAD) or the first of `delegates`. Absent when
    /// it could not be read there; the planner then resolves it itself or answers PrimaryNotReady.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<ResolvedNetwork>,
    /// Plan the default network only, whatever the pod asks for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub primary_only: bool,
}

/// A network's configuration with the name it goes by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolvedNetwork {
    /// The CNI network name.
    pub name: String,
    /// The plugin configuration or list.
    pub config: Box<RawValue>,
}

/// The answer: what to attach, in order. The first attachment with `default` gives the result.
/// No attachment at all means that the pod is gone: ADD succeeds with an empty result
/// (spec/multus.md §5.1, 2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// The pod, with its UID as the API server knows it.
    pub pod: PodRef,
    /// In the order of execution: default network, further delegates, defaultNetworks, annotation.
    pub attachments: Vec<Attachment>,
    /// Things a person should know; the plugin logs them.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One network for one interface: everything its delegate is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attachment {
    /// `<namespace>/<nad>`, or the network's name where no NAD is behind it.
    pub name: String,
    /// The default network of the pod.
    #[serde(default)]
    pub default: bool,
    /// CNI_IFNAME of the delegate.
    pub ifname: String,
    /// The plugin configuration or list, with name, device ids and args.cni merged in.
    pub config: Box<RawValue>,
    /// Capability arguments offered; each plugin of the list gets the ones it declares.
    #[serde(default)]
    pub capabilities: BTreeMap<String, Box<RawValue>>,
    /// Pairs added to CNI_ARGS on ADD (`MAC`, `IP`), after those of the runtime; the last one of a
    /// key wins.
    #[serde(default)]
    pub cni_args: Vec<(String, String)>,
    /// The device given to this attachment.
    #[serde(default)]
    pub device: Option<Device>,
    /// DeviceInfo files of this attachment.
    #[serde(default)]
    pub device_info: Option<DeviceInfoFiles>,
    /// Gateways of the selection's `default-route`, at most one per family.
    #[serde(default)]
    pub gateways: Vec<IpAddr>,
    /// Whether default routes made by the delegate stay. A family with a gateway in `gateways`
    /// loses them in any case before the new route is set.
    #[serde(default)]
    pub keep_default_route: Families,
}

/// A device of a resource pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Extended resource name, `intel.com/sriov_net`; empty when the device was only requested.
    #[serde(default)]
    pub resource: String,
    /// Device id, mostly a PCI address.
    pub id: String,
    /// The id came from the selection's `deviceID`, not from the kubelet.
    #[serde(default)]
    pub requested: bool,
}

/// The two DeviceInfo files of an attachment (spec/multus.md §3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfoFiles {
    /// File of the device plugin, copied before ADD; absent when the device was only requested.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// File of the attachment: capability `CNIDeviceInfoFile`, read after ADD, removed at DEL.
    pub target: PathBuf,
}

/// One flag per address family. The default is true for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Default for Families {
    fn default() -> Self {
        Self { v4: true, v6: true }
    }
}

/// What became of a plan. The daemon writes network-status and events from it.
///
/// Sent after the last attachment, or after a failure: then `error` is set and `attachments` is empty,
/// because all of them have been undone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// The pod of the plan.
    pub pod: PodRef,
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_NETNS.
    pub netns: String,
    /// One per attachment that succeeded, in order.
    pub attachments: Vec<AttachmentReport>,
    /// The failure, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AttachmentError>,
    /// `kubeconfig` of the plugin's configuration: `multus-daemon report` has nothing else to know the
    /// API server by. A running daemon has its own and ignores this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
}

/// One attachment that succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttachmentReport {
    /// [`Attachment::name`].
    pub name: String,
    /// [`Attachment::default`].
    #[serde(default)]
    pub default: bool,
    /// [`Attachment::ifname`].
    pub ifname: String,
    /// The delegate's result as CNI 1.1.0, default routes as they really are.
    pub result: Box<RawValue>,
    /// Content of the attachment's DeviceInfo file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_info: Option<Box<RawValue>>,
    /// Gateways of the default routes set for the selection's `default-route`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
    /// Milliseconds that attaching took; absent from an older plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Why an ADD failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentError {
    /// [`Attachment::name`] of the one that failed; empty when none was at work.
    pub attachment: String,
    /// CNI error code.
    pub code: u32,
    /// The whole message.
    pub msg: String,
    /// Machine-readable cause.
    pub reason: Reason,
}

/// Every cause of a failure that users meet. The list is closed: CNI error details, events, metrics
/// and documentation use these words and no others (design §7). A word of a newer release, in a document or a record,
/// is read as `DelegateFailed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
#[expect(
    missing_docs,
    reason = "the names are the documentation; docs/failures.md explains them"
)]
pub enum Reason {
    NetworkNotFound,
    NetworkInvalid,
    AnnotationInvalid,
    PoolNotRequested,
    PoolExhausted,
    DeviceNotAllocated,
    VFInUse,
    VFConfigUnsupported,
    IPAMFailed,
    PrimaryNotReady,
    DaemonNotReady,
    InterfaceExists,
    DelegateFailed,
    DelegateTimeout,
    VFLeakRepaired,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::NetworkNotFound,
        Self::NetworkInvalid,
        Self::AnnotationInvalid,
        Self::PoolNotRequested,
        Self::PoolExhausted,
        Self::DeviceNotAllocated,
        Self::VFInUse,
        Self::VFConfigUnsupported,
        Self::IPAMFailed,
        Self::PrimaryNotReady,
        Self::DaemonNotReady,
        Self::InterfaceExists,
        Self::DelegateFailed,
        Self::DelegateTimeout,
        Self::VFLeakRepaired,
    ];

    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetworkNotFound => "NetworkNotFound",
            Self::NetworkInvalid => "NetworkInvalid",
            Self::AnnotationInvalid => "AnnotationInvalid",
            Self::PoolNotRequested => "PoolNotRequested",
            Self::PoolExhausted => "PoolExhausted",
            Self::DeviceNotAllocated => "DeviceNotAllocated",
            Self::VFInUse => "VFInUse",
            Self::VFConfigUnsupported => "VFConfigUnsupported",
            Self::IPAMFailed => "IPAMFailed",
            Self::PrimaryNotReady => "PrimaryNotReady",
            Self::DaemonNotReady => "DaemonNotReady",
            Self::InterfaceExists => "InterfaceExists",
            Self::DelegateFailed => "DelegateFailed",
            Self::DelegateTimeout => "DelegateTimeout",
            Self::VFLeakRepaired => "VFLeakRepaired",
        }
    }

    /// The reason at the start of a CNI error's `details`, which is `<reason>` or `<reason>: <text>`.
    pub fn of_details(details: &str) -> Option<Self> {
        let word = details.split([':', ' ']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl From<String> for Reason {
    fn from(word: String) -> Self {
        let known = Self::ALL.into_iter().find(|reason| reason.as_str() == word);
        known.unwrap_or(Self::DelegateFailed)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
