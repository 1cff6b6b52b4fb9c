//! What must hold of each row of the table.

use multus_plugin::wire::Reason;

use crate::axes::{Api, Daemon, Folder, Intent, Op, Pod, Record, State};
use crate::place::{OURS, Place, Snapshot};
use crate::runtime::{Answer, Call, Choice, Make, call, shipped};
use crate::scene::{SANDBOX, Scenes, drains, has_other};

/// Failures of a secondary network's DEL that the runtime is told of (design §2).
const TRIES: usize = 3;

/// One row's.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// For the count.
    pub(crate) outcome: String,
    pub(crate) wrong: Vec<String>,
}

struct Row<'a> {
    place: &'a Place,
    state: &'a State,
    make: Make,
    choice: Choice,
    netns: String,
    before: Snapshot,
    wrong: Vec<String>,
}

/// Sets a state up, carries its operation out, and says what was wrong with that.
pub(crate) fn judge(scenes: &mut Scenes<'_>, state: &State, make: Make) -> Verdict {
    let choice = scenes.set(state);
    let mut row = Row {
        place: scenes.place(),
        state,
        make,
        choice,
        netns: scenes.netns(state),
        before: scenes.place().snapshot(),
        wrong: Vec::new(),
    };
    let outcome = match state.op {
        Op::Add if state.pod == Pod::Plain => row.plain_add(),
        Op::Add => row.asking_add(),
        Op::Del | Op::DelOfCrio => row.del(),
        Op::Check => row.check(),
        Op::Gc => row.gc(),
        Op::Status => row.status(),
    };
    row.configuration();
    Verdict {
        outcome: format!("{:?}: {outcome}", state.op),
        wrong: row.wrong,
    }
}

