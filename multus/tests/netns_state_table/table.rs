//! The table: every state that a rule does not exclude is set up in real folders, carried out, and judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::axes::{Api, Daemon, Folder, Intent, Op, Pod, Record, State, product};
use crate::daemons::Daemons;
use crate::life::{Event, Key, Life, OnSigterm};
use crate::place::Place;
use crate::runtime::Make;
use crate::scene::Scenes;
use crate::verdict::judge;

/// Shown of many.
const SHOWN: usize = 12;

/// The programs under test: shipped, or with a planted fault.
#[derive(Clone, Copy)]
pub(crate) struct Tested {
    pub(crate) multus: Make,
    pub(crate) on_sigterm: OnSigterm,
}

/// What the table found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// States in all.
    pub(crate) product: usize,
    /// States left out, by rule.
    excluded: BTreeMap<&'static str, usize>,
    /// States carried out, by what became of them.
    outcomes: BTreeMap<String, usize>,
    /// Combinations of intent, daemon and folder that are reachable.
    nodes: usize,
    /// What must not be.
    violations: BTreeMap<String, Vec<String>>,
}

/// Carries out all states for which `wanted` holds; stops soon after the first violation if `first` is enough.
pub(crate) fn explore(
    daemons: &Daemons,
    tested: Tested,
    wanted: impl Fn(&State) -> bool,
    first: bool,
) -> Findings {
    let sandbox = host::testing::netns::fresh();
    let netns = sandbox.netns.path().display().to_string();
    let reached = Life::begin(&Place::new(), daemons, &netns, tested.on_sigterm).explore();
    let all: Vec<State> = product().into_iter().filter(wanted).collect();
    let mut findings = Findings {
        product: all.len(),
        nodes: reached.len(),
        ..Findings::default()
    };
    let mut rows = Vec::new();
    for state in all {
        match excluded(&state, &reached) {
            Some(rule) => *findings.excluded.entry(rule).or_default() += 1,
            None => rows.push(state),
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(findings);
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut scenes = Scenes::new(daemons, &netns, tested, &reached);
                while let Some(state) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(&mut scenes, state, tested.multus);
                    let mut found = found.lock().unwrap();
                    *found.outcomes.entry(verdict.outcome).or_default() += 1;
                    for what in verdict.wrong {
                        let place = format!("{state:?}, reached by {:?}", reached.get(&key(state)));
                        found.violations.entry(what).or_default().push(place);
                    }
                    if first && !found.violations.is_empty() {
                        return;
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// The node on which a state is set up. While multus drains, it is still there for the state's own sandbox or, if that
/// has no record, for another one.
pub(crate) fn key(state: &State) -> Key {
    Key {
        intent: state.intent,
        daemon: state.daemon,
        folder: state.folder,
        other: matches!(state.intent, Intent::Drain | Intent::DrainPrimaryOnly),
    }
}

/// The rule by which a state is no row of its own.
fn excluded(state: &State, reached: &BTreeMap<Key, Vec<Event>>) -> Option<&'static str> {
    let calls_another = matches!(state.folder, Folder::PrimaryOnly | Folder::AnotherFirst)
        && state.op != Op::DelOfCrio;
    let own_ways = state.record != Record::None || !state.namespace || state.one_fails;
    if state.daemon != Daemon::Up && state.api != Api::Ok {
        Some("nobody asks the API server: same as API ok")
    } else if matches!(state.op, Op::Gc | Op::Status) && state.pod != Pod::Plain {
        Some("GC and STATUS are about no pod: same as a plain one")
    } else if state.intent == Intent::Removed && state.record != Record::None {
        Some("unreachable: multus leaves with the last record only")
    } else if !reached.contains_key(&key(state)) {
        Some("unreachable: no sequence of events leads to this intent, daemon and folder")
    } else if state.folder == Folder::Nothing && state.op != Op::DelOfCrio {
        Some("neither a primary nor anything of ours: without network whoever was installed")
    } else if state.op == Op::DelOfCrio && matches!(state.folder, Folder::Ours | Folder::Both) {
        Some("CRI-O calls what containerd calls: same as DEL")
    } else if calls_another && own_ways {
        Some("the runtime calls another plugin: same as an unknown sandbox")
    } else {
        None
    }
}

impl Findings {
    /// For people: how many states, which were left out and why, what became of the others.
    pub(crate) fn print(&self) -> String {
        let mut text = format!(
            "{} states; {} reachable combinations of intent, daemon, folder and other pods\n",
            self.product, self.nodes
        );
        for (rule, count) in &self.excluded {
            let _ = writeln!(text, "{count:>8}  not carried out: {rule}");
        }
        let carried_out: usize = self.outcomes.values().sum();
        let _ = writeln!(text, "{carried_out:>8}  carried out:");
        for (outcome, count) in &self.outcomes {
            let _ = writeln!(text, "{count:>14}  {outcome}");
        }
        let violations: usize = self.violations.values().map(Vec::len).sum();
        let _ = writeln!(text, "{violations:>8}  violations");
        for (what, places) in self.violations.iter().take(SHOWN) {
            let _ = writeln!(text, "{:>14}  {what}: {}", places.len(), places[0]);
        }
        text
    }

    /// Whether anything is as it must not be.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether a violation says this.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.violations.keys().any(|what| what.contains(words))
    }
}
