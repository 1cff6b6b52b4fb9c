//! The steps that make one function what its entry asks, and whom they disturb.
//!
//! Order matters: MTU and link of the PF first, because a driver of VFs (igbvf) finds its PF only when that is
//! up, and a VF's MTU may not be above its PF's; then the number of VFs, then their drivers, then their MTU.

use std::collections::BTreeMap;

use host::pci::PciAddress;

use super::{has, wanted};
use crate::{
    config::{Count, Driver, Group, Provision, Target, is_userspace},
    provision::{
        observe::{Bound, Function, Sriov},
        step::{Attribute, LinkChange, Owner, Step, Value},
    },
};

/// All that has to be done.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<String>,
    pub(super) incomplete: Option<String>,
    pub(super) differing: BTreeMap<PciAddress, String>,
    /// Functions that must be idle, and for what.
    pub(super) disturbs: Vec<(Bound, String)>,
}

/// What an entry asks of a function; an error says why it is impossible.
pub(super) fn of(entry: &Provision, function: &Function) -> Result<Asked, String> {
    let mut asked = Asked::default();
    match (&entry.target, &function.sriov) {
        (Target::Pf { count, groups }, Some(sriov)) => {
            asked.pf(entry, function, sriov, (*count, groups))?;
        }
        (Target::Pf { .. }, None) => {
            return Err(
                "can have no VFs: its driver offers no SR-IOV, or firmware has it off".into(),
            );
        }
        (Target::Itself(driver), sriov) => {
            if let Some(sriov) = sriov.as_ref().filter(|sriov| sriov.count > 0) {
                return Err(format!("is a PF with {} VFs: select it by pf", sriov.count));
            }
            loaded(function, [driver])?;
            let owner = Owner::Function(function.bound.address, name(&function.bound));
            asked.function(&function.bound, owner, entry.mtu, Some(driver), "it");
        }
    }
    Ok(asked)
}

impl Asked {
    fn pf(
        &mut self,
        entry: &Provision,
        function: &Function,
        sriov: &Sriov,
        (count, groups): (Option<Count>, &[Group]),
    ) -> Result<(), String> {
        if sriov.switchdev {
            return Err(
                "is in switchdev mode, which is not supported: set it to legacy mode".into(),
            );
        }
        let wanted = wanted(count, sriov)?;
        let drivers = groups.iter().map(|group| &group.driver);
        loaded(function, drivers)?;
        let last = groups
            .iter()
            .flat_map(|group| &group.vfs)
            .map(|range| *range.end());
        if let Some(last) = last.max().filter(|last| *last >= wanted)
            && count != Some(Count::Max)
        {
            return Err(format!("groups name vf {last}, but it has {wanted} VFs"));
        }
        self.link(entry.mtu, function, sriov)?;
        let kept = wanted == sriov.count;
        let quiet = !kept && is_quiet(entry, sriov, wanted);
        if !kept {
            self.count(function, sriov, wanted, quiet);
        }
        for index in 0..wanted {
            let owner = Owner::Vf(sriov.vf(function.bound.address, index));
            let what = format!("vf {index}");
            match sriov.vfs.get(&index) {
                _ if !kept => self.new_vf(entry, owner, index, quiet, sriov.autoprobe),
                Some(bound) => {
                    self.function(bound, owner, entry.mtu, entry.driver(index), &what);
                }
                None => return Err(format!("{what} is not in sysfs: its VFs are being changed")),
            }
        }
        self.autoprobe(function, sriov);
        Ok(())
    }

    /// MTU and link of the PF.
    fn link(&mut self, mtu: Option<u32>, function: &Function, sriov: &Sriov) -> Result<(), String> {
        let Some(interface) = &function.bound.interface else {
            return match mtu {
                Some(_) => Err("has no interface on the host, so no MTU can be set".into()),
                None => Ok(()),
            };
        };
        let owner = Owner::Function(function.bound.address, Some(interface.name.clone()));
        if let Some(mtu) = mtu.filter(|mtu| interface.mtu != Some(*mtu)) {
            self.steps
                .push(Step::Link(owner.clone(), LinkChange::Mtu(mtu)));
            self.changes.push(format!("MTU {mtu}"));
            // Drivers reset the port for it.
            self.disturb(sriov.vfs.values(), &format!("setting the MTU to {mtu}"));
        }
        if !interface.up {
            self.steps.push(Step::Link(owner, LinkChange::Up));
            self.changes.push("up".to_owned());
        }
        Ok(())
    }

    /// The number of VFs. The kernel goes from one non-zero number to another only through 0.
    fn count(&mut self, function: &Function, sriov: &Sriov, wanted: u32, quiet: bool) {
        let change = format!("sriov_numvfs {} -> {wanted}", sriov.count);
        let pf = Owner::Function(function.bound.address, name(&function.bound));
        let write = |name, value: &str| {
            Step::Write(
                Attribute::Of(pf.clone(), name),
                Value::Text(value.to_owned()),
            )
        };
        if sriov.count != 0 {
            self.steps.push(write("sriov_numvfs", "0"));
            self.disturb(sriov.vfs.values(), &change);
        }
        if quiet {
            self.steps.push(write("sriov_drivers_autoprobe", "0"));
        }
        if wanted != 0 {
            self.steps.push(write("sriov_numvfs", &wanted.to_string()));
        }
        if quiet {
            self.steps.push(write("sriov_drivers_autoprobe", "1"));
        }
        self.changes.push(change);
        self.incomplete = Some(format!(
            "its PF has {} VFs, {wanted} are asked",
            sriov.count
        ));
    }

