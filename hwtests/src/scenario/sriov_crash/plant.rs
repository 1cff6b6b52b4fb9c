//! Faults that are planted to prove that the matrix finds them: each must turn a cell red, and only the fault.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};

use super::{
    cell::{Act, Cell, Column, Kind, Row, Verb},
    lab::Lab,
    seat::Seat,
    situation::Situation,
};
use crate::guest::{cni::Plugin, shell::run};

/// Where `sriov` keeps its state.
const STATE: &str = "/var/lib/cni/sriov";
/// Where it is put aside; no file there is a leftover.
const ASIDE: &str = "/run/sriov-state-aside";

/// A point at which the whole VF is the pod's.
const LATE: &str = "add.after.record-committed";

/// A fault, planted from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The records are lost with the crash.
    RecordsLost,
    /// DEL says success and does nothing.
    DelDoesNothing,
    /// The point does not exist.
    NoSuchPoint,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 3] = [Self::RecordsLost, Self::DelDoesNothing, Self::NoSuchPoint];
}

/// Plays one cell with a fault on a VF that other cells get afterwards. Returns what the cell said; without the fault it is then completed, and green.
///
/// # Errors
/// When the cell is green with the fault, red for another reason, or red without the fault.
pub fn find(lab: &mut Lab, fault: Fault, number: usize) -> Result<String> {
    let devices = lab.devices.get(&Kind::Kernel);
    let device = devices
        .and_then(|list| list.first())
        .context("no VF for a planted fault")?
        .clone();
    let point = if fault == Fault::NoSuchPoint {
        "no.such.point"
    } else {
        LATE
    };
    let row = Row {
        verb: Verb::Add,
        kind: Kind::Kernel,
        point: point.to_owned(),
    };
    let cell = Cell {
        number,
        row,
        column: Column::Del,
        situation: Situation::Plain,
    };
    let mut seat = Seat::new(cell, &device);
    while seat.next().is_some_and(|act| !matches!(act, Act::Del(_))) {
        seat.step(lab);
    }
    let real = lab.sriov.clone();
    match fault {
        Fault::RecordsLost => run("mv", [STATE, ASIDE]).map(drop)?,
        Fault::DelDoesNothing => lab.sriov = Plugin::new(Path::new("/bin/true")),
        Fault::NoSuchPoint => {}
    }
    seat.play(lab);
    lab.sriov = real;
    if fault == Fault::RecordsLost {
        // DEL makes it anew only if it has something to keep.
        let _ = fs::remove_dir_all(STATE);
        run("mv", [ASIDE, STATE])?;
    }
    let found = seat.red.take();
    // The same again without the fault.
    seat.rewind(Act::Del(super::cell::Pod::First));
    seat.play(lab);
    let Some(red) = found else {
        bail!("{fault:?} was not found: the cell is green with it");
    };
    let found_by = if fault == Fault::NoSuchPoint {
        "Abort"
    } else {
        "Clean"
    };
    ensure!(
        red.starts_with(found_by),
        "{fault:?} was not found by {found_by}: {red}"
    );
    match seat.red {
        Some(red) => bail!("{fault:?} was removed, and the cell is still red: {red}"),
        None => Ok(format!("{fault:?} found: {red}")),
    }
}
