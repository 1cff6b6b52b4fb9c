//! Which networks a pod gets, and in which order: default network, further delegates,
//! defaultNetworks, annotation of the namespace, annotation of the pod (spec/multus.md §2.4 "Order"). The auxiliary chain
//! comes last; the plugin adds it, since its files are the host's.

use cni::name::check_interface;
use cni::net_attach::selection::{self, Selection};
use cni::net_attach::{DEFAULT_NETWORK_ANNOTATION, NETWORKS_ANNOTATION};
use multus_plugin::config::{NetConf, Primary};
use multus_plugin::wire::Reason;
use serde_json::value::RawValue;

use super::namespace::isolated;
use super::{Network, PodFacts, Question, Refusal, Warning};
use crate::known::NadKey;
use crate::namespaces::NamespaceFacts;

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
    /// The NAD that counts if that of `source` does not exist.
    pub(super) also: Option<NadKey>,
    /// The pod's wishes about it; empty without an annotation.
    pub(super) selection: Selection,
    pub(super) default: bool,
}

/// All networks of the pod.
pub(super) fn of(
    question: &Question<'_>,
    namespace: &NamespaceFacts,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Wanted>, Refusal> {
    let Question {
        conf, pod, request, ..
    } = question;
    let mut wanted = configured(conf, &pod.pod.namespace)?;
    if request.primary_only {
        wanted.truncate(1);
        return Ok(wanted);
    }
    let owners = [
        (&pod.default_network, pod_words(pod)),
        (&namespace.default_network, namespace_words(pod)),
    ];
    let default = owners
        .iter()
        .find_map(|(text, owner)| Some((text.as_ref()?, owner)));
    if let Some((text, owner)) = default {
        let (selection, also) = default_network(text, conf, pod, owner, warnings)?;
        isolated(&selection, conf, pod, true)?;
        wanted[0] = Wanted {
            also,
            ..selected(selection, true)
        };
    }
    let owners = [
        (&namespace.networks, namespace_words(pod)),
        (&pod.networks, pod_words(pod)),
    ];
    for (text, owner) in owners {
        let Some(text) = text else { continue };
        let parsed = selection::parse(text, &pod.pod.namespace)
            .map_err(|source| annotation(NETWORKS_ANNOTATION, &owner, source))?;
        warnings.extend(parsed.warnings.into_iter().map(annotation_warning));
        for selection in parsed.elements {
            isolated(&selection, conf, pod, false)?;
            wanted.push(selected(selection, false));
        }
    }
    Ok(wanted)
}

/// The one network of a default-network annotation. A name without a namespace is one of the multus namespace, as
/// upstream has it, else one of the pod's, where users expect it (spec/multus.md §9.1 P14).
fn default_network(
    text: &str,
    conf: &NetConf,
    pod: &PodFacts,
    owner: &str,
    warnings: &mut Vec<Warning>,
) -> Result<(Selection, Option<NadKey>), Refusal> {
    let of = |namespace: &str| {
        selection::parse_default_network(text, namespace)
            .map_err(|source| annotation(DEFAULT_NETWORK_ANNOTATION, owner, source))
    };
    let (first, doubts) = of(&conf.multus_namespace)?;
    let (second, _) = of(&pod.pod.namespace)?;
    warnings.extend(doubts.into_iter().map(annotation_warning));
    let also = (first.namespace != second.namespace).then_some(NadKey {
        namespace: second.namespace,
        name: second.name,
    });
    Ok((first, also))
}

fn annotation(key: &'static str, owner: &str, source: selection::SelectionError) -> Refusal {
    Refusal::Annotation {
        key,
        owner: owner.to_owned(),
        source: Box::new(source),
    }
}

fn pod_words(pod: &PodFacts) -> String {
    format!("pod {}", pod.pod)
}

fn namespace_words(pod: &PodFacts) -> String {
    format!("namespace {}", pod.pod.namespace)
}

/// The pod gets the networks of the plugin's configuration and no others, so the plugin attaches them
/// without asking (design §2 "Plain pods").
pub fn is_plain(conf: &NetConf, pod: &PodFacts) -> bool {
    pod.networks.as_deref().unwrap_or_default().is_empty()
        && pod.default_network.is_none()
        && conf.default_networks_of(&pod.pod.namespace).is_empty()
        && !conf.asks_namespace(&pod.pod.namespace)
}

fn configured(conf: &NetConf, namespace: &str) -> Result<Vec<Wanted>, Refusal> {
    let plain = |source, default| Wanted {
        source,
        also: None,
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
        also: None,
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
