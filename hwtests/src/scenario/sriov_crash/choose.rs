//! Which cells are played, and in which batches. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::{
    cell::{Cell, Column, Kind, Row, Verb},
    lab::Devices,
    seat::Seat,
    situation::Situation,
};

/// A row, and what brings its command to the point.
pub type Reached = (Row, Situation);

/// All cells: each row with each column that it is played with.
pub fn all(rows: &[Reached]) -> Vec<Cell> {
    let each = |reached| Column::ALL.map(|column| (reached, column));
    let cells = rows.iter().flat_map(each);
    number(cells.filter(|((row, _), column)| is_played(row, *column)))
}

/// A VF that is made anew by a boot needs nobody to undo anything, and what GC, repair and healing leave in files is what
/// DEL leaves; so ADD, its undoing and DEL are what is booted with.
pub fn is_played(row: &Row, column: Column) -> bool {
    !column.boots() || matches!(row.verb, Verb::Add | Verb::RollBack | Verb::Del)
}

/// Each point once, with kinds of device and columns in turn, so that all points, kinds and columns are there. The
/// columns that boot get no more rows than one boot has room for.
pub fn spread(rows: &[Reached], room: &BTreeMap<Kind, usize>) -> Vec<Cell> {
    let mut points: BTreeMap<(Verb, &str), Vec<&Reached>> = BTreeMap::new();
    for reached in rows {
        let (row, _) = reached;
        points
            .entry((row.verb, &row.point))
            .or_default()
            .push(reached);
    }
    // Verbs in turn, or the first would have all the room of the columns that boot.
    let mut seen: BTreeMap<Verb, usize> = BTreeMap::new();
    let mut points: Vec<_> = points
        .into_iter()
        .map(|((verb, _), kinds)| {
            let seen = seen.entry(verb).or_default();
            *seen += 1;
            ((*seen, verb), kinds)
        })
        .collect();
    points.sort_by_key(|(turn, _)| *turn);
    let mut used: BTreeMap<(Column, Kind), usize> = BTreeMap::new();
    let mut turn = Column::ALL.into_iter().cycle();
    let mut chosen = Vec::new();
    for (number, (_, kinds)) in points.iter().enumerate() {
        let reached = kinds[number % kinds.len()];
        let kind = reached.0.kind;
        let fits = |column: &Column| {
            let used = used.entry((*column, kind)).or_default();
            let room = room.get(&kind).copied().unwrap_or_default();
            let fits = is_played(&reached.0, *column) && (!column.boots() || *used < room);
            *used += usize::from(fits);
            fits
        };
        // Some columns have no limit.
        chosen.push((reached, turn.by_ref().find(fits).unwrap_or(Column::Del)));
    }
    number(chosen)
}

fn number<'a>(chosen: impl IntoIterator<Item = (&'a Reached, Column)>) -> Vec<Cell> {
    let numbered = chosen.into_iter().enumerate();
    numbered
        .map(|(number, ((row, situation), column))| Cell {
            number,
            row: row.clone(),
            column,
            situation: *situation,
        })
        .collect()
}

/// Takes from the front of `cells` what the devices have room for, each device once; the rest keeps its order. Empty
/// if no cell has a device.
pub fn batch(cells: &mut VecDeque<Cell>, devices: &Devices) -> Vec<Seat> {
    let mut free: BTreeMap<Kind, _> = devices
        .iter()
        .map(|(kind, list)| (*kind, list.iter()))
        .collect();
    let mut seats = Vec::new();
    let mut rest = VecDeque::new();
    for cell in cells.drain(..) {
        match free.get_mut(&cell.row.kind).and_then(Iterator::next) {
            Some(device) => seats.push(Seat::new(cell, device)),
            None => rest.push_back(cell),
        }
    }
    *cells = rest;
    seats
}

#[cfg(test)]
mod tests;
