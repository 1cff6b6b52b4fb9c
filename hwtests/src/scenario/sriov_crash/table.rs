//! The matrix for people: crash points as rows, what came next as columns, and counts.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    cell::{Column, Kind, Row, Verb},
    choose::is_played,
    story::Story,
};

/// A cell's mark in the table.
fn mark(red: Option<bool>) -> &'static str {
    match red {
        None => "-",
        Some(false) => "ok",
        Some(true) => "RED",
    }
}

fn line(label: &str, width: usize, columns: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{label:<width$}");
    for column in columns {
        let _ = write!(text, " {column:>9}");
    }
    text + "\n"
}

fn heads() -> impl Iterator<Item = String> {
    Column::ALL.into_iter().map(|column| format!("{column:?}"))
}

/// Every row with its cells: `ok`, `RED`, `-` if it was not played, and a blank where there is none.
pub fn whole(story: &Story) -> String {
    let mut cells: BTreeMap<(&Row, Column), bool> = BTreeMap::new();
    for ended in &story.ended {
        cells.insert((&ended.cell.row, ended.cell.column), ended.red.is_some());
    }
    let width = story
        .rows
        .iter()
        .map(|row| row.to_string().len())
        .max()
        .unwrap_or_default();
    let mut text = line("", width, heads());
    for row in &story.rows {
        let marks = Column::ALL.map(|column| match cells.get(&(row, column)) {
            None if !is_played(row, column) => String::new(),
            red => mark(red.copied()).to_owned(),
        });
        text += &line(&row.to_string(), width, marks);
    }
    text
}

/// Per command and kind: how many of its cells are green, of how many played, in each column.
pub fn counts(story: &Story) -> String {
    let mut rows: BTreeMap<(Verb, Kind), usize> = BTreeMap::new();
    for row in &story.rows {
        *rows.entry((row.verb, row.kind)).or_default() += 1;
    }
    let mut text = line("green of played", 32, heads());
    for ((verb, kind), points) in rows {
        let label = format!("{verb:?} {kind:?}, {points} points");
        let of_column = Column::ALL.map(|column| {
            let played = || {
                let ended = story.ended.iter().map(|ended| (&ended.cell, &ended.red));
                ended.filter(move |(cell, _)| {
                    (cell.row.verb, cell.row.kind, cell.column) == (verb, kind, column)
                })
            };
            let green = played().filter(|(_, red)| red.is_none()).count();
            format!("{green}/{}", played().count())
        });
        text += &line(&label, 32, of_column);
    }
    text
}

fn cells_of(rows: &[Row]) -> usize {
    let columns = |row| {
        Column::ALL
            .into_iter()
            .filter(move |column| is_played(row, *column))
    };
    rows.iter().flat_map(columns).count()
}

/// Rows, columns, cells played of all, red ones.
pub fn summary(story: &Story) -> String {
    let red = story
        .ended
        .iter()
        .filter(|ended| ended.red.is_some())
        .count();
    format!(
        "{} rows x {} columns: {} of {} cells played, {} green, {red} red",
        story.rows.len(),
        Column::ALL.len(),
        story.ended.len(),
        cells_of(&story.rows),
        story.ended.len() - red
    )
}
