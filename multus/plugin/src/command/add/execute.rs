//! Running the attachments of one ADD: record, attach in order, undo.

use cni::error::code;
use cni::result::AddResult;
use host::boot::boot_id;
use host::file::Durability;

use crate::attach::{Attached, Ready, attach, check_interface, prepare};
use crate::detach::{Place, detach, target};
use crate::failure::Failure;
use crate::journal::record::VERSION as RECORD_VERSION;
use crate::journal::{Entry, Record, Shelf};
use crate::sandbox::Sandbox;
use crate::session::Session;
use crate::wire::{Attachment, PodRef, Reason};

/// Whether DEL needs a record of what is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// There is more than the configured default network.
    Needed,
    /// There is not: DEL without a record goes to it.
    Needless,
}

/// How far an ADD came.
#[derive(Debug, Default)]
struct Progress {
    attached: Vec<Attached>,
    /// Delegates called, the one that failed included.
    begun: usize,
}

/// Records, attaches all in order, and calls `accept` at the end. After any failure, everything is
/// undone; what could not be undone stays recorded for DEL.
pub(super) fn attach_all(
    session: &Session<'_>,
    attachments: &[Attachment],
    pod: Option<PodRef>,
    recording: Recording,
    accept: impl FnOnce(&[Attached]) -> Result<(), Failure>,
) -> Result<AddResult, Failure> {
    let ready = prepare(attachments)?;
    let netns = &session.call.netns;
    let mut sandbox = Sandbox::open(netns).map_err(|error| {
        let msg = cni::error::chain(&error);
        Failure::new(code::INVALID_NETNS, Reason::DelegateFailed, msg)
    })?;
    let args = session.delegate_args(pod.as_ref());
    let record = record(session, attachments, pod, &sandbox, args.clone())?;
    if recording == Recording::Needed {
        let written = session
            .journal
            .write(Shelf::Live, &record, Durability::PowerCut);
        written.map_err(|error| Failure::io("record the networks", &error))?;
    }
    let place = session.place(args);
    let mut progress = Progress::default();
    let outcome = run(
        session,
        &ready,
        &record,
        &place,
        &mut sandbox,
        &mut progress,
    )
    .and_then(|()| result_of(session, &ready, &progress.attached))
    .and_then(|result| accept(&progress.attached).map(|()| result));
    outcome.map_err(|failure| undo(session, record, &place, progress.begun, recording, failure))
}

fn run(
    session: &Session<'_>,
    ready: &[Ready<'_>],
    record: &Record,
    place: &Place,
    sandbox: &mut Sandbox,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let runtime = session.runtime();
    for (ready, entry) in ready.iter().zip(&record.attachments) {
        let mut target = target(entry, place);
        for (key, value) in &ready.attachment.cni_args {
            target.args.set(key, value);
        }
        check_interface(ready, sandbox)?;
        session.log().debug(|| {
            let (id, wanted) = (&session.call.container_id, ready.attachment);
            format!("ADD {id}: attach {} to {}", wanted.ifname, wanted.name)
        });
        progress.begun += 1;
        progress
            .attached
            .push(attach(ready, &runtime, &target, sandbox)?);
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
pub(super) fn tellable(session: &Session<'_>, result: AddResult) -> Result<AddResult, Failure> {
    let told = result.convertible_to(session.call.version);
    told.map_err(|error| Failure::io("answer with the default network's result", &error))?;
    Ok(result)
}

/// Deletes all attachments that were begun, in reverse order.
fn undo(
    session: &Session<'_>,
    mut record: Record,
    place: &Place,
    begun: usize,
    recording: Recording,
    mut failure: Failure,
) -> Failure {
    record.attachments.truncate(begun);
    let remaining = detach(
        &record.attachments,
        place,
        &session.runtime(),
        session.log(),
    );
    let kept = if recording == Recording::Needless {
        Ok(())
    } else if remaining.is_empty() {
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
    pod: Option<PodRef>,
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
        failure: None,
    })
}
