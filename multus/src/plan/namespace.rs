//! What the pod's namespace adds to the pod's own wishes, and what namespaces keep apart.

use multus_plugin::config::NetConf;

use cni::net_attach::selection::Selection;

use super::{PodFacts, Question, Refusal};
use crate::known::{Found, Known, Need};
use crate::namespaces::NamespaceFacts;

/// What the namespace gives to the pod: nothing unless the configuration says that it may; else the inner error is
/// what to look up first.
pub(super) fn of(
    question: &Question<'_>,
    known: &Known,
) -> Result<Result<NamespaceFacts, Need>, Refusal> {
    let name = &question.pod.pod.namespace;
    if question.request.primary_only || !question.conf.asks_namespace(name) {
        return Ok(Ok(NamespaceFacts::default()));
    }
    match &known.namespace {
        None => Ok(Err(Need::Namespace(name.clone()))),
        Some(Found::Here(facts)) => Ok(Ok(facts.clone())),
        Some(Found::Missing) => Ok(Ok(NamespaceFacts::default())),
        Some(Found::Unknown(cause)) => Err(Refusal::NamespaceUnknown {
            namespace: name.clone(),
            cause: cause.clone(),
        }),
    }
}

/// Refuses a network of a namespace that `namespaceIsolation` closes to the pod. Upstream lets the default-network
/// annotation through (spec/multus.md §9.2 Q8); here the multus namespace is exempt for it and no other. A
/// namespace's own annotations give it no more rights than its pods have.
pub(super) fn isolated(
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
