//! Which networks a pod gets, and in which order: default network, further delegates,
//! defaultNetworks, annotation (spec/multus.md §2.4 "Order").

use cni::name::check_interface;
use cni::net_attach::selection::{self, Selection};
use cni::net_attach::{DEFAULT_NETWORK_ANNOTATION, NETWORKS_ANNOTATION};
use multus_plugin::config::{NetConf, Primary};
use multus_plugin::wire::Reason;
use serde_json::value::RawValue;

use super::{Network, PodFacts, Question, Refusal, Warning};
use crate::known::NadKey;

/// Where a network's configuration is.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// In the plugin's own configuration; the text says where.
    Inline(Box<RawValue>, String),
    /// By the grammar of spec/multus.md §1.3; the key that has the value.
    Reference(String, &'static str),
    /// A NAD.
    Nad(NadKey),
}

/// A network that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) source: Source,
    /// The pod's wishes about it; empty without an annotation.
    pub(super) selection: Selection,
    pub(super) default: bool,
}

/// All networks of the pod.
pub(super) fn of(
    question: &Question<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Wanted>, Refusal> {
    let Question {
        conf, pod, request, ..
    } = question;
    // Refused rather than left out without a word.
    if !conf.auxiliary_cni_chain_name.is_empty() {
        return Err(Refusal::AuxiliaryChain {
            chain: conf.auxiliary_cni_chain_name.clone(),
        });
    }
    let mut wanted = configured(conf, &pod.pod.namespace)?;
    if request.primary_only {
        wanted.truncate(1);
        return Ok(wanted);
    }
    if let Some(text) = &pod.default_network {
        let (selection, doubts) = selection::parse_default_network(text, &conf.multus_namespace)
            .map_err(|source| Refusal::Annotation {
                key: DEFAULT_NETWORK_ANNOTATION,
                pod: pod.pod.to_string(),
                source: Box::new(source),
            })?;
        warnings.extend(doubts.into_iter().map(annotation_warning));
        isolated(&selection, conf, pod, true)?;
        wanted[0] = selected(selection, true);
    }
    if let Some(text) = &pod.networks {
        let parsed =
            selection::parse(text, &pod.pod.namespace).map_err(|source| Refusal::Annotation {
                key: NETWORKS_ANNOTATION,
                pod: pod.pod.to_string(),
                source: Box::new(source),
            })?;
        warnings.extend(parsed.warnings.into_iter().map(annotation_warning));
        for selection in parsed.elements {
            isolated(&selection, conf, pod, false)?;
            wanted.push(selected(selection, false));
        }
    }
    Ok(wanted)
}

/// The pod gets the networks of the plugin's configuration and no others, so the plugin attaches them
/// without asking (design §2 "Plain pods").
pub fn is_plain(conf: &NetConf, pod: &PodFacts) -> bool {
    pod.networks.as_deref().unwrap_or_default().is_empty()
        && pod.default_network.is_none()
        && conf.default_networks_of(&pod.pod.namespace).is_empty()
        && conf.auxiliary_cni_chain_name.is_empty()
}

fn configured(conf: &NetConf, namespace: &str) -> Result<Vec<Wanted>, Refusal> {
    let plain = |source, default| Wanted {
        source,
        selection: Selection::default(),
        default,
    };
    let mut wanted: Vec<Wanted> = match conf.primary().map_err(Refusal::Configuration)? {
        Primary::Reference(value) => {
            vec![plain(Source::Reference(value, "clusterNetwork"), true)]
        }
        Primary::Inline(delegates) => delegates
            .into_iter()
            .enumerate()
            .map(|(i, conf)| plain(Source::Inline(conf, format!("delegates[{i}]")), i == 0))
            .collect(),
    };
    for value in conf.default_networks_of(namespace) {
        let source = Source::Reference(value.clone(), "defaultNetworks");
        wanted.push(plain(source, false));
    }
    Ok(wanted)
}

fn selected(selection: Selection, default: bool) -> Wanted {
    Wanted {
        source: Source::Nad(NadKey {
            namespace: selection.namespace.clone(),
            name: selection.name.clone(),
        }),
        selection,
        default,
    }
}

fn annotation_warning(warning: selection::Warning) -> Warning {
    Warning {
        reason: Reason::AnnotationInvalid,
        text: warning.message,
    }
}

/// Upstream lets the default-network annotation through (spec/multus.md §9.2 Q8); here the multus
/// namespace is exempt for it and no other.
fn isolated(
    selection: &Selection,
    conf: &NetConf,
    pod: &PodFacts,
    default: bool,
) -> Result<(), Refusal> {
    if !conf.namespace_isolation {
        return Ok(());
    }
    let mut allowed = vec![pod.pod.namespace.as_str()];
    allowed.extend(conf.namespaces_exempt_from_isolation());
    if default {
        allowed.push(&conf.multus_namespace);
    }
    if allowed.contains(&selection.namespace.as_str()) {
        return Ok(());
    }
    allowed.dedup();
    Err(Refusal::Isolated {
        network: format!("{}/{}", selection.namespace, selection.name),
        namespace: selection.namespace.clone(),
        pod_namespace: pod.pod.namespace.clone(),
        allowed: allowed.join(", "),
    })
}

/// The wanted name, else CNI_IFNAME for the default network, else `net<position>`
/// (spec/multus.md §2.5). Equal names are refused here, because the first delegate would be undone
/// for the second (spec/corrections.md M10).
pub(super) fn interface_names(default: &str, networks: &[Network]) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::with_capacity(networks.len());
    for (position, network) in networks.iter().enumerate() {
        let ifname = match network.wanted.selection.interface.as_deref() {
            Some(asked) if !asked.is_empty() => asked.to_owned(),
            _ if network.wanted.default => default.to_owned(),
            _ => format!("net{position}"),
        };
        check_interface(&ifname).map_err(|source| Refusal::InterfaceName {
            network: network.name.clone(),
            ifname: ifname.clone(),
            source,
        })?;
        if let Some(first) = names.iter().position(|name| *name == ifname) {
            return Err(Refusal::InterfaceTwice {
                first: networks[first].name.clone(),
                second: network.name.clone(),
                ifname,
            });
        }
        names.push(ifname);
    }
    Ok(names)
}
