//! The planner: from a request, a pod, NADs, devices and a configuration to the attachments of a
//! sandbox. Pure: the same planner serves the daemon, the one-shot commands and the tests.
//!
//! Invariant: nothing that was asked for is left out silently. What cannot be had is a [`Refusal`],
//! what is doubtful a [`Warning`].

use std::collections::BTreeSet;
use std::path::Path;

use cni::config::NetworkList;
use multus_plugin::config::NetConf;
use multus_plugin::wire::{Plan, PlanRequest, PodRef, Reason, VERSION};

use crate::known::{Known, Need};

mod attachment;
mod claims;
mod device;
mod namespace;
mod network;
mod refusal;
mod route;
mod wanted;

pub use refusal::Refusal;
pub use wanted::is_plain;

use wanted::Wanted;

/// What is planned for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The plugin's request.
    pub request: &'a PlanRequest,
    /// Its configuration, the daemon's policy laid over it.
    pub conf: &'a NetConf,
    /// The pod.
    pub pod: &'a PodFacts,
    /// DeviceInfo folder, with `dp` and `cni` below it.
    pub devinfo_dir: &'a Path,
}

/// What planning reads of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    /// Name, and UID as the API server has it where that is known.
    pub pod: PodRef,
    /// The annotation `k8s.v1.cni.cncf.io/networks`.
    pub networks: Option<String>,
    /// The annotation `v1.multus-cni.io/default-network`.
    pub default_network: Option<String>,
}

/// Something doubtful that does not stop the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Word of the closed list, for the event.
    pub reason: Reason,
    /// One sentence: what, and what to do.
    pub text: String,
}

/// What the planner says.
#[derive(Debug)]
pub enum Answer {
    /// The plan; the warnings are in it too, as text.
    Plan(Plan, Vec<Warning>),
    /// Look these up, add them to [`Known`], ask again.
    Needs(BTreeSet<Need>),
}

/// A wanted network and its configuration.
#[derive(Debug)]
struct Network {
    wanted: Wanted,
    /// `<namespace>/<nad>`, or the network's own name.
    name: String,
    list: NetworkList,
    /// The NAD's resource.
    resource: Option<String>,
}

/// Plans, as far as `known` allows.
pub fn plan(question: &Question<'_>, known: &Known) -> Result<Answer, Refusal> {
    let mut warnings = Vec::new();
    let namespace = match namespace::of(question, known)? {
        Ok(facts) => facts,
        Err(need) => return Ok(Answer::Needs(BTreeSet::from([need]))),
    };
    let wanted = wanted::of(question, &namespace, &mut warnings)?;
    let mut needs = BTreeSet::new();
    let resolved: Vec<Result<Option<Network>, Refusal>> = wanted
        .into_iter()
        .map(|wanted| network::resolve(wanted, question, known, &mut needs))
        .collect();
    if !needs.is_empty() {
        return Ok(Answer::Needs(needs));
    }
    let resolved: Vec<Option<Network>> = resolved.into_iter().collect::<Result<_, _>>()?;
    let mut networks: Vec<Network> = resolved.into_iter().flatten().collect();
    let ifnames = wanted::interface_names(&question.request.ifname, &networks)?;
    let routes = route::of(&networks)?;

    let needs = device::needs(question, &networks, known)?;
    if !needs.is_empty() {
        return Ok(Answer::Needs(needs));
    }
    let devices = device::assign(&mut networks, &question.pod.pod, known, &mut warnings)?;

    let mut attachments = Vec::with_capacity(networks.len());
    for (((network, ifname), device), route) in
        networks.into_iter().zip(ifnames).zip(devices).zip(routes)
    {
        let built = attachment::build(question, network, ifname, device, route, &mut warnings)?;
        attachments.push(built);
    }
    if question.conf.strict
        && let Some(warning) = warnings.first()
    {
        return Err(Refusal::Strict {
            reason: warning.reason,
            text: warning.text.clone(),
        });
    }
    let plan = Plan {
        version: VERSION,
        pod: question.pod.pod.clone(),
        attachments,
        warnings: warnings.iter().map(|w| w.text.clone()).collect(),
    };
    Ok(Answer::Plan(plan, warnings))
}

#[cfg(test)]
mod tests;
