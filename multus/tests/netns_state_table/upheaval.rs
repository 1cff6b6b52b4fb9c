//! Installation, healing and removal killed before each of their changes: the node's own crash points.

use crate::axes::{Daemon, Folder, Intent, Op, Pod};
use crate::crash::Crashes;
use crate::daemons::Daemons;
use crate::kill::{Ended, before_change};
use crate::life::{Event, Life, intent};
use crate::place::{OURS, PRIMARY_TEXT, Place};
use crate::runtime::{Call, Choice, call, choose, shipped};
use multus::guard::Guard;
use multus_plugin::lifecycle::intent::UninstallPolicy;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Install,
    Upgrade,
    HealRemoved,
    HealChanged,
    Drain,
    Uninstall,
}

const ALL: [Work; 6] = [
    Work::Install,
    Work::Upgrade,
    Work::HealRemoved,
    Work::HealChanged,
    Work::Drain,
    Work::Uninstall,
];

/// Kills all of them at every point.
pub(crate) fn explore(daemons: &Daemons) -> Crashes {
    let sandbox = host::testing::netns::fresh();
    let netns = sandbox.netns.path().display().to_string();
    let place = Place::new();
    let mut found = Crashes::default();
    for work in ALL {
        let life = || Life::begin(&place, daemons, &netns, Guard::leave);
        found.each(
            &format!("{work:?}"),
            || {
                prepare(&mut life(), work);
                place.connect(&daemons.socket_folder(Daemon::Up, crate::axes::Api::Ok));
            },
            || carry_out(&Life::on(&place, daemons, &netns), work),
            || after(&Life::on(&place, daemons, &netns), work),
        );
    }
    found
}

/// Whether the daemon's end makes any change to a node that serves.
pub(crate) fn sigterm_changes(daemons: &Daemons) -> Ended {
    let place = Place::new();
    let mut life = Life::begin(&place, daemons, "", Guard::leave);
    life.go(&[Event::Install]);
    before_change(1, || life.guard().leave())
}

fn prepare(life: &mut Life<'_>, work: Work) {
    let place = life.place;
    place.put("programs/plugin", "the plugin");
    if work == Work::Install {
        return;
    }
    life.go(&[Event::Install]);
    match work {
        Work::Upgrade => place.put("programs/plugin", "a newer plugin"),
        Work::HealRemoved => place.remove(OURS),
        Work::HealChanged => place.put("net.d/05-b.conflist", &PRIMARY_TEXT.replace("cbr0", "b")),
        _ => {}
    }
}

fn carry_out(life: &Life<'_>, work: Work) {
    match work {
        Work::Install | Work::Upgrade => life.install(),
        Work::HealRemoved | Work::HealChanged => drop(life.guard().heal().unwrap()),
        Work::Drain => life.guard().drain(),
        Work::Uninstall => life.uninstall(UninstallPolicy::Block),
    }
}

fn after(life: &Life<'_>, work: Work) -> Vec<String> {
    let place = life.place;
    let mut wrong = plain_pod(life);
    // The daemon comes again, or the admin does; what is done already is not done twice.
    let over = matches!(work, Work::Drain | Work::Uninstall) && intent(place) == Intent::Removed;
    if !over {
        carry_out(life, work);
    }
    // The daemon's end, where there is one.
    life.guard().leave();
    wrong.extend(plain_pod(life));
    let key = life.key();
    let ours = place.ours();
    if matches!(work, Work::Drain | Work::Uninstall) {
        if !ours.is_empty() || key.folder != Folder::PrimaryOnly {
            wrong.push(format!("{ours:?} is left on a node that multus has left"));
        }
    } else if key.intent != Intent::Serve || key.folder != Folder::Both {
        wrong.push(format!("{key:?} instead of an installed multus"));
    } else if work == Work::HealChanged && !has_primary(place, "05-b.conflist") {
        wrong.push("the changed primary is not followed".to_owned());
    }
    wrong
}

fn has_primary(place: &Place, name: &str) -> bool {
    let bytes = host::file::read_text(&place.path(OURS)).unwrap();
    bytes.is_some_and(|text| text.contains(name))
}

/// Whoever is called, a plain pod comes and goes.
fn plain_pod(life: &Life<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let choice = choose(life.place);
    if matches!(choice, Choice::Nobody(_)) {
        wrong.push(format!("no configuration: {choice:?}"));
    }
    for (op, wanted) in [(Op::Add, ["primary eth0"].as_slice()), (Op::Del, &[])] {
        let what = Call {
            op,
            container: "c2",
            pod: Pod::Plain,
            netns: life.netns,
            valid: &[],
        };
        let answer = call(life.place, shipped, &choice, &what);
        let attached = life.place.attached("c2");
        if answer.is_err() || attached != wanted {
            wrong.push(format!("{op:?} of a plain pod: {answer:?}, {attached:?}"));
        }
    }
    wrong
}