impl Row<'_> {
    fn call(&self) -> Answer {
        self.call_of(self.state.op, self.make)
    }

    fn call_of(&self, op: Op, make: Make) -> Answer {
        let call_of = Call {
            op,
            container: SANDBOX,
            pod: self.state.pod,
            netns: &self.netns,
            valid: if self.state.namespace {
                &[SANDBOX]
            } else {
                &[]
            },
        };
        call(self.place, make, &self.choice, &call_of)
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    fn is_ours(&self) -> bool {
        matches!(self.choice, Choice::Ours(_))
    }

    /// Repeats a call until it succeeds; how often it failed, and the last failure.
    fn until_success(&mut self) -> (usize, Answer) {
        let mut answer = self.call();
        for failed in 0..TRIES {
            let Err((_, msg, details)) = &answer else {
                return (failed, answer);
            };
            let text = format!("{msg} {details}").to_ascii_lowercase();
            // Runtimes take such a DEL for done.
            if text.contains("not found") || text.contains("no such file") {
                self.wrong(format!("an error has words of success: {text}"));
            }
            answer = self.call();
        }
        (TRIES, answer)
    }

    fn plain_add(&mut self) -> String {
        let (failed, answer) = self.until_success();
        let attached = self.place.attached(SANDBOX);
        if let (Err(error), true) = (&answer, self.state.namespace) {
            self.wrong(format!("a plain ADD is blocked: {error:?}"));
        }
        // What an earlier ADD left and cannot be deleted waits for the replay.
        let kept = self.state.one_fails && self.place.shelf("kept") == [SANDBOX];
        let counted = attached
            .iter()
            .filter(|network| !(kept && *network == "one net1"));
        if answer.is_ok() && !counted.eq(Pod::Plain.wanted()) {
            self.wrong(format!("a plain pod has {attached:?}"));
        }
        if failed > 0 && !(self.state.one_fails && self.state.record != Record::None) {
            self.wrong("a plain ADD is refused at first");
        }
        if self.state.record == Record::None && self.changed("state") {
            self.wrong("a plain ADD writes into the state folder");
        }
        if failed == 0 {
            "plain, at once"
        } else {
            "plain, after what an earlier ADD left was given up"
        }
        .to_owned()
    }

    fn asking_add(&mut self) -> String {
        let had = self.place.attached(SANDBOX);
        let answer = self.call();
        let attached = self.place.attached(SANDBOX);
        let State {
            intent,
            folder,
            pod,
            ..
        } = *self.state;
        match answer {
            Ok(()) if !self.is_ours() => {
                if intent == Intent::Serve && folder != Folder::AnotherFirst {
                    self.wrong(format!(
                        "a pod that asks for networks runs with {attached:?} alone"
                    ));
                }
                "default network alone: the configuration is another's".to_owned()
            }
            Ok(()) if intent == Intent::DrainPrimaryOnly => {
                if attached != Pod::Plain.wanted() {
                    self.wrong(format!("draining with primaryOnly attaches {attached:?}"));
                }
                "default network alone: the admin's wish while draining".to_owned()
            }
            Ok(()) => {
                if attached != pod.wanted() {
                    self.wrong(format!(
                        "a pod runs with {attached:?} instead of all its networks"
                    ));
                }
                "every network attached".to_owned()
            }
            Err((code, msg, details)) => {
                if self.must_attach() {
                    self.wrong(format!(
                        "an ADD is refused that can be served: {code} {msg}"
                    ));
                }
                if Reason::of_details(&details).is_none() {
                    self.wrong(format!(
                        "a refusal without a reason: {code} {msg} {details:?}"
                    ));
                }
                self.is_undone(&had, &attached);
                let reason = details.split(':').next().unwrap_or_default();
                format!("refused, nothing attached: {reason}")
            }
        }
    }

    fn must_attach(&self) -> bool {
        let state = self.state;
        let uses_one = state.pod != Pod::DefaultNetworkAnnotation || state.record != Record::None;
        state.intent == Intent::Serve
            && state.daemon == Daemon::Up
            && state.namespace
            && !(state.one_fails && uses_one)
            && (state.pod != Pod::KeyAbsent || state.api == Api::Ok)
    }

    /// After a failed ADD there is no more than before, and DEL takes all of it away.
    fn is_undone(&mut self, had: &[String], attached: &[String]) {
        if attached.iter().any(|network| !had.contains(network)) {
            self.wrong(format!("a failed ADD leaves {attached:?}"));
        }
        self.place.remove("one-fails");
        let answer = self.call_of(Op::Del, shipped);
        let left = self.place.attached(SANDBOX);
        if answer.is_err() || !left.is_empty() {
            self.wrong(format!(
                "DEL after a failed ADD leaves {left:?}: {answer:?}"
            ));
        }
    }

    fn del(&mut self) -> String {
        let (failed, answer) = self.until_success();
        let left = self.place.attached(SANDBOX);
        let state = *self.state;
        // What nobody can name any more is given up as well.
        let nameless = state.folder == Folder::Nothing;
        match answer {
            Err(error) => self.wrong(format!("DEL is blocked: {error:?}")),
            Ok(()) if failed > 0 && !state.one_fails && !nameless => {
                self.wrong("DEL fails at first");
            }
            Ok(()) => {}
        }
        if !self.is_ours() {
            return "another plugin's".to_owned();
        } else if nameless {
            return "done, the default network's configuration is gone".to_owned();
        }
        let kept = self.place.shelf("kept");
        if left
            .iter()
            .any(|network| network != "one net1" || kept != [SANDBOX])
        {
            self.wrong(format!("DEL succeeds and leaves {left:?}, kept {kept:?}"));
        }
        if self.place.shelf("journal").iter().any(|id| id == SANDBOX) {
            self.wrong("DEL succeeds and leaves a record");
        }
        let gone = self.is_gone();
        match failed {
            _ if gone => "done, and multus has left the node",
            0 => "done at once",
            _ => "done, what is stuck is kept for later",
        }
        .to_owned()
    }

    /// While draining, the last record takes everything of ours with it, and not before.
    fn is_gone(&mut self) -> bool {
        let place = self.place;
        let records = ["journal", "kept", "damaged"]
            .iter()
            .any(|shelf| !place.shelf(shelf).is_empty());
        let rest: Vec<_> = [OURS, "bin/multus", "bin/multus-shim", "state"]
            .into_iter()
            .filter(|path| place.has(path))
            .collect();
        let state = self.state;
        let may_leave = drains(state) && !records && has_other(state);
        if may_leave && state.op != Op::DelOfCrio && !rest.is_empty() {
            self.wrong(format!("the last record is gone and {rest:?} is left"));
        }
        if may_leave && place.has(OURS) {
            self.wrong("the last record is gone and our configuration is left");
        }
        if !may_leave && state.intent != Intent::Removed && rest.len() < 4 {
            self.wrong(format!("only {rest:?} is left although multus is needed"));
        }
        may_leave
    }

    fn check(&mut self) -> String {
        let before = self.place.attached(SANDBOX);
        let answer = self.call();
        self.unchanged("CHECK", &before);
        let known = matches!(self.state.record, Record::None | Record::Own);
        if known && let Err(error) = &answer {
            self.wrong(format!("CHECK fails: {error:?}"));
        }
        told(&answer)
    }

    fn status(&mut self) -> String {
        let before = self.place.attached(SANDBOX);
        let answer = self.call();
        self.unchanged("STATUS", &before);
        if let Err(error) = &answer {
            self.wrong(format!(
                "STATUS fails although a plain ADD works: {error:?}"
            ));
        }
        told(&answer)
    }

    fn gc(&mut self) -> String {
        let before = self.place.attached(SANDBOX);
        let answer = self.call();
        let attached = self.place.attached(SANDBOX);
        let state = *self.state;
        if state.namespace && self.is_ours() && attached != before {
            self.wrong(format!(
                "GC takes from a valid sandbox: {before:?} to {attached:?}"
            ));
        }
        let left_over = !state.namespace && state.record == Record::Own && !state.one_fails;
        if left_over && self.is_ours() && !attached.is_empty() {
            self.wrong(format!("GC leaves {attached:?} of a sandbox that is gone"));
        }
        let blameless = state.record != Record::Torn && !state.one_fails;
        if blameless && let Err(error) = &answer {
            self.wrong(format!("GC fails: {error:?}"));
        }
        if attached == before {
            told(&answer)
        } else {
            "collected what a gone sandbox left".to_owned()
        }
    }

    fn unchanged(&mut self, verb: &str, before: &[String]) {
        if self.place.attached(SANDBOX) != before || self.changed("state") || self.changed("net.d")
        {
            self.wrong(format!("{verb} changes something"));
        }
    }

    fn changed(&self, folder: &str) -> bool {
        let of = |snapshot: &Snapshot| -> Snapshot {
            let files = snapshot.iter().filter(|(path, _)| path.starts_with(folder));
            files
                .map(|(path, content)| (path.clone(), content.clone()))
                .collect()
        };
        of(&self.before) != of(&self.place.snapshot())
    }

    /// Our configuration is whole or not there.
    fn configuration(&mut self) {
        if self.place.has(OURS) && cni::conf_dir::load(&self.place.path(OURS)).is_err() {
            self.wrong("our configuration is there and not whole");
        }
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Ok(()) => "success".to_owned(),
        Err((_, _, details)) => format!("error: {}", details.split(':').next().unwrap_or_default()),
    }
}
