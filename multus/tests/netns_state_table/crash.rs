//! The axis of crash points: ADD, DEL and GC of the plugin killed before each of their changes, and what the runtime does
//! next.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::axes::{Api, Daemon, Folder, Intent, Op, Pod, Record, State};
use crate::daemons::Daemons;
use crate::kill::{Ended, before_change, changes};
use crate::life::{Event, Key, Life, guard};
use crate::place::{OURS, Place};
use crate::runtime::{Answer, Call, Choice, call, choose};
use crate::scene::{SANDBOX, Scenes, drains};
use crate::table::Tested;

/// More changes than any command makes: one that does not end is a mistake of the table.
const MOST: usize = 400;

/// What was found at crash points.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Points by what was killed.
    points: BTreeMap<String, usize>,
    pub(crate) wrong: Vec<String>,
}

impl Crashes {
    /// For people.
    pub(crate) fn print(&self) -> String {
        let all: usize = self.points.values().sum();
        let mut text = format!("{all} crash points\n");
        for (what, count) in &self.points {
            let _ = writeln!(text, "{count:>8}  {what}");
        }
        let _ = writeln!(text, "{:>8}  violations", self.wrong.len());
        for wrong in self.wrong.iter().take(12) {
            let _ = writeln!(text, "  {wrong}");
        }
        text
    }

    /// Kills `work` before each change in turn; `ready` sets the folders up, `after` judges what is left.
    pub(crate) fn each(
        &mut self,
        what: &str,
        mut ready: impl FnMut(),
        work: impl Fn(),
        mut after: impl FnMut() -> Vec<String>,
    ) {
        for nth in 1..MOST {
            ready();
            let Ended::Killed(name) = before_change(nth, &work) else {
                assert!(nth > 1, "{what} changes nothing");
                return;
            };
            *self.points.entry(what.to_owned()).or_default() += 1;
            let wrong = after().into_iter();
            self.wrong.extend(
                wrong.map(|wrong| format!("{what} killed before change {nth}, {name}: {wrong}")),
            );
        }
        panic!("{what} does not end");
    }
}

/// Whose ADD, DEL and GC are killed: sandboxes of a node on which everything works.
pub(crate) fn states() -> Vec<State> {
    let healthy = State {
        intent: Intent::Serve,
        daemon: Daemon::Up,
        api: Api::Ok,
        folder: Folder::Both,
        pod: Pod::Annotated,
        record: Record::None,
        namespace: true,
        one_fails: false,
        op: Op::Add,
    };
    let mut all = Vec::new();
    for pod in [
        Pod::Annotated,
        Pod::DefaultNetworks,
        Pod::DefaultNetworkAnnotation,
    ] {
        all.push(State { pod, ..healthy });
    }
    for record in [Record::Own, Record::Torn, Record::Go] {
        let known = State { record, ..healthy };
        let (pod, op, intent) = (Pod::Plain, Op::Del, Intent::Drain);
        all.push(known);
        all.push(State { pod, ..known });
        all.push(State { op, ..known });
        all.push(State {
            intent,
            op,
            ..known
        });
    }
    all.push(State {
        record: Record::Own,
        one_fails: true,
        op: Op::Del,
        ..healthy
    });
    all.push(State {
        record: Record::Own,
        namespace: false,
        op: Op::Gc,
        ..healthy
    });
    all
}

/// Kills the commands of these states at every point.
pub(crate) fn explore(daemons: &Daemons, tested: Tested, states: &[State], first: bool) -> Crashes {
    let sandbox = host::testing::netns::fresh();
    let netns = sandbox.netns.path().display().to_string();
    let reached = Life::begin(&Place::new(), daemons, &netns, tested.on_sigterm).explore();
    let mut found = Crashes::default();
    for state in states {
        crash(daemons, tested, &netns, &reached, state, &mut found);
        if first && !found.wrong.is_empty() {
            break;
        }
    }
    found
}

/// All changes of the ADD of a pod with three networks.
pub(crate) fn changes_of_an_add(daemons: &Daemons, tested: Tested) -> Vec<&'static str> {
    let sandbox = host::testing::netns::fresh();
    let netns = sandbox.netns.path().display().to_string();
    let reached = Life::begin(&Place::new(), daemons, &netns, tested.on_sigterm).explore();
    let mut scenes = Scenes::new(daemons, &netns, tested, &reached);
    let state = states()[0];
    drop(scenes.set(&state));
    let (place, op) = (scenes.place(), state.op);
    changes(MOST, || {
        let _done = runtime_calls(place, tested, &netns, &state, op, SANDBOX);
    })
}

