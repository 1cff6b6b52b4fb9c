//! ADD: decide, ask, record, attach in order, report; undo everything on any failure.

use std::time::Instant;

use cni::error::code;
use cni::result::{AddResult, Interface, IpConfig};
use host::boot::boot_id;
use host::file::Durability;

use super::{busy, check_readiness, del, replay};
use crate::attach::{Attached, Ready, attach, delegate_failure, prepare};
use crate::decision::{Decision, decide};
use crate::detach::{Place, detach, target};
use crate::failure::Failure;
use crate::journal::record::VERSION as RECORD_VERSION;
use crate::journal::{Entry, Record, Shelf};
use crate::planner::{Budget, Client};
use crate::primary;
use crate::sandbox::Sandbox;
use crate::session::Session;
use crate::wire::{Attachment, Plan, PlanRequest, Report, VERSION};

/// Serves ADD.
pub(super) fn add(session: &Session<'_>) -> Result<AddResult, Failure> {
    check_readiness(session, code::TRY_AGAIN_LATER)?;
    let mut budget = Budget::ADD;
    let result = match decide(&session.conf, session.pod.as_ref()) {
        Decision::Plain => plain(session, &mut budget)?,
        Decision::Ask(annotations) => {
            let request = request(session, annotations)?;
            planned(session, &session.planner(), &request, &mut budget)?
        }
    };
    replay::replay(session);
    Ok(result)
}

/// Only what the configuration names: no planner, and for the one default network no file either.
fn plain(session: &Session<'_>, budget: &mut Budget) -> Result<AddResult, Failure> {
    let attachments = primary::attachments(&session.conf, &session.call.ifname)?;
    if let [only] = attachments.as_slice() {
        let _gc = budget
            .spend(|deadline| session.journal.lock_out_gc_if_it_ever_ran(left(deadline)))
            .map_err(|error| busy("wait for GC", &error))?;
        if session.journal.has_record(&session.call.container_id) {
            let _locks = lock(session, budget)?;
            del::clear_half_done(session)?;
        }
        return default_network(session, only);
    }
    let _locks = lock(session, budget)?;
    del::clear_half_done(session)?;
    let (result, _) = attach_all(session, &attachments, session.pod.clone(), |_| Ok(()))?;
    Ok(result)
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
    annotations: Option<std::collections::BTreeMap<String, String>>,
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
    del::clear_half_done(session)?;
    let outcome = attach_all(
        session,
        &plan.attachments,
        Some(plan.pod.clone()),
        |attached| planner.report(&report(session, &plan, attached, None), budget),
    );
    match outcome {
        Ok((result, _)) => Ok(result),
        Err(failure) => {
            // For the pod's events. The failure itself is what counts, whether or not this arrives.
            let attached = Vec::new();
            let told = planner.report(&report(session, &plan, &attached, Some(&failure)), budget);
            if let Err(error) = told {
                session.log().warn(&error.msg);
            }
            Err(failure)
        }
    }
}

/// Records, attaches all in order, and calls `accept` at the end. After any failure, everything is
/// undone; what could not be undone stays recorded for DEL.
fn attach_all(
    session: &Session<'_>,
    attachments: &[Attachment],
    pod: Option<crate::wire::PodRef>,
    accept: impl FnOnce(&[Attached]) -> Result<(), Failure>,
) -> Result<(AddResult, Vec<Attached>), Failure> {
    let ready = prepare(attachments)?;
    let netns = &session.call.netns;
    let mut sandbox = Sandbox::open(netns).map_err(|error| {
        let msg = cni::error::chain(&error);
        Failure::new(
            code::INVALID_NETNS,
            crate::wire::Reason::DelegateFailed,
            msg,
        )
    })?;
    let args = session.delegate_args(pod.as_ref());
    let record = record(session, attachments, pod, &sandbox, args.clone())?;
    let journal = |error: &crate::journal::JournalError| Failure::io("record the networks", error);
    session
        .journal
        .write(Shelf::Live, &record, Durability::PowerCut)
        .map_err(|error| journal(&error))?;
    let place = session.place(args);
    let mut attached = Vec::new();
    let outcome = run(
        session,
        &ready,
        &record,
        &place,
        &mut sandbox,
        &mut attached,
    )
    .and_then(|()| result_of(session, &ready, &attached))
    .and_then(|result| accept(&attached).map(|()| result));
    match outcome {
        Ok(result) => Ok((result, attached)),
        Err(failure) => Err(undo(session, record, &place, attached.len(), failure)),
    }
}

