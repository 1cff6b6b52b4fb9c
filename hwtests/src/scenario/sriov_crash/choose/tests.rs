//! What is played, and that every script ends with nothing left.

use std::collections::BTreeSet;

use super::*;
use crate::scenario::sriov_crash::{
    cell::{Act, Pod},
    situation,
};

fn row(verb: Verb, kind: Kind, point: &str) -> Reached {
    let row = Row {
        verb,
        kind,
        point: point.to_owned(),
    };
    let situation = situation::of(&row).unwrap();
    (row, situation)
}

/// Five points of every verb, each with every kind of device.
fn rows() -> Vec<Reached> {
    let points = [
        "lock",
        "to-host",
        "restore",
        "record-released",
        "remove-record",
    ];
    let mut rows = Vec::new();
    for verb in Verb::ALL {
        for point in points {
            for kind in Kind::ALL {
                rows.push(row(verb, kind, &format!("{verb:?}.before.{point}")));
            }
        }
    }
    rows
}

fn room(each: usize) -> BTreeMap<Kind, usize> {
    Kind::ALL.into_iter().map(|kind| (kind, each)).collect()
}

#[test]
fn the_spread_has_every_point_every_kind_and_every_column() {
    let rows = rows();
    let cells = spread(&rows, &room(9));
    let points: BTreeSet<_> = cells.iter().map(|cell| &cell.row.point).collect();
    assert_eq!(points.len(), 30);
    assert_eq!(cells.len(), 30, "each point once");
    let kinds: BTreeSet<_> = cells.iter().map(|cell| cell.row.kind).collect();
    assert_eq!(kinds.len(), Kind::ALL.len());
    let columns: BTreeSet<_> = cells.iter().map(|cell| cell.column).collect();
    assert_eq!(columns.len(), Column::ALL.len());
}

#[test]
fn a_column_that_boots_gets_no_more_cells_than_one_boot_has_devices() {
    let cells = spread(&rows(), &room(1));
    for column in [Column::Reboot, Column::PowerCut] {
        for kind in Kind::ALL {
            let of = cells
                .iter()
                .filter(|cell| (cell.column, cell.row.kind) == (column, kind));
            assert!(of.count() <= 1, "{column:?} {kind:?}");
        }
    }
}

#[test]
fn all_has_every_cell_that_is_played_and_numbers_are_unique() {
    let rows = rows();
    let cells = all(&rows);
    assert_eq!(cells.len(), 3 * 5 * 4 * 6 + 3 * 5 * 4 * 4);
    let numbers: BTreeSet<_> = cells.iter().map(|cell| cell.number).collect();
    assert_eq!(numbers.len(), cells.len());
}

#[test]
fn a_batch_gives_each_device_to_one_cell_and_keeps_the_rest_in_order() {
    let mut cells: VecDeque<_> = all(&rows()).into();
    let before: Vec<_> = cells.iter().map(|cell| cell.number).collect();
    let devices = Devices::from([(Kind::Kernel, vec!["a".to_owned(), "b".to_owned()])]);
    let seats = batch(&mut cells, &devices);
    assert_eq!(
        seats
            .iter()
            .map(|seat| seat.device.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    let left: Vec<_> = cells.iter().map(|cell| cell.number).collect();
    let taken: BTreeSet<_> = seats.iter().map(|seat| seat.cell.number).collect();
    assert_eq!(
        left,
        before
            .into_iter()
            .filter(|number| !taken.contains(number))
            .collect::<Vec<_>>()
    );
}

#[test]
fn every_script_aborts_once_ends_clean_and_deletes_or_recovers_after_the_abort() {
    for cell in all(&rows()) {
        let script = cell.script();
        assert_eq!(
            script.iter().filter(|act| **act == Act::Abort).count(),
            1,
            "{cell}"
        );
        assert_eq!(script.last(), Some(&Act::Clean), "{cell}");
        let after = &script[script.iter().position(|act| *act == Act::Abort).unwrap()..];
        let acts = after
            .iter()
            .any(|act| matches!(act, Act::Del(_) | Act::Recover));
        assert!(acts, "{cell}: nobody acts after the abort");
        assert_eq!(after.contains(&Act::Boot), cell.column.boots(), "{cell}");
    }
}

#[test]
fn the_next_owner_is_looked_at_before_and_after_the_late_del() {
    let cell = all(&rows())
        .into_iter()
        .find(|cell| cell.column == Column::AddAgain)
        .unwrap();
    let script = cell.script();
    let late = script
        .iter()
        .rposition(|act| *act == Act::Del(Pod::First))
        .unwrap();
    assert_eq!(script[late - 1], Act::Owned(Pod::Second));
    assert_eq!(script[late + 1], Act::Owned(Pod::Second));
}
