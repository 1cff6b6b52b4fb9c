//! From configuration and observation to steps. Pure; the same plan is printed, done and waited for.

mod steps;

use std::collections::BTreeMap;

use host::pci::PciAddress;

use super::{
    observe::{Bound, Function, Sriov},
    step::Step,
    usage::{Usage, Use},
};
use crate::config::{Count, Driver, OnMismatch, Provision, Selector, Target};

/// What becomes of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Position of the entry in the file, from 0.
    pub entry: usize,
    /// The function.
    pub address: PciAddress,
    /// What people call it.
    pub label: String,
    /// What is to be done, in words; empty if it is as configured.
    pub changes: Vec<String>,
    /// Why the function and all its VFs are not as they are to be, beyond their own changes.
    pub incomplete: Option<String>,
    /// Why single VFs, or the function itself, are not as they are to be.
    pub differing: BTreeMap<PciAddress, String>,
    /// What follows.
    pub outcome: Outcome,
}

/// What follows from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as configured: nothing is written.
    Matches,
    /// These steps.
    Change(Vec<Step>),
    /// These steps, and these users lose their VF.
    Forced(Vec<Step>, Vec<String>),
    /// Not now: in use.
    Waits(String),
    /// Not at all.
    Refused(String),
    /// Not meant, although the entry's selector matches.
    Skipped(String),
}

/// Decides about each function that an entry selects; the first entry counts.
pub fn plan(entries: &[Provision], functions: &[Function], usage: &Usage) -> Vec<Decision> {
    let one = |function: &Function| {
        let entry = entries
            .iter()
            .find(|entry| selects(&entry.selector, function) && concerns(entry, function))?;
        Some(decide(entry, function, usage))
    };
    functions.iter().filter_map(one).collect()
}

/// Whether the selector holds.
fn selects(selector: &Selector, function: &Function) -> bool {
    fn one_of<T: PartialEq>(wanted: &[T], found: Option<&T>) -> bool {
        wanted.is_empty() || found.is_some_and(|found| wanted.contains(found))
    }
    let same_name = |name: &&String, wanted: &String| name.to_lowercase() == wanted.to_lowercase();
    let is_named = function
        .names
        .iter()
        .any(|name| selector.names.iter().any(|wanted| same_name(&name, wanted)));
    one_of(&selector.vendors, Some(&function.vendor))
        && one_of(&selector.devices, Some(&function.device))
        && one_of(&selector.drivers, function.bound.driver.as_ref())
        && one_of(&selector.addresses, Some(&function.bound.address))
        && one_of(&selector.acpi_indexes, function.acpi_index.as_ref())
        && (selector.names.is_empty() || is_named)
        && one_of(&selector.link_types, function.link_type.as_ref())
}

/// A selector by kind takes only network functions, and of these what can have VFs; a function that is
/// named must.
fn concerns(entry: &Provision, function: &Function) -> bool {
    let fits = match entry.target {
        Target::Pf { .. } => function.sriov.is_some(),
        Target::Itself(_) => true,
    };
    entry.selector.names_functions() || (fits && function.is_network)
}

fn decide(entry: &Provision, function: &Function, usage: &Usage) -> Decision {
    let mut decision = Decision {
        entry: entry.index,
        address: function.bound.address,
        label: function.label(),
        changes: Vec::new(),
        incomplete: None,
        differing: BTreeMap::new(),
        outcome: Outcome::Matches,
    };
    let asked = match steps::of(entry, function) {
        Ok(asked) => asked,
        Err(problem) => {
            decision.incomplete = Some(problem.clone());
            decision.outcome = Outcome::Refused(problem);
            return decision;
        }
    };
    if asked.steps.is_empty() {
        return decision;
    }
    if let Some(nic) = &function.bound.host_nic
        && !allowed(entry, &function.bound)
    {
        let text = format!(
            "the node's default route goes through {nic}: name it in allowHostNics if it is meant all the same"
        );
        decision.outcome = if entry.selector.names_functions() {
            Outcome::Refused(text)
        } else {
            Outcome::Skipped(text)
        };
        return decision;
    }
    decision.changes = asked.changes;
    decision.incomplete = asked.incomplete;
    decision.differing = asked.differing;
    let disturbed = || asked.disturbs.iter().map(|(bound, what)| (bound, what));
    let own = disturbed().find(|(bound, _)| bound.host_nic.is_some() && !allowed(entry, bound));
    if let Some((bound, what)) = own {
        decision.outcome = Outcome::Refused(format!(
            "{what} would disturb {}, through which the node's default route goes",
            bound.address
        ));
        return decision;
    }
    let holder = usage.of(function.bound.address).filter(|user| {
        matches!(
            user,
            Use::Pod(_) | Use::Ledger { .. } | Use::GoLedger { .. }
        )
    });
    let pf = holder.filter(|_| matches!(entry.target, Target::Pf { .. }));
    let mut users: Vec<String> = pf
        .iter()
        .map(|user| format!("the PF itself: {user}"))
        .collect();
    users.extend(disturbed().filter_map(|(bound, what)| {
        let user = usage.of(bound.address)?;
        Some(format!("{what} would disturb {}: {user}", bound.address))
    }));
    decision.outcome = match (users.is_empty(), entry.on_mismatch) {
        (true, _) => Outcome::Change(asked.steps),
        (false, OnMismatch::Force) => Outcome::Forced(asked.steps, users),
        (false, OnMismatch::WhenIdle) => Outcome::Waits(users.join("; ")),
        (false, OnMismatch::Refuse) => Outcome::Refused(users.join("; ")),
    };
    decision
}

fn allowed(entry: &Provision, bound: &Bound) -> bool {
    let names = &entry.allow_host_nics;
    names.iter().any(|name| {
        let interface = bound.interface.as_ref();
        interface.is_some_and(|interface| interface.name == *name)
            || bound.address.to_string() == *name
    })
}

/// How many VFs the PF is to have; an error says why that cannot be.
fn wanted(count: Option<Count>, sriov: &Sriov) -> Result<u32, String> {
    match count {
        None => Ok(sriov.count),
        Some(Count::Max) => Ok(sriov.total),
        Some(Count::Exactly(count)) if count <= sriov.total => Ok(count),
        Some(Count::Exactly(count)) => Err(format!(
            "{count} VFs asked, it allows {} (sriov_totalvfs)",
            sriov.total
        )),
    }
}

/// Whether a function has the driver that it is to have.
fn has(bound: &Bound, driver: &Driver) -> bool {
    match driver {
        Driver::Named(name) => bound.driver.as_ref() == Some(name),
        Driver::Default => bound.driver.is_some() && !bound.is_userspace(),
    }
}
