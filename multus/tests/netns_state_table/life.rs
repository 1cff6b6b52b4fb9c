//! A node's life: installation, daemons that come and go, the end, and what other programs do to the configuration
//! folder. Which combinations of intent, daemon and folder are reachable is found by walking through it with the shipped
//! functions on real folders.

use std::collections::{BTreeMap, VecDeque};

use clap::Parser;
use multus::args::{Cli, Command};
use multus::guard::Guard;
use multus::install;
use multus_plugin::admin;
use multus_plugin::lifecycle::intent::{Intent as Installed, Store, UninstallPolicy};
use serde_json::{Map, Value, json};

use crate::axes::{Api, Daemon, Folder, Intent, Op, Pod};
use crate::daemons::Daemons;
use crate::place::{ANOTHER, OURS, PRIMARY, PRIMARY_TEXT, Place, Snapshot};
use crate::runtime::{Call, Choice, call, choose, node, shipped};

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Install,
    DaemonUp,
    OldDaemonUp,
    Sigterm,
    Sigkill,
    DaemonSetDeleted,
    Uninstall,
    UninstallPrimaryOnly,
    /// Another pod with networks comes, and goes.
    SandboxUp,
    SandboxDown,
    PlainSandboxDown,
    /// The primary plugin is upgraded: its file is away for a while.
    PrimaryAway,
    PrimaryBack,
    /// Another program puts its configuration first.
    AnotherComes,
    AnotherGoes,
}

const EVENTS: [Event; 15] = [
    Event::Install,
    Event::DaemonUp,
    Event::OldDaemonUp,
    Event::Sigterm,
    Event::Sigkill,
    Event::DaemonSetDeleted,
    Event::Uninstall,
    Event::UninstallPrimaryOnly,
    Event::SandboxUp,
    Event::SandboxDown,
    Event::PlainSandboxDown,
    Event::PrimaryAway,
    Event::PrimaryBack,
    Event::AnotherComes,
    Event::AnotherGoes,
];

/// A pod of the node that is none of the table's.
pub(crate) const OTHER: &str = "c9";

/// What tells one state of a node from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) intent: Intent,
    pub(crate) daemon: Daemon,
    pub(crate) folder: Folder,
    /// [`OTHER`] has a record.
    pub(crate) other: bool,
}

/// What the daemon does at SIGTERM: the shipped [`Guard::leave`], or a planted fault.
pub(crate) type OnSigterm = fn(&Guard);

/// A node that lives in a place.
pub(crate) struct Life<'a> {
    pub(crate) place: &'a Place,
    pub(crate) daemons: &'a Daemons,
    pub(crate) netns: &'a str,
    pub(crate) on_sigterm: OnSigterm,
    /// `defaultNetworks` are configured.
    pub(crate) defaults: bool,
    /// CRI-O runs, and has a plain sandbox of ours in its cache.
    pub(crate) crio: bool,
    daemon: Daemon,
}

impl<'a> Life<'a> {
    pub(crate) fn begin(
        place: &'a Place,
        daemons: &'a Daemons,
        netns: &'a str,
        on_sigterm: OnSigterm,
    ) -> Self {
        place.clear();
        Self {
            on_sigterm,
            ..Self::on(place, daemons, netns)
        }
    }

    /// Goes on where a node is.
    pub(crate) fn on(place: &'a Place, daemons: &'a Daemons, netns: &'a str) -> Self {
        Self {
            place,
            daemons,
            netns,
            on_sigterm: Guard::leave,
            defaults: false,
            crio: false,
            daemon: Daemon::Down,
        }
    }

    /// Every state that is reachable once multus has been installed, with the shortest way to it.
    pub(crate) fn explore(&mut self) -> BTreeMap<Key, Vec<Event>> {
        let first = vec![Event::Install];
        self.go(&first);
        let mut reached = BTreeMap::from([(self.key(), first.clone())]);
        let mut open: VecDeque<(Snapshot, Daemon, Vec<Event>)> =
            VecDeque::from([(self.place.snapshot(), self.daemon, first)]);
        while let Some((snapshot, daemon, way)) = open.pop_front() {
            for event in EVENTS {
                self.place.restore(&snapshot);
                self.daemon = daemon;
                if !self.happens(event) {
                    continue;
                }
                let mut way = way.clone();
                way.push(event);
                if let std::collections::btree_map::Entry::Vacant(new) = reached.entry(self.key()) {
                    new.insert(way.clone());
                    open.push_back((self.place.snapshot(), self.daemon, way));
                }
            }
        }
        reached
    }

