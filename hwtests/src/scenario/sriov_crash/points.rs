//! The rows of the matrix: the crash points that `sriov` has, as it names them itself.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Result, ensure};

use super::{
    cell::{Kind, Row, Verb},
    lab::Lab,
};

/// All rows, in the order in which a command passes them.
///
/// # Errors
/// When the plugin does not name its points, or has none for a command.
pub fn rows(lab: &Lab) -> Result<Vec<Row>> {
    let _ = (lab, Path::new(""), Command::new(""));
    let rows = Vec::new();
    ensure!(!rows.is_empty(), "no points");
    Ok(rows)
}

/// How many points each command has.
pub fn counts(rows: &[Row]) -> String {
    let mut counts: BTreeMap<(Verb, Kind), usize> = BTreeMap::new();
    for row in rows {
        *counts.entry((row.verb, row.kind)).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|((verb, kind), count)| format!("{verb:?} {kind:?} {count}"));
    format!("{}: {}", rows.len(), counts.collect::<Vec<_>>().join(", "))
}