fn run(
    session: &Session<'_>,
    ready: &[Ready<'_>],
    record: &Record,
    place: &Place,
    sandbox: &mut Sandbox,
    attached: &mut Vec<Attached>,
) -> Result<(), Failure> {
    let runtime = session.runtime();
    for (ready, entry) in ready.iter().zip(&record.attachments) {
        let mut target = target(entry, place);
        for (key, value) in &ready.attachment.cni_args {
            target.args.set(key, value);
        }
        attached.push(attach(ready, &runtime, &target, sandbox)?);
    }
    Ok(())
}

/// The result of the default network, or of the first one.
fn result_of(
    session: &Session<'_>,
    ready: &[Ready<'_>],
    attached: &[Attached],
) -> Result<AddResult, Failure> {
    let default = ready
        .iter()
        .position(|ready| ready.attachment.default)
        .unwrap_or_default();
    let result = attached
        .get(default)
        .map(|attached| attached.result.clone());
    tellable(session, result.unwrap_or_default())
}

/// A result that cannot be told in the runtime's version is a failure while undo is still possible.
fn tellable(session: &Session<'_>, result: AddResult) -> Result<AddResult, Failure> {
    let told = result.convertible_to(session.call.version);
    told.map_err(|error| Failure::io("answer with the default network's result", &error))?;
    Ok(result)
}

/// Deletes the attachment that failed and all before it, in reverse order.
fn undo(
    session: &Session<'_>,
    mut record: Record,
    place: &Place,
    attached: usize,
    mut failure: Failure,
) -> Failure {
    let begun = (attached + 1).min(record.attachments.len());
    record.attachments.truncate(begun);
    let remaining = detach(
        &record.attachments,
        place,
        &session.runtime(),
        session.log(),
    );
    let kept = if remaining.is_empty() {
        session
            .journal
            .remove(Shelf::Live, &record.container_id)
            .map(drop)
    } else {
        let names: Vec<_> = remaining.iter().map(|r| r.failure.msg.as_str()).collect();
        failure.msg = format!(
            "{} (undo is not complete: {})",
            failure.msg,
            names.join(" / ")
        );
        record.attachments = remaining
            .into_iter()
            .map(|remaining| remaining.entry)
            .collect();
        session
            .journal
            .write(Shelf::Live, &record, Durability::Process)
    };
    if let Err(error) = kept {
        // The first version of the record still stands: DEL repeats what was undone, harmlessly.
        session.log().warn(&cni::error::chain(&error));
    }
    failure
}

fn record(
    session: &Session<'_>,
    attachments: &[Attachment],
    pod: Option<crate::wire::PodRef>,
    sandbox: &Sandbox,
    cni_args: Vec<(String, String)>,
) -> Result<Record, Failure> {
    let step = "record the networks";
    Ok(Record {
        version: RECORD_VERSION,
        container_id: session.call.container_id.clone(),
        netns: session.call.netns.clone(),
        ifname: session.call.ifname.clone(),
        network: session.call.name.clone(),
        pod,
        boot_id: boot_id(&session.node.proc).map_err(|error| Failure::io(step, &error))?,
        namespace: Some(
            sandbox
                .identity()
                .map_err(|error| Failure::io(step, &error))?,
        ),
        created: session.node.now,
        cni_args,
        attachments: attachments.iter().map(Entry::from).collect(),
        tries: 0,
        tried: 0,
    })
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

fn left(deadline: Instant) -> std::time::Duration {
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
            address: ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(
                std::net::Ipv4Addr::UNSPECIFIED,
                32,
            )),
            gateway: Some(std::net::Ipv4Addr::UNSPECIFIED.into()),
        }],
        ..AddResult::default()
    }
}
