//! Setting up a state: the node as its life made it, and a sandbox with what the state folder knows of it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::axes::{Api, Daemon, Folder, Intent, Op, Pod, Record, State};
use crate::daemons::Daemons;
use crate::life::{Event, Key, Life, OTHER};
use crate::place::{Place, Snapshot};
use crate::runtime::{Call, Choice, call, choose, shipped};
use crate::table::{Tested, key};

/// The sandbox of the table.
pub(crate) const SANDBOX: &str = "c1";

/// One worker's folders, and what it has set up before.
pub(crate) struct Scenes<'a> {
    place: Place,
    daemons: &'a Daemons,
    netns: &'a str,
    tested: Tested,
    reached: &'a BTreeMap<Key, Vec<Event>>,
    nodes: BTreeMap<(Key, bool, bool), Snapshot>,
    /// What an ADD with three networks leaves in the state folder: in a namespace that lives, and in one that does not.
    attached: [Snapshot; 2],
    /// Our configuration as CRI-O keeps it from the ADD.
    cached: Choice,
}

impl<'a> Scenes<'a> {
    pub(crate) fn new(
        daemons: &'a Daemons,
        netns: &'a str,
        tested: Tested,
        reached: &'a BTreeMap<Key, Vec<Event>>,
    ) -> Self {
        let place = Place::new();
        let gone = host::testing::netns::fresh();
        let path = gone.netns.path().display().to_string();
        let attached = [netns, &path].map(|netns| attach(&place, daemons, netns));
        let cached = choose(&place);
        Self {
            place,
            daemons,
            netns,
            tested,
            reached,
            nodes: BTreeMap::new(),
            attached,
            cached,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Brings the folders to this state; returns whom the runtime calls.
    pub(crate) fn set(&mut self, state: &State) -> Choice {
        let node = (
            key(state),
            state.pod == Pod::DefaultNetworks,
            state.op == Op::DelOfCrio,
        );
        let (place, daemons, netns, tested) = (&self.place, self.daemons, self.netns, self.tested);
        let reached = self.reached;
        let snapshot = self.nodes.entry(node).or_insert_with(|| {
            let mut life = Life::begin(place, daemons, netns, tested.on_sigterm);
            (life.defaults, life.crio) = (node.1, node.2);
            life.go(&reached[&node.0]);
            place.snapshot()
        });
        place.restore(snapshot);
        place.connect(&daemons.socket_folder(state.daemon, state.api));
        self.sandbox(state);
        if state.one_fails {
            place.put("one-fails", "");
        }
        if state.op == Op::DelOfCrio {
            self.cached.clone()
        } else {
            choose(place)
        }
    }

    fn sandbox(&self, state: &State) {
        let place = &self.place;
        match state.record {
            Record::None => {
                if state.op != Op::Add {
                    place.put("log", "+ c1 primary eth0\n");
                }
                return;
            }
            Record::Own | Record::Torn => {
                place.overlay(&self.attached[usize::from(!state.namespace)]);
                place.put("log", "+ c1 primary eth0\n+ c1 one net1\n+ c1 two net2\n");
            }
            Record::Go => {
                place.put("state/c1", &go_file());
                place.put("log", "+ c1 primary eth0\n+ c1 one net1\n");
            }
        }
        // The sandbox's own record keeps a draining multus here.
        place.remove(&format!("state/journal/{OTHER}"));
        if state.record == Record::Torn {
            let path = place.path("state/journal/c1");
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }
    }

    /// CNI_NETNS of the state.
    pub(crate) fn netns(&self, state: &State) -> String {
        if state.namespace {
            self.netns.to_owned()
        } else {
            self.place.path("no-namespace").display().to_string()
        }
    }
}

/// Records and cached results of a sandbox with three networks, made by the shipped plugin.
pub(crate) fn attach(place: &Place, daemons: &Daemons, netns: &str) -> Snapshot {
    let mut life = Life::begin(place, daemons, netns, |_| {});
    life.go(&[Event::Install]);
    let before = place.snapshot();
    place.connect(&daemons.socket_folder(Daemon::Up, Api::Ok));
    let what = Call {
        op: Op::Add,
        container: SANDBOX,
        pod: Pod::Annotated,
        netns,
        valid: &[],
    };
    call(place, shipped, &choose(place), &what).unwrap();
    let mut made = place.snapshot();
    made.retain(|path, _| !before.contains_key(path) && path.starts_with("state"));
    made
}

/// What Go multus keeps of the default network and `d/one` (base64 of their configurations).
fn go_file() -> String {
    json!([
        {"Conf": {"ipam": {}}, "ConfList": {}, "Name": "",
            "Bytes": "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoiY2JyMCIsInR5cGUiOiJwcmltYXJ5In0="},
        {"Conf": {"ipam": {}}, "ConfList": {}, "Name": "d/one",
            "Bytes": "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibiIsInR5cGUiOiJvbmUifQ=="},
    ])
    .to_string()
}

/// Whether multus is on its way out.
pub(crate) fn drains(state: &State) -> bool {
    matches!(state.intent, Intent::Drain | Intent::DrainPrimaryOnly)
}

/// Whether another configuration remains when ours goes.
pub(crate) fn has_other(state: &State) -> bool {
    matches!(state.folder, Folder::Both | Folder::AnotherFirst)
}
