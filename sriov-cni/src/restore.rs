//! Undo, carried out: rounds of observe, plan, apply, until nothing is left to do (see [`crate::undo`]).

use std::path::Path;
use std::time::Duration;

use host::error::Kind;

use crate::apply::{self, Lesson, Subject, attributes};
use crate::error::{Error, Result};
use crate::log::Log;
use crate::node::{Function, Node};
use crate::observe;
use crate::record::{Owner, Record};
use crate::step::Step;
use crate::undo::{self, Observed, Progress};

/// Each round can only be needed because of what the one before it brought to light; three kinds of that exist.
const ROUNDS: usize = 4;

/// What came of it.
#[derive(Debug, Default)]
pub struct Restored {
    /// What failed; everything else was attempted. A retry may help.
    pub errors: Vec<Error>,
    /// What cannot be done now and will be possible later: it is left to the next ADD of the VF, or to a repair.
    pub pending: Vec<String>,
}

impl Restored {
    /// The VF is what it was.
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && self.pending.is_empty()
    }
}

/// Makes the VF what the record says it was. `pod` is the record's namespace, if it still exists. An interface that is
/// nowhere (its namespace is dying) is waited for, at most `within`.
pub fn restore(
    node: &mut dyn Node,
    record: &Record,
    pod: Option<&Path>,
    within: Duration,
    log: &Log,
) -> Restored {
    match rounds(node, record, pod, within, log) {
        Ok(restored) => restored,
        Err(error) => Restored {
            errors: vec![error],
            pending: Vec::new(),
        },
    }
}

fn rounds(
    node: &mut dyn Node,
    record: &Record,
    pod: Option<&Path>,
    within: Duration,
    log: &Log,
) -> Result<Restored> {
    let mut observed = observe::before_undo(node, record, pod)?;
    if undo::is_away(record, &observed) {
        node.await_netdev(record.vf, within)?;
        observed = observe::before_undo(node, record, pod)?;
    }
    let mut progress = Progress::default();
    let mut errors = Vec::new();
    for _ in 0..ROUNDS {
        let steps = undo::plan(record, &observed, progress);
        let Some(function) = observed.function.clone().filter(|_| !steps.is_empty()) else {
            errors.clear();
            break;
        };
        errors = round(node, record, &function, pod, &steps, &mut progress, log);
        observed = observe::before_undo(node, record, pod)?;
    }
    if errors.is_empty() {
        errors.extend(undo::plan(record, &observed, progress).first().map(|step| {
            Error::NetdevDiffers {
                step: step.to_string(),
                vf: record.vf,
                told: "another state, however often it is set".to_owned(),
            }
        }));
    }
    Ok(Restored {
        pending: pending(record, &observed),
        errors,
    })
}

/// Attempts every step. What a later step needs from a failed one fails too, and is told once.
fn round(
    node: &mut dyn Node,
    record: &Record,
    function: &Function,
    pod: Option<&Path>,
    steps: &[Step],
    progress: &mut Progress,
    log: &Log,
) -> Vec<Error> {
    let subject = Subject {
        vf: record.vf,
        function,
        pod,
    };
    let mut errors = Vec::new();
    for step in steps {
        log.debug(&format!("undo: {step} VF {}", record.vf));
        match apply::apply(node, &subject, step) {
            Ok(lesson) => note(progress, record, step, lesson),
            Err(error) => {
                note(progress, record, step, Lesson::None);
                match step {
                    // The others of the message are not to be lost because of one.
                    Step::Attributes(wanted) => {
                        errors.extend(attributes::set_each(node, &subject, wanted));
                    }
                    // The pod can be without them, and so can the host. A function that has no reset never gets one.
                    Step::ResetFunction | Step::AddAltNames(_) | Step::HostUp => {
                        log.warning(&cni::error::chain(&error));
                    }
                    _ => errors.push(error),
                }
            }
        }
    }
    errors
}

fn note(progress: &mut Progress, record: &Record, step: &Step, lesson: Lesson) {
    match step {
        Step::ClearPfAddress => {
            progress.cleared = true;
            progress.clear_refused = lesson == Lesson::ClearRefused;
        }
        Step::Attributes(attributes) => {
            progress.untold = true;
            let before = record.original.attributes.as_ref().map(|state| state.mac);
            progress.pinned |= attributes
                .iter()
                .any(|attribute| matches!(attribute, host::netlink::vf::VfAttribute::Mac(mac) if Some(*mac) == before));
        }
        Step::ResetFunction => progress.reset = true,
        Step::AddAltNames(_) => progress.alt_names = true,
        Step::HostUp => progress.up = true,
        _ => {}
    }
}

fn pending(record: &Record, observed: &Observed) -> Vec<String> {
    let mut pending = Vec::new();
    if observed.is_out_of_control {
        pending.push(format!(
            "the PF of VF {} has no interface on the host, or does not list the VF",
            record.vf
        ));
    }
    if undo::is_away(record, observed) {
        pending.push(format!(
            "the interface of VF {} is not back on the host yet",
            record.vf
        ));
    }
    if let (Some(original), true) = (&record.original.netdev, observed.name_is_taken) {
        pending.push(format!(
            "name {} of VF {} is taken on the host",
            original.name, record.vf
        ));
    }
    pending
}

/// The record's namespace, if it exists and is still the same one. `also` is another path that may lead to it.
pub fn reachable<'a>(
    node: &mut dyn Node,
    record: &'a Record,
    boot: &str,
    also: Option<&'a Path>,
) -> Result<Option<&'a Path>> {
    reachable_owner(node, record.owner.as_ref(), boot, also)
}

/// The owner's namespace, likewise.
pub fn reachable_owner<'a>(
    node: &mut dyn Node,
    owner: Option<&'a Owner>,
    boot: &str,
    also: Option<&'a Path>,
) -> Result<Option<&'a Path>> {
    let Some(owner) = owner else {
        // The Go plugin notes no identity: the path that the runtime names is all there is.
        return match also {
            Some(path) => Ok(node.namespace(path)?.map(|_| path)),
            None => Ok(None),
        };
    };
    if owner.boot.as_deref().is_some_and(|of| of != boot) {
        return Ok(None);
    }
    for path in [Some(owner.netns.as_path()), also].into_iter().flatten() {
        let there = match node.namespace(path) {
            Ok(there) => there,
            // Another process's namespace may not be opened; then it is not ours.
            Err(error) if error.kind() == Kind::Denied => None,
            Err(error) => return Err(error.into()),
        };
        match (there, owner.identity) {
            (Some(there), Some(owner)) if owner.is_same(&there) => return Ok(Some(path)),
            (Some(_), None) if path == owner.netns => return Ok(Some(path)),
            _ => {}
        }
    }
    Ok(None)
}