    /// A VF that the steps before bring into being, without a driver if it is made quietly.
    fn new_vf(
        &mut self,
        entry: &Provision,
        owner: Owner,
        index: u32,
        quiet: bool,
        autoprobe: bool,
    ) {
        let driver = entry.driver(index);
        let kernel = match driver {
            Some(Driver::Named(name)) => {
                self.steps.extend([overriding(&owner, name), probe(&owner)]);
                self.changes.push(format!("vf {index} to {name}"));
                !is_userspace(name)
            }
            Some(Driver::Default) => {
                if quiet || !autoprobe {
                    self.steps.push(probe(&owner));
                }
                true
            }
            None => {
                // The administrator's own switch is not overruled for a VF that no group has.
                if quiet {
                    self.steps.push(probe(&owner));
                }
                autoprobe
            }
        };
        if let Some(mtu) = entry.mtu.filter(|_| kernel) {
            self.steps.push(Step::Link(owner, LinkChange::Mtu(mtu)));
        }
    }

    /// Driver and MTU of a function that exists.
    fn function(
        &mut self,
        bound: &Bound,
        owner: Owner,
        mtu: Option<u32>,
        driver: Option<&Driver>,
        what: &str,
    ) {
        let rebound = driver.filter(|driver| !has(bound, driver));
        if let Some(driver) = rebound {
            let change = format!("{what} to {driver}");
            match driver {
                Driver::Named(name) => self.steps.push(overriding(&owner, name)),
                Driver::Default if bound.overridden.is_some() => {
                    self.steps.push(overriding(&owner, "\n"));
                }
                Driver::Default => {}
            }
            if bound.driver.is_some() {
                self.steps.push(unbind(&owner));
            }
            if bound.driver.is_some() && bound.resettable {
                // What the last user left there must not reach the next one.
                let reset = Attribute::Of(owner.clone(), "reset");
                self.steps
                    .push(Step::Write(reset, Value::Text("1".to_owned())));
            }
            self.steps.push(probe(&owner));
            let now = bound.driver.as_deref().unwrap_or("none");
            self.differing.insert(
                bound.address,
                format!("its driver is {now}, {driver} is asked"),
            );
            self.disturb([bound], &format!("giving {what} to {driver}"));
            self.changes.push(change);
        }
        let now = bound.interface.as_ref().and_then(|interface| interface.mtu);
        let becomes_kernel = rebound.is_some_and(|driver| match driver {
            Driver::Default => true,
            Driver::Named(name) => !is_userspace(name),
        });
        let differs = match rebound {
            Some(_) => becomes_kernel,
            None => now.is_some_and(|now| Some(now) != mtu),
        };
        if let Some(mtu) = mtu.filter(|_| differs) {
            self.steps.push(Step::Link(owner, LinkChange::Mtu(mtu)));
            if rebound.is_none() {
                let shown = now.map_or("unknown".to_owned(), |now| now.to_string());
                self.differing
                    .insert(bound.address, format!("its MTU is {shown}, {mtu} is asked"));
                self.disturb([bound], &format!("setting the MTU of {what} to {mtu}"));
                self.changes.push(format!("{what}: MTU {mtu}"));
            }
        }
    }

    /// A VF without override gets a driver by a probe only while the PF's switch is on.
    fn autoprobe(&mut self, function: &Function, sriov: &Sriov) {
        let Some(first) = self.steps.iter().position(|step| {
            matches!(step, Step::Write(Attribute::Probe, Value::AddressOf(owner))
                if !self.steps.iter().any(|step| is_override(step, owner)))
        }) else {
            return;
        };
        if !sriov.autoprobe {
            let pf = Owner::Function(function.bound.address, name(&function.bound));
            let on = Step::Write(
                Attribute::Of(pf, "sriov_drivers_autoprobe"),
                Value::Text("1".to_owned()),
            );
            self.steps.insert(first, on);
        }
    }

    fn disturb<'a>(&mut self, functions: impl IntoIterator<Item = &'a Bound>, what: &str) {
        let disturbed = functions
            .into_iter()
            .map(|bound| (bound.clone(), what.to_owned()));
        self.disturbs.extend(disturbed);
    }
}

/// Whether new VFs are made without a driver first, so that none is taken away from them again.
fn is_quiet(entry: &Provision, sriov: &Sriov, wanted: u32) -> bool {
    let Target::Pf { groups, .. } = &entry.target else {
        return false;
    };
    let named = |group: &Group| {
        matches!(group.driver, Driver::Named(_))
            && group.vfs.iter().any(|range| *range.start() < wanted)
    };
    sriov.autoprobe && groups.iter().any(named)
}

fn loaded<'a>(
    function: &Function,
    drivers: impl IntoIterator<Item = &'a Driver>,
) -> Result<(), String> {
    for driver in drivers {
        if let Driver::Named(name) = driver
            && !function.drivers.contains(name)
        {
            return Err(format!(
                "driver {name} is not loaded: load its kernel module first"
            ));
        }
    }
    Ok(())
}

fn name(bound: &Bound) -> Option<String> {
    bound
        .interface
        .as_ref()
        .map(|interface| interface.name.clone())
}

fn overriding(owner: &Owner, driver: &str) -> Step {
    let to = Attribute::Of(owner.clone(), "driver_override");
    Step::Write(to, Value::Text(driver.to_owned()))
}

fn is_override(step: &Step, owner: &Owner) -> bool {
    matches!(step, Step::Write(Attribute::Of(of, "driver_override"), Value::Text(text))
        if of == owner && text != "\n")
}

fn unbind(owner: &Owner) -> Step {
    let from = Attribute::Of(owner.clone(), "driver/unbind");
    Step::Write(from, Value::AddressOf(owner.clone()))
}

fn probe(owner: &Owner) -> Step {
    Step::Write(Attribute::Probe, Value::AddressOf(owner.clone()))
}
