//! Which cells are played, and in which batches. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::{
    cell::{Cell, Column, Kind, Row},
    lab::Devices,
    seat::Seat,
};

/// All cells: each row with each column.
pub fn all(rows: &[Row]) -> Vec<Cell> {
    number(
        rows.iter()
            .flat_map(|row| Column::ALL.map(|column| (row, column))),
    )
}

/// Each row once, with the columns in turn, so that all rows and all columns are there. The columns that boot get no
/// more rows than one boot has room for.
pub fn spread(rows: &[Row], room: &BTreeMap<Kind, usize>) -> Vec<Cell> {
    let mut left: BTreeMap<(Column, Kind), usize> = BTreeMap::new();
    let mut turn = Column::ALL.into_iter().cycle();
    let chosen: Vec<_> = rows
        .iter()
        .map(|row| {
            let fits = |column: &Column| {
                let room = room.get(&row.kind).copied().unwrap_or_default();
                let used = left.entry((*column, row.kind)).or_default();
                let fits = !column.boots() || *used < room;
                *used += usize::from(fits);
                fits
            };
            // Some columns have no limit.
            (row, turn.by_ref().find(fits).unwrap_or(Column::Del))
        })
        .collect();
    number(chosen)
}

fn number<'a>(chosen: impl IntoIterator<Item = (&'a Row, Column)>) -> Vec<Cell> {
    let numbered = chosen.into_iter().enumerate();
    numbered
        .map(|(number, (row, column))| Cell {
            number,
            row: row.clone(),
            column,
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