    /// Goes a way from the beginning.
    pub(crate) fn go(&mut self, way: &[Event]) {
        self.place.clear();
        self.daemon = Daemon::Down;
        for event in way {
            assert!(self.happens(*event), "{event:?} of {way:?}");
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key {
            intent: intent(self.place),
            daemon: self.daemon,
            folder: folder(self.place),
            other: self.place.shelf("journal").iter().any(|id| id == OTHER),
        }
    }

    /// False if it cannot happen now.
    pub(crate) fn happens(&mut self, event: Event) -> bool {
        let key = self.key();
        let place = self.place;
        let installed = key.intent != Intent::Removed;
        let running = key.daemon != Daemon::Down;
        let serving = key.intent == Intent::Serve;
        let possible = match event {
            Event::Install => !installed && place.has(PRIMARY),
            Event::DaemonUp | Event::OldDaemonUp => installed && !running,
            Event::Sigterm | Event::Sigkill => running,
            Event::DaemonSetDeleted => running && serving,
            Event::Uninstall | Event::UninstallPrimaryOnly => serving,
            Event::SandboxUp => {
                key.daemon == Daemon::Up && serving && !key.other && is_first(place)
            }
            Event::SandboxDown => key.other,
            Event::PlainSandboxDown => true,
            Event::PrimaryAway => place.has(PRIMARY),
            Event::PrimaryBack => !place.has(PRIMARY),
            Event::AnotherComes => !place.has(ANOTHER),
            Event::AnotherGoes => place.has(ANOTHER),
        };
        if possible {
            self.carry_out(event);
            // The shipped daemon watches the folder.
            if self.daemon != Daemon::Down {
                self.guard().heal().unwrap();
            }
        }
        possible
    }

    fn carry_out(&mut self, event: Event) {
        let place = self.place;
        match event {
            Event::Install => self.install(),
            Event::DaemonUp => self.daemon = Daemon::Up,
            Event::OldDaemonUp => self.daemon = Daemon::OldProtocol,
            Event::Sigterm => {
                (self.on_sigterm)(&self.guard());
                self.daemon = Daemon::Down;
            }
            Event::Sigkill => self.daemon = Daemon::Down,
            Event::DaemonSetDeleted => self.guard().drain(),
            Event::Uninstall => self.uninstall(UninstallPolicy::Block),
            Event::UninstallPrimaryOnly => self.uninstall(UninstallPolicy::PrimaryOnly),
            Event::SandboxUp => self.call(Op::Add, OTHER, Pod::Annotated),
            Event::SandboxDown => self.call(Op::Del, OTHER, Pod::Annotated),
            Event::PlainSandboxDown => self.call(Op::Del, "c8", Pod::Plain),
            Event::PrimaryAway => place.remove(PRIMARY),
            Event::PrimaryBack => place.put(PRIMARY, PRIMARY_TEXT),
            Event::AnotherComes => place.put(ANOTHER, &PRIMARY_TEXT.replace("cbr0", "aaa")),
            Event::AnotherGoes => place.remove(ANOTHER),
        }
    }

    fn call(&self, op: Op, container: &str, pod: Pod) {
        let up = self.daemons.socket_folder(self.daemon, Api::Ok);
        self.place.connect(&up);
        let what = Call {
            op,
            container,
            pod,
            netns: self.netns,
            valid: &[],
        };
        let answer = call(self.place, shipped, &choose(self.place), &what);
        assert!(answer.is_ok() || op == Op::Del, "{answer:?}");
    }

    pub(crate) fn guard(&self) -> Guard {
        guard(self.place, self.defaults)
    }

    pub(crate) fn install(&self) {
        let place = self.place;
        if self.crio {
            place.put(
                "runtime/results/multus-cni-network-c1-eth0",
                r#"{"kind":"cniCacheV1","containerId":"c1","config":"eyJwbHVnaW5zIjpbeyJ0eXBlIjoibXVsdHVzIn1dfQ==","ifName":"eth0","networkName":"multus-cni-network"}"#,
            );
        }
        let option = |name: &str, below: &str| format!("--{name}={}", place.path(below).display());
        let words = [
            "multus-daemon".to_owned(),
            "install".to_owned(),
            option("cni-bin-dir", "bin"),
            option("cni-conf-dir", "net.d"),
            option("multus-bin-file", "programs/plugin"),
        ];
        let Some(Command::Install(options)) = Cli::parse_from(words).command else {
            panic!("no installation");
        };
        let keys = keys(place, self.defaults);
        install::install(&options, &keys, &place.path("state")).unwrap();
    }

    pub(crate) fn uninstall(&self, policy: UninstallPolicy) {
        let request = admin::Request {
            task: admin::Task::Uninstall(policy),
            cni_dir: self.place.path("state"),
            path: Vec::new(),
        };
        let what = Call {
            op: Op::Del,
            container: "",
            pod: Pod::Plain,
            netns: "",
            valid: &[],
        };
        admin::run(&request, &node(self.place, &what)).unwrap();
    }
}

/// The daemon's guard of a node.
pub(crate) fn guard(place: &Place, defaults: bool) -> Guard {
    Guard {
        cni_dir: place.path("state"),
        conf_dir: place.path("net.d"),
        daemon: keys(place, defaults),
        runtime_cache: place.path("runtime"),
    }
}

/// The daemon's configuration file.
fn keys(place: &Place, defaults: bool) -> Map<String, Value> {
    let mut keys = json!({
        "cniDir": place.path("state"),
        "binDir": place.path("bin"),
        "daemonSocketDir": place.path("run"),
        "logToStderr": false,
    });
    if defaults {
        keys["defaultNetworks"] = json!(["one"]);
    }
    keys.as_object().unwrap().clone()
}

fn is_first(place: &Place) -> bool {
    matches!(choose(place), Choice::Ours(_))
}

/// What the installation's file says.
pub(crate) fn intent(place: &Place) -> Intent {
    let installed = Store::new(&place.path("state")).read().unwrap();
    match installed.map(|i| (i.intent, i.uninstall_policy)) {
        None => Intent::Removed,
        Some((Installed::Serve, _)) => Intent::Serve,
        Some((Installed::Drain, UninstallPolicy::Block)) => Intent::Drain,
        Some((Installed::Drain, UninstallPolicy::PrimaryOnly)) => Intent::DrainPrimaryOnly,
    }
}

fn folder(place: &Place) -> Folder {
    let ours = place.has(OURS);
    if ours && cni::conf_dir::load(&place.path(OURS)).is_err() {
        Folder::EmptyOurs
    } else if ours && place.has(ANOTHER) {
        Folder::AnotherFirst
    } else {
        match (ours, place.has(PRIMARY) || place.has(ANOTHER)) {
            (true, true) => Folder::Both,
            (true, false) => Folder::Ours,
            (false, true) => Folder::PrimaryOnly,
            (false, false) => Folder::Nothing,
        }
    }
}
