//! ADD: decide, ask, attach, report.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cni::error::code;
use cni::raw::Object;
use cni::result::{AddResult, Interface, IpConfig};
use ipnet::{IpNet, Ipv4Net};
use serde_json::value::RawValue;

use super::{busy, check_readiness, del, replay};
use crate::allowed;
use crate::attach::{Attached, delegate_failure, prepare};
use crate::auxiliary;
use crate::decision::{Decision, decide};
use crate::detach::{detach, target};
use crate::failure::Failure;
use crate::journal::Entry;
use crate::lifecycle::intent::{Intent, Store, UninstallPolicy};
use crate::planner::{Budget, Client};
use crate::primary;
use crate::session::Session;
use crate::wire::{Attachment, Plan, PlanRequest, Report, VERSION};

mod execute;

use execute::{Recording, attach_all, tellable};

/// Serves ADD.
pub(super) fn add(session: &Session<'_>) -> Result<AddResult, Failure> {
    check_readiness(session, code::TRY_AGAIN_LATER)?;
    let mut budget = Budget::ADD;
    let result = match decide(&session.conf, session.pod.as_ref()) {
        Decision::Plain => plain(session, &mut budget)?,
        Decision::Ask(annotations) => match draining(session)? {
            Some(UninstallPolicy::PrimaryOnly) => plain(session, &mut budget)?,
            Some(UninstallPolicy::Block) => return Err(refused_while_draining()),
            None => {
                let request = request(session, annotations)?;
                planned(session, &session.planner(), &request, &mut budget)?
            }
        },
    };
    replay::afterwards(session);
    Ok(result)
}

/// What a pod that needs a plan gets while multus is being removed; `None` while it is not.
fn draining(session: &Session<'_>) -> Result<Option<UninstallPolicy>, Failure> {
    let installed = Store::new(session.journal.root())
        .read()
        .map_err(|error| Failure::io("read whether multus is being removed", &error))?;
    Ok(installed
        .filter(|installed| installed.intent == Intent::Drain)
        .map(|installed| installed.uninstall_policy))
}

fn refused_while_draining() -> Failure {
    Failure::daemon_not_ready(
        "multus is being removed from this node and takes no new networks on: delete the pod, or install multus again",
    )
}

/// Only what the configuration names: no planner, and for the one default network no file either.
fn plain(session: &Session<'_>, budget: &mut Budget) -> Result<AddResult, Failure> {
    let mut attachments = primary::attachments(&session.conf, &session.call.ifname)?;
    allowed::check_attachments(&session.conf, &attachments)?;
    let chain = chain(session, &attachments)?;
    let is_chained = chain.is_some();
    attachments.extend(chain);
    if let [only] = attachments.as_slice() {
        let _gc = budget
            .spend(|deadline| session.journal.lock_out_gc_if_it_ever_ran(left(deadline)))
            .map_err(|error| busy("wait for GC", &error))?;
        if del::has_half_done(session) {
            let _locks = lock(session, budget)?;
            del::clear_half_done(session)?;
        }
        // DEL takes what is kept of a sandbox without record for all there is.
        if !replay::has_kept(session) {
            return default_network(session, only);
        }
    }
    let _locks = lock(session, budget)?;
    // No record may follow the going of multus.
    if is_chained && draining(session)?.is_some() {
        return Err(refused_while_draining());
    }
    del::clear_half_done(session)?;
    let recording = Recording::Needed;
    attach_all(
        session,
        &attachments,
        session.pod.clone(),
        recording,
        |_| Ok(()),
    )
}

/// The auxiliary chain, but not while draining: its record would keep multus on the node for ever.
fn chain(session: &Session<'_>, others: &[Attachment]) -> Result<Option<Attachment>, Failure> {
    let chain = auxiliary::attachment(&session.conf, others)?;
    if chain.is_some() && draining(session)?.is_some() {
        return Ok(None);
    }
    Ok(chain)
}

/// The default network alone, of which no record is needed: DEL without a record goes to it.
fn default_network(session: &Session<'_>, only: &Attachment) -> Result<AddResult, Failure> {
    let ready = prepare(std::slice::from_ref(only))?;
    let runtime = session.runtime_without_cache();
    let entry = Entry::from(only);
    let place = session.place(session.delegate_args(session.pod.as_ref()));
    let added = runtime
        .add(&ready[0].network, &target(&entry, &place))
        .map_err(|error| delegate_failure("attach", only, &error))
        .and_then(|result| tellable(session, result));
    added.inspect_err(|_| {
        // The runtime calls DEL as well; what is left then is its business.
        detach(
            std::slice::from_ref(&entry),
            &place,
            &runtime,
            session.log(),
        );
    })
}

