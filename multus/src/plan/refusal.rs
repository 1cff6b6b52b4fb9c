//! Every way in which planning can fail. A message names the network and what to do about it.

use cni::config::ConfigError;
use cni::error::code;
use cni::net_attach::nad::NadError;
use cni::net_attach::selection::SelectionError;
use multus_plugin::wire::Reason;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[error("read the plugin's configuration")]
    Configuration(#[source] multus_plugin::config::ConfigError),
    #[error("annotation {key} of {owner}")]
    Annotation {
        key: &'static str,
        owner: String,
        #[source]
        source: Box<SelectionError>,
    },
    #[error(
        "network {network} is in namespace {namespace}, and namespaceIsolation allows pods of {pod_namespace} only networks of {allowed}: use a network of one of these, or add {namespace} to globalNamespaces"
    )]
    Isolated {
        network: String,
        namespace: String,
        pod_namespace: String,
        allowed: String,
    },
    #[error("interface {ifname} of network {network}")]
    InterfaceName {
        network: String,
        ifname: String,
        #[source]
        source: cni::name::InvalidName,
    },
    #[error(
        "networks {first} and {second} would both get interface {ifname}: set another \"interface\" for one of them in the pod's annotation"
    )]
    InterfaceTwice {
        first: String,
        second: String,
        ifname: String,
    },
    #[error(
        "network {network} not found: there is no NetworkAttachmentDefinition {network}; create it, or correct the pod's annotation"
    )]
    NadMissing { network: String },
    #[error(
        "default network not found: there is neither a NetworkAttachmentDefinition {network} nor {second}; create one of them, or correct the annotation"
    )]
    DefaultMissing { network: String, second: String },
    #[error(
        "the networks of namespace {namespace} cannot be looked up, the pod will be tried again: {cause}"
    )]
    NamespaceUnknown { namespace: String, cause: String },
    #[error("network {network} is refused by the node")]
    NotAllowed {
        network: String,
        #[source]
        source: multus_plugin::allowed::NotAllowed,
    },
    #[error("{text} (refused, because the configuration says \"strict\")")]
    Strict { reason: Reason, text: String },
    #[error("network {network} cannot be looked up, the pod will be tried again: {cause}")]
    NadUnknown { network: String, cause: String },
    #[error(
        "network {network} has an empty spec.config, and no file in {conf_dir} has a network named {name}: fill in spec.config, or add the file"
    )]
    NadEmpty {
        network: String,
        name: String,
        conf_dir: String,
    },
    #[error("network {name} cannot be read from {conf_dir}, correct or remove the file: {cause}")]
    ConfDir {
        name: String,
        conf_dir: String,
        cause: String,
    },
    #[error(
        "{key} names {value}: there is no NetworkAttachmentDefinition {namespace}/{value}, and no file in {conf_dir} has a network of that name; correct {key}, or create one of them"
    )]
    ReferenceMissing {
        key: &'static str,
        value: String,
        namespace: String,
        conf_dir: String,
        default: bool,
    },
    #[error(
        "{key} names {path}, where there is no network configuration: wait for the network provider to write it, or correct {key}"
    )]
    PathMissing {
        key: &'static str,
        path: String,
        default: bool,
    },
    #[error("{key} names {path}, which cannot be used, correct the file: {cause}")]
    PathInvalid {
        key: &'static str,
        path: String,
        cause: String,
    },
    #[error("network {network} is invalid, correct its NetworkAttachmentDefinition")]
    Nad {
        network: String,
        #[source]
        source: Box<NadError>,
    },
    #[error("network {network} is invalid, correct its configuration")]
    Network {
        network: String,
        #[source]
        source: Box<ConfigError>,
    },
    #[error("network {network} is invalid, correct its configuration")]
    NetworkName {
        network: String,
        #[source]
        source: cni::name::InvalidName,
    },
    #[error(
        "network {network} names no network: add \"name\" to the delegate in the multus configuration"
    )]
    Nameless { network: String },
    #[error(
        "network {network} has plugin type {kind}, which is multus itself: name the plugin that is to make the interface"
    )]
    Recursion { network: String, kind: String },
    #[error(
        "networks {first} and {second} both have a default-route: only one network of a pod may have one, remove the other"
    )]
    RouteTwice { first: String, second: String },
    #[error(
        "network {network} has several {family} gateways in default-route: multus does not support ECMP, keep one per address family"
    )]
    GatewayTwice {
        network: String,
        family: &'static str,
    },
    #[error("ask the kubelet for the devices of pod {pod}, the pod will be tried again: {cause}")]
    KubeletSilent { pod: String, cause: String },
    #[error("read the resource claims of pod {pod}, the pod will be tried again: {cause}")]
    ClaimsUnknown { pod: String, cause: String },
    #[error("resource claim {claim} of pod {pod} cannot be used: {text}")]
    Claim {
        claim: String,
        pod: String,
        text: String,
    },
    #[error(
        "network {network} needs a device of {resource}, and this node has no kubelet to give one: neither PodResources nor a device checkpoint exists"
    )]
    NoKubelet { network: String, resource: String },
    #[error(
        "network {network} needs a device of {resource}, and no container of pod {pod} has one: add \"{resource}\": 1 to the resource requests and limits of a container{passed_over}"
    )]
    NotRequested {
        passed_over: String,
        network: String,
        resource: String,
        pod: String,
    },
    #[error(
        "network {network} needs one more device of {resource}: pod {pod} has {have}, in use by {users}; request at least {want}"
    )]
    Exhausted {
        network: String,
        resource: String,
        pod: String,
        have: usize,
        want: usize,
        users: String,
    },
    #[error(
        "network {network} asks for device {device}, which the kubelet did not give to pod {pod}: remove the deviceID, and request the device's resource in a container"
    )]
    NotAllocated {
        network: String,
        device: String,
        pod: String,
    },
    #[error(
        "networks {first} and {second} would both use device {device}: remove the deviceID of one of them"
    )]
    DeviceTwice {
        first: String,
        second: String,
        device: String,
    },
    #[error(
        "network {network} was given the software slot {device}, which only plugin type sriov can use, and its type is {kind}: use type sriov with a \"fallback\", or let the pod run on a node with the device"
    )]
    SoftwareSlot {
        network: String,
        device: String,
        kind: String,
    },
}