fn crash(
    daemons: &Daemons,
    tested: Tested,
    netns: &str,
    reached: &BTreeMap<Key, Vec<Event>>,
    state: &State,
    found: &mut Crashes,
) {
    let scenes = std::cell::RefCell::new(Scenes::new(daemons, netns, tested, reached));
    let what = format!(
        "{:?} of a pod {:?}, record {:?}, {:?}{}",
        state.op,
        state.pod,
        state.record,
        state.intent,
        if state.one_fails { ", one fails" } else { "" }
    );
    found.each(
        &what,
        || drop(scenes.borrow_mut().set(state)),
        || {
            let scenes = scenes.borrow();
            let _killed = runtime_calls(
                scenes.place(),
                tested,
                &scenes.netns(state),
                state,
                state.op,
                SANDBOX,
            );
        },
        || {
            let scenes = scenes.borrow();
            Aftermath {
                place: scenes.place(),
                netns: scenes.netns(state),
                state,
                tested,
                wrong: Vec::new(),
            }
            .judge()
        },
    );
}

fn runtime_calls(
    place: &Place,
    tested: Tested,
    netns: &str,
    state: &State,
    op: Op,
    container: &str,
) -> Answer {
    let pod = if container == SANDBOX {
        state.pod
    } else {
        Pod::Plain
    };
    let valid = if state.namespace {
        [SANDBOX].as_slice()
    } else {
        &[]
    };
    let what = Call {
        op,
        container,
        pod,
        netns,
        valid,
    };
    call(place, tested.multus, &choose(place), &what)
}

/// What a killed command leaves, and what follows.
struct Aftermath<'a> {
    place: &'a Place,
    netns: String,
    state: &'a State,
    tested: Tested,
    wrong: Vec<String>,
}

impl Aftermath<'_> {
    fn judge(mut self) -> Vec<String> {
        if self.place.has(OURS) && matches!(choose(self.place), Choice::Nobody(_)) {
            self.wrong
                .push("our configuration is there and not whole".to_owned());
        }
        let crashed = self.place.snapshot();
        self.another_plain_pod_comes_and_goes();
        if self.state.op == Op::Add {
            self.place.go_back_to(&crashed);
            self.the_add_is_repeated();
        }
        self.place.go_back_to(&crashed);
        self.the_sandbox_is_deleted();
        self.wrong
    }

    fn call(&self, op: Op, container: &str) -> Answer {
        runtime_calls(
            self.place,
            self.tested,
            &self.netns,
            self.state,
            op,
            container,
        )
    }

    fn another_plain_pod_comes_and_goes(&mut self) {
        let wanted = match self.state.pod {
            Pod::DefaultNetworks => Pod::DefaultNetworks.wanted(),
            _ => Pod::Plain.wanted(),
        };
        for (op, wanted) in [(Op::Add, wanted), (Op::Del, &[])] {
            let answer = self.call(op, "c2");
            let attached = self.place.attached("c2");
            if answer.is_err() || attached != wanted {
                let text = format!("{op:?} of another plain pod: {answer:?}, {attached:?}");
                self.wrong.push(text);
            }
        }
    }

    fn the_add_is_repeated(&mut self) {
        let answer = self.call(Op::Add, SANDBOX);
        let attached = self.place.attached(SANDBOX);
        if answer.is_err() || attached != self.state.pod.wanted() {
            let text = format!("the repeated ADD: {answer:?}, {attached:?}");
            self.wrong.push(text);
        }
    }

    /// What the table has a stuck delegate keep is gone when it works again.
    fn the_sandbox_is_deleted(&mut self) {
        self.place.remove("one-fails");
        let answer = self.call(Op::Del, SANDBOX);
        let attached = self.place.attached(SANDBOX);
        if answer.is_err() || !attached.is_empty() {
            let text = format!("DEL: {answer:?}, leaves {attached:?}");
            self.wrong.push(text);
        }
        let left: Vec<_> = ["journal", "kept", "results"]
            .iter()
            .flat_map(|shelf| self.place.shelf(shelf))
            // A temporary file of a killed process is nobody's.
            .filter(|name| name.contains(SANDBOX) && !name.starts_with('.'))
            .collect();
        if !left.is_empty() {
            self.wrong.push(format!("DEL leaves {left:?}"));
        }
        // A daemon that still runs looks once more when it ends.
        guard(self.place, self.state.pod == Pod::DefaultNetworks).leave();
        let ours = self.place.ours();
        if drains(self.state) && self.place.shelf("damaged").is_empty() && !ours.is_empty() {
            self.wrong
                .push(format!("the last record is gone and {ours:?} is left"));
        }
    }
}