fn request(
    session: &Session<'_>,
    annotations: Option<BTreeMap<String, String>>,
) -> Result<PlanRequest, Failure> {
    let step = "ask for a plan";
    let config = serde_json::from_slice(&session.call.stdin).map_err(|e| Failure::io(step, &e))?;
    let pod = session
        .pod
        .clone()
        .ok_or_else(|| Failure::daemon_not_ready("CNI_ARGS name no pod"))?;
    Ok(PlanRequest {
        version: VERSION,
        container_id: session.call.container_id.clone(),
        netns: session.call.netns.clone(),
        ifname: session.call.ifname.clone(),
        pod,
        config,
        annotations,
        primary: primary::resolved(&session.conf),
        primary_only: false,
    })
}

fn planned(
    session: &Session<'_>,
    planner: &Client,
    request: &PlanRequest,
    budget: &mut Budget,
) -> Result<AddResult, Failure> {
    let plan = planner.plan(request, budget)?;
    for warning in &plan.warnings {
        session.log().warn(warning);
    }
    if plan.attachments.is_empty() {
        return Ok(empty_result(session));
    }
    let _locks = lock(session, budget)?;
    // Under the lock that a leaving multus takes for itself: no record may follow its going.
    if draining(session)?.is_some() {
        return Err(refused_while_draining());
    }
    del::clear_half_done(session)?;
    let outcome = allowed::check_attachments(&session.conf, &plan.attachments)
        .and_then(|()| auxiliary::attachment(&session.conf, &plan.attachments))
        .and_then(|chain| {
            let attachments = [plan.attachments.clone(), chain.into_iter().collect()].concat();
            let recording = if is_as_configured(&attachments, request) {
                Recording::Needless
            } else {
                Recording::Needed
            };
            let pod = Some(plan.pod.clone());
            attach_all(session, &attachments, pod, recording, |attached| {
                planner.report(&report(session, &plan, attached, None), budget)
            })
        });
    outcome.inspect_err(|failure| {
        // For the pod's events. The failure itself is what counts, whether or not this arrives.
        let told = planner.report(&report(session, &plan, &[], Some(failure)), budget);
        if let Err(error) = told {
            session.log().warn(&error.msg);
        }
    })
}

/// Whether a plan is the configured default network and nothing else, so that DEL without a record does
/// the right thing.
fn is_as_configured(attachments: &[Attachment], request: &PlanRequest) -> bool {
    let ([only], Some(primary)) = (attachments, &request.primary) else {
        return false;
    };
    let object = |raw: &RawValue| Object::parse(raw.get().as_bytes()).ok();
    let keep = only.keep_default_route;
    only.ifname == request.ifname
        && object(&only.config) == object(&primary.config)
        && only.cni_args.is_empty()
        && only.device_info.is_none()
        && only.gateways.is_empty()
        && (keep.v4 && keep.v6)
}

fn report(
    session: &Session<'_>,
    plan: &Plan,
    attached: &[Attached],
    failure: Option<&Failure>,
) -> Report {
    Report {
        version: VERSION,
        pod: plan.pod.clone(),
        container_id: session.call.container_id.clone(),
        netns: session.call.netns.clone(),
        attachments: attached
            .iter()
            .map(|attached| attached.report.clone())
            .collect(),
        error: failure.map(Failure::report),
        kubeconfig: Some(&session.conf.kubeconfig)
            .filter(|path| !path.is_empty())
            .map(Into::into),
    }
}

fn lock(session: &Session<'_>, budget: &mut Budget) -> Result<[host::lock::Lock; 2], Failure> {
    let gc = budget
        .spend(|deadline| session.journal.lock_out_gc(left(deadline)))
        .map_err(|error| busy("wait for GC", &error))?;
    let id = &session.call.container_id;
    let own = budget
        .spend(|deadline| session.journal.lock_sandbox(id, left(deadline)))
        .map_err(|error| busy("wait for another command on this sandbox", &error))?;
    Ok([gc, own])
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// What Go multus answers for a pod that is gone (spec/multus.md §5.1, 2).
fn empty_result(session: &Session<'_>) -> AddResult {
    AddResult {
        interfaces: vec![Interface {
            name: session.call.ifname.clone(),
            sandbox: session.call.netns.clone(),
            ..Interface::default()
        }],
        ips: vec![IpConfig {
            interface: None,
            address: IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 32)),
            gateway: Some(std::net::Ipv4Addr::UNSPECIFIED.into()),
        }],
        ..AddResult::default()
    }
}
