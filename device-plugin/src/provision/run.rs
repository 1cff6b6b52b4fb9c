//! `sriovdp provision` and `sriovdp plan`: observe, plan, apply, and observe again.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use host::{error::Error, file, lock::Lock, pci::PciAddress, sysfs::Sysfs};

use super::{
    apply::{Hands, apply},
    baseline::{Baseline, Netdev, Original},
    evidence::Evidence,
    observe::{Bound, Function},
    plan::{Decision, Outcome, plan},
    step::Step,
    usage::Usage,
};
use crate::{config::Provision, failure, holder::Holding};

/// How long another run may take until this one gives up.
const OTHER_RUN: Duration = Duration::from_secs(30);

/// Everything that a run needs.
#[expect(missing_debug_implementations, reason = "it holds closures")]
pub struct Provisioner<'a> {
    /// What changes the node.
    pub hands: &'a dyn Hands,
    /// Looks at the node.
    pub look: &'a dyn Fn() -> Result<Vec<Function>, Error>,
    /// Asks the kubelet; an error says why it does not answer.
    pub holdings: &'a dyn Fn() -> Result<Vec<Holding>, String>,
    /// State directory of `sriov`.
    pub state: PathBuf,
    /// This boot.
    pub boot: String,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/sys`.
    pub sysfs: Sysfs,
}

/// What became of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Position of its entry in the file, from 0.
    pub entry: usize,
    /// What people call it.
    pub label: String,
    /// What became of it.
    pub result: Done,
    /// What was or would be changed, in words.
    pub changes: Vec<String>,
    /// The steps; empty if nothing is to be written.
    pub steps: Vec<Step>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It was as configured already.
    Matches,
    /// It is now; in a plan: it would be.
    Changed,
    /// It is in use and is left for a later run.
    Waits(String),
    /// It is not to be changed.
    Refused(String),
    /// It is not meant.
    Skipped(String),
    /// A step did not work.
    Failed(String),
}

impl Report {
    /// Whether the function is not what the configuration asks, and nothing that waiting could help.
    pub fn is_failure(&self) -> bool {
        matches!(self.result, Done::Refused(_) | Done::Failed(_))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, "changed")
    }
}

impl Report {
    /// The same line, before it is done.
    pub fn planned(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.tell(f, "would be changed"))
    }

    fn tell(&self, f: &mut fmt::Formatter<'_>, done: &str) -> fmt::Result {
        let changes = self.changes.join(", ");
        write!(f, "{}: ", self.label)?;
        match &self.result {
            Done::Matches => f.write_str("as configured")?,
            Done::Changed => write!(f, "{done}: {changes}")?,
            Done::Waits(why) => write!(f, "waits until it is idle ({changes}): {why}")?,
            Done::Refused(why) if changes.is_empty() => write!(f, "refused: {why}")?,
            Done::Refused(why) => write!(f, "refused ({changes}): {why}")?,
            Done::Skipped(why) => write!(f, "left alone: {why}")?,
            Done::Failed(why) => write!(f, "failed ({changes}): {why}")?,
        }
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

impl Provisioner<'_> {
    /// What a run would do now. Changes nothing.
    pub fn plan(&self, entries: &[Provision]) -> Result<Vec<Report>, Error> {
        let functions = (self.look)()?;
        let decisions = self.decide(entries, &functions);
        Ok(decisions.into_iter().map(report).collect())
    }

    /// Makes every function what the entries ask, or says why not. One that fails does not keep the
    /// others from being done.
    pub fn run(&self, entries: &[Provision]) -> Result<Vec<Report>, Error> {
        // The Go plugin makes its folders with mode 0600. What is in them says who has a VF, so it must be read.
        for folder in [&self.state, &self.state.join("pci")] {
            file::admit_owner(folder)?;
        }
        let _alone = Lock::exclusive(&self.state.join("provision.lock"), OTHER_RUN)?;
        let functions = (self.look)()?;
        let mut reports = Vec::new();
        for decision in self.decide(entries, &functions) {
            let address = decision.address;
            let mut report = report(decision);
            if report.result == Done::Changed {
                self.change(entries, address, &mut report)?;
            }
            reports.push((address, report));
        }
        let functions = (self.look)()?;
        for (address, report) in &mut reports {
            let function = functions.iter().find(|one| one.bound.address == *address);
            if let (Done::Matches | Done::Changed, Some(function)) = (&report.result, function)
                && let Err(error) = self.record(function, report.result == Done::Changed)
            {
                let why = format!("record what the VFs are: {}", failure::chain(&error));
                report.result = Done::Failed(why);
            }
        }
        Ok(reports.into_iter().map(|(_, report)| report).collect())
    }

    fn decide(&self, entries: &[Provision], functions: &[Function]) -> Vec<Decision> {
        let decisions = plan(entries, functions, &Usage::default());
        let changing: Vec<PciAddress> = decisions
            .iter()
            .filter(|decision| matches!(decision.outcome, Outcome::Change(_)))
            .map(|decision| decision.address)
            .collect();
        if changing.is_empty() {
            // Nobody needs to be asked who uses what.
            return decisions;
        }
        let concerned = functions
            .iter()
            .filter(|function| changing.contains(&function.bound.address));
        let usage = self.usage(concerned.flat_map(everything));
        plan(entries, functions, &usage)
    }

    fn usage<'b>(&self, functions: impl IntoIterator<Item = &'b Bound>) -> Usage {
        let evidence = Evidence {
            holdings: (self.holdings)(),
            state: &self.state,
            boot: &self.boot,
            dev: &self.dev,
            sysfs: &self.sysfs,
        };
        evidence.usage(self.hands, functions)
    }

    /// Does the steps and looks whether they helped: an empty plan is the proof.
    fn change(
        &self,
        entries: &[Provision],
        address: PciAddress,
        report: &mut Report,
    ) -> Result<(), Error> {
        match apply(self.hands, &self.sysfs, &report.steps) {
            Ok(notes) => report.notes.extend(notes),
            Err(failed) => {
                report.result = Done::Failed(failure::chain(&failed));
                return Ok(());
            }
        }
        let left = plan(entries, &(self.look)()?, &Usage::default());
        let left = left.into_iter().find(|left| left.address == address);
        if let Some(left) = left.filter(|left| left.outcome != Outcome::Matches) {
            let mut what: Vec<String> = left.incomplete.into_iter().collect();
            let differing = left.differing.iter();
            what.extend(differing.map(|(address, what)| format!("{address}: {what}")));
            if what.is_empty() {
                what = left.changes;
            }
            report.result = Done::Failed(format!(
                "every step worked, yet this is left, see the kernel log: {}",
                what.join("; ")
            ));
        }
        Ok(())
    }

    /// Records what each free VF of a PF is, unless that is known.
    fn record(&self, pf: &Function, changed: bool) -> Result<(), Error> {
        let Some(sriov) = &pf.sriov else {
            return Ok(());
        };
        let unknown: Vec<&Bound> = sriov
            .vfs
            .values()
            .filter(|vf| changed || !self.is_known(vf))
            .collect();
        if unknown.is_empty() || pf.bound.interface.is_none() {
            return Ok(());
        }
        let usage = self.usage(unknown.iter().copied());
        let attributes = self.hands.attributes(pf.bound.address)?;
        for (index, vf) in &sriov.vfs {
            let is_free = usage.of(vf.address).is_none();
            if !is_free || !unknown.iter().any(|one| one.address == vf.address) {
                continue;
            }
            let netdev = self.hands.interface(vf.address)?;
            let baseline = Baseline {
                driver: vf.driver.clone(),
                original: Original {
                    attributes: attributes.iter().find(|state| state.id == *index).copied(),
                    netdev: netdev.as_ref().map(Netdev::from),
                },
                ..Baseline::new(vf.address, pf.bound.address, &self.boot)
            };
            baseline.write(&self.state)?;
        }
        Ok(())
    }

    fn is_known(&self, vf: &Bound) -> bool {
        let state: &Path = &self.state;
        Baseline::read(state, vf.address, &self.boot, vf.driver.as_ref()).is_some()
    }
}

/// A function and its VFs.
fn everything(function: &Function) -> impl Iterator<Item = &Bound> {
    let vfs = function.sriov.iter().flat_map(|sriov| sriov.vfs.values());
    std::iter::once(&function.bound).chain(vfs)
}

fn report(decision: Decision) -> Report {
    let mut notes = Vec::new();
    let (result, steps) = match decision.outcome {
        Outcome::Matches => (Done::Matches, Vec::new()),
        Outcome::Change(steps) => (Done::Changed, steps),
        Outcome::Forced(steps, users) => {
            notes = users.iter().map(|user| format!("forced: {user}")).collect();
            (Done::Changed, steps)
        }
        Outcome::Waits(why) => (Done::Waits(why), Vec::new()),
        Outcome::Refused(why) => (Done::Refused(why), Vec::new()),
        Outcome::Skipped(why) => (Done::Skipped(why), Vec::new()),
    };
    Report {
        entry: decision.entry,
        label: decision.label,
        result,
        changes: decision.changes,
        steps,
        notes,
    }
}