impl Refusal {
    /// The machine-readable cause.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Configuration(_)
            | Self::ConfDir { .. }
            | Self::PathInvalid { .. }
            | Self::Nad { .. }
            | Self::Network { .. }
            | Self::NetworkName { .. }
            | Self::Nameless { .. }
            | Self::Recursion { .. }
            | Self::NotAllowed { .. }
            | Self::SoftwareSlot { .. } => Reason::NetworkInvalid,
            Self::Annotation { .. }
            | Self::Isolated { .. }
            | Self::InterfaceName { .. }
            | Self::InterfaceTwice { .. }
            | Self::RouteTwice { .. }
            | Self::GatewayTwice { .. } => Reason::AnnotationInvalid,
            Self::NadMissing { .. } | Self::DefaultMissing { .. } | Self::NadEmpty { .. } => {
                Reason::NetworkNotFound
            }
            Self::Strict { reason, .. } => *reason,
            Self::ReferenceMissing { default, .. } | Self::PathMissing { default, .. } => {
                if *default {
                    Reason::PrimaryNotReady
                } else {
                    Reason::NetworkNotFound
                }
            }
            Self::NamespaceUnknown { .. }
            | Self::NadUnknown { .. }
            | Self::KubeletSilent { .. }
            | Self::ClaimsUnknown { .. } => Reason::DaemonNotReady,
            Self::NotRequested { .. } => Reason::PoolNotRequested,
            Self::Exhausted { .. } => Reason::PoolExhausted,
            Self::NoKubelet { .. }
            | Self::Claim { .. }
            | Self::NotAllocated { .. }
            | Self::DeviceTwice { .. } => Reason::DeviceNotAllocated,
        }
    }

    /// The CNI error code (spec/sriov-cni.md §6.3): 11 where waiting helps, else 7.
    pub fn code(&self) -> u32 {
        match self.reason() {
            Reason::PrimaryNotReady | Reason::DaemonNotReady => code::TRY_AGAIN_LATER,
            _ => code::INVALID_CONFIG,
        }
    }

    /// As the plugin gets it: the reason is in the details.
    pub fn to_cni(&self) -> cni::Error {
        cni::Error::from_chain(self.code(), self).with_details(self.reason().as_str())
    }
}
